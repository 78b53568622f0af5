#include "task/peers.h"

#include <algorithm>
#include <utility>

#include "task/runtime/subscriptions.h"

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

namespace {

class LocalChangeBus final : public ChangeBus {
 public:
  void publish(std::string_view server, const mcp::Change& change) override {
    subscriptions_.deliver(server, change);
  }
  std::shared_ptr<void> subscribe(std::string_view server, std::string principal,
                                  std::function<void(const mcp::Change&)> observer) override {
    return subscriptions_.add(server, std::move(principal), std::move(observer));
  }

 private:
  Subscriptions subscriptions_;
};

class NoPeers final : public PeerForwarder {
 public:
  Task<Result<void>> forward(const mcp::Handle& handle, http::Exchange&, std::string_view,
                             std::string_view) override {
    co_return fail(ErrorCode::unavailable,
                   "The request belongs to task '" + handle.owner + "', and this task has no sisters.");
  }
};

}  // namespace

std::unique_ptr<ChangeBus> make_local_change_bus() { return std::make_unique<LocalChangeBus>(); }
std::unique_ptr<PeerForwarder> make_no_peers() { return std::make_unique<NoPeers>(); }

}  // namespace berth::task
