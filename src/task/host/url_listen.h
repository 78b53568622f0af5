#pragma once

#include <functional>
#include <memory>
#include <string>

#include "task/host/upstream.h"
#include "task/host/url_wire.h"

namespace berth::task::host {

/// subscriptions/listen at a modern upstream: one stream, opened again whenever it ends or what is wanted of
/// it is another.
class UrlListen {
 public:
  struct World {
    const model::ServerSpec& spec;
    Upstream& upstream;
    Branches& branches;
    Clock& clock;
    std::int64_t& next_number;
    std::function<void(mcp::Change)> on_change;
  };
  explicit UrlListen(World world) : world_(std::move(world)) {}

  /// `filter` is what listen_filter writes; empty: nothing is listened for.
  void want(std::string filter);
  void stop();

 private:
  Task<void> listen();
  Task<bool> listen_once(std::string filter);

  World world_;
  std::shared_ptr<Branches::Branch> branch_;
  std::string filter_;
};

}  // namespace berth::task::host
