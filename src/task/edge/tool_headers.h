#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/signal.h"
#include "task/edge/shared.h"

namespace berth::task::edge {

/// Which arguments of which tools a modern client must mirror in Mcp-Param-* headers, as the server's
/// tools/list says for a principal. Read once, kept until the list changes or grows old.
class ToolHeaders {
 public:
  explicit ToolHeaders(Shared& shared) : shared_(shared) {}

  using Params = std::vector<mcp::HeaderParam>;
  /// Asks the server for its tools, unless they are known; calls that come meanwhile wait for the same one.
  /// When there is no answer within seconds, nothing is required of clients for a while: a call is worth more
  /// than a header.
  Task<void> learn(const mcp::Caller& caller);
  /// nullptr: nothing annotated.
  const Params* find(const std::string& principal, std::string_view tool) const;

 private:
  struct Entry {
    std::map<std::string, Params, std::less<>> tools;
    TimePoint fresh_until;
    std::shared_ptr<void> subscription;
  };
  /// Those who wait for the list of one principal that is under way.
  using Waiting = std::list<Signal*>;
  class Loading;

  bool knows(const std::string& principal) const;
  Task<void> load(const mcp::Caller& caller);
  void read_page(json::Slice result, Entry& entry) const;

  Shared& shared_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::shared_ptr<Waiting>, std::less<>> loading_;
};

}  // namespace berth::task::edge
