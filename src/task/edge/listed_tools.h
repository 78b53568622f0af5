#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/signal.h"
#include "mcp/x_mcp_header.h"
#include "task/endpoint.h"

namespace berth::task::edge {

/// What tools/list says of a server's tools that Berth has to know, by principal. Kept until the list
/// changes or grows old.
class ListedTools {
 public:
  explicit ListedTools(const EndpointWorld& world) : world_(world) {}

  struct Tool {
    /// The arguments that a modern client must mirror in Mcp-Param-* headers.
    std::vector<mcp::HeaderParam> header_params;
    /// Its annotations say that it only reads, or is idempotent.
    bool is_repeatable = false;
  };
  /// Asks the server for its tools, unless they are known; calls that come meanwhile wait for the same one.
  /// When there is no answer within seconds, nothing is known for a while: a call is worth more than a
  /// header.
  Task<void> learn(const mcp::Caller& caller);
  /// A page that a client of `principal` has asked for and been given. `params` of its request.
  void note(const std::string& principal, json::Slice params, json::Slice result);
  /// nullptr: not known, or there is nothing to know of it.
  const Tool* find(const std::string& principal, std::string_view tool) const;

 private:
  struct Entry {
    std::map<std::string, Tool, std::less<>> tools;
    TimePoint fresh_until;
    std::shared_ptr<void> subscription;
  };
  /// Those who wait for the list of one principal that is under way.
  using Waiting = std::list<Signal*>;
  class Loading;

  TimePoint now() const { return world_.clock.now(); }
  bool knows(const std::string& principal) const;
  Task<void> load(const mcp::Caller& caller);
  Entry& entry_of(const std::string& principal);

  const EndpointWorld& world_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::shared_ptr<Waiting>, std::less<>> loading_;
};

}  // namespace berth::task::edge
