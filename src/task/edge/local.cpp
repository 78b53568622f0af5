#include <list>
#include <utility>

#include "task/peers.h"
#include "task/session_records.h"

namespace berth::task {
namespace {

struct Subscriber {
  std::string server;
  std::string principal;
  std::function<void(const mcp::Change&)> observer;
};
using Subscribers = std::list<Subscriber>;

/// Ends a subscription; the bus may have gone before.
class Subscription {
 public:
  Subscription(const std::shared_ptr<Subscribers>& all, Subscribers::iterator place)
      : all_(all), place_(place) {}
  ~Subscription() {
    if (const auto all = all_.lock()) all->erase(place_);
  }
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

 private:
  std::weak_ptr<Subscribers> all_;
  Subscribers::iterator place_;
};

class LocalChangeBus final : public ChangeBus {
 public:
  void publish(std::string_view server, const mcp::Change& change) override {
    for (auto at = subscribers_->begin(); at != subscribers_->end();) {
      const Subscriber& subscriber = *at++;
      const bool may_see = change.principal.empty() || change.principal == subscriber.principal;
      if (subscriber.server == server && may_see) subscriber.observer(change);
    }
  }

  std::shared_ptr<void> subscribe(std::string_view server, std::string principal,
                                  std::function<void(const mcp::Change&)> observer) override {
    subscribers_->push_back({std::string(server), std::move(principal), std::move(observer)});
    return std::make_shared<Subscription>(subscribers_, std::prev(subscribers_->end()));
  }
  void watch(std::string_view, const std::string&, const std::string&) override {}
  void unwatch(std::string_view, const std::string&, const std::string&) override {}

 private:
  std::shared_ptr<Subscribers> subscribers_ = std::make_shared<Subscribers>();
};

class NoPeers final : public PeerForwarder {
 public:
  Task<Forwarded> forward(const mcp::Handle& handle, http::Exchange&, std::string_view,
                          const RequestContext&) override {
    co_return Forwarded{Forwarded::End::not_delivered,
                        "Task '" + handle.owner + "' cannot be reached: this task has no sisters."};
  }
  std::vector<TaskIdentity> sisters() const override { return {}; }
  std::uint64_t losses() const override { return 0; }
};

class NoSessionRecords final : public SessionRecords {
 public:
  Succession look(const std::string&, std::uint64_t) override { return {}; }
  Succession claim(const std::string&, std::uint64_t) override { return {}; }
  Succession confirm(const std::string&) override { return {Standing::open, {}}; }
  void end(const std::string&) override {}
  void flush() override {}
  void keep(const std::string&, std::string_view) override {}
  std::string kept(const std::string&, std::uint64_t) override { return {}; }
};

}  // namespace

std::unique_ptr<ChangeBus> make_local_change_bus() { return std::make_unique<LocalChangeBus>(); }
std::unique_ptr<PeerForwarder> make_no_peers() { return std::make_unique<NoPeers>(); }
std::unique_ptr<SessionRecords> make_no_session_records() { return std::make_unique<NoSessionRecords>(); }

}  // namespace berth::task
