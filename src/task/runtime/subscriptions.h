#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "task/peers.h"

namespace berth::task {

/// Who on this task listens for changes of which server.
class Subscriptions {
 public:
  void deliver(std::string_view server, const mcp::Change& change);
  std::shared_ptr<void> add(std::string_view server, std::string principal,
                            std::function<void(const mcp::Change&)> observer);

 private:
  struct Observer {
    std::string server;
    std::string principal;
    std::function<void(const mcp::Change&)> call;
  };
  /// Dead ones are swept when there are twice as many entries as at the last sweep.
  std::vector<std::weak_ptr<Observer>> observers_;
  std::size_t sweep_at_ = 16;
};

}  // namespace berth::task
