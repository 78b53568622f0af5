#include "task/runtime/subscriptions.h"

#include <algorithm>
#include <utility>

namespace berth::task {

void Subscriptions::deliver(std::string_view server, const mcp::Change& change) {
  // An observer may subscribe or unsubscribe others while it is called.
  const auto observers = observers_;
  for (const auto& weak : observers) {
    const auto observer = weak.lock();
    if (!observer || observer->server != server) continue;
    if (!change.principal.empty() && change.principal != observer->principal) continue;
    observer->call(change);
  }
}

std::shared_ptr<void> Subscriptions::add(std::string_view server, std::string principal,
                                         std::function<void(const mcp::Change&)> observer) {
  if (observers_.size() >= sweep_at_) {
    std::erase_if(observers_, [](const auto& weak) { return weak.expired(); });
    sweep_at_ = std::max<std::size_t>(16, 2 * observers_.size());
  }
  auto added = std::make_shared<Observer>(std::string(server), std::move(principal), std::move(observer));
  observers_.push_back(added);
  return added;
}

}  // namespace berth::task
