#include "network/front_door.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <list>
#include <map>
#include <thread>
#include <utility>

#include "base/ip_address.h"
#include "net/connection_budget.h"
#include "network/door_metrics.h"
#include "network/health_check.h"
#include "network/loops.h"

namespace berth::network {

namespace {

/// How often a draining target is asked whether it has finished.
constexpr Duration drain_poll = std::chrono::milliseconds(20);
constexpr std::uint16_t http_port_first = 8080;
constexpr std::uint16_t https_port_first = 8443;
constexpr std::uint16_t ports_tried_max = 100;
constexpr std::size_t threads_default_max = 2;

TargetGroupPolicy policy_of(const model::ListenerSpec& listener) {
  TargetGroupPolicy policy;
  policy.health_check = listener.health_check;
  policy.slow_start = listener.slow_start;
  policy.deregistration_delay = listener.deregistration_delay;
  return policy;
}

/// A connection holds one to its target while a request is answered.
constexpr std::size_t descriptors_per_connection = 2;
/// Listeners, health checks, the control socket, state and logs.
constexpr std::size_t descriptors_reserved = 64;

ProxyOptions proxy_options(const FrontDoorOptions& options, const net::Network& network, Log& log) {
  ProxyOptions proxy;
  proxy.balancing = options.listener.balancing;
  proxy.idle_timeout = options.listener.idle_timeout;
  proxy.head_timeout = options.limits.head_timeout;
  proxy.head_limits = {options.limits.head_bytes_max, options.limits.head_fields_max,
                       options.limits.target_bytes_max};
  proxy.connections_max =
      net::limit_connections({network.descriptors_max(), descriptors_reserved, descriptors_per_connection},
                             options.limits.connections_max, log);
  proxy.connections = std::make_shared<std::atomic<std::size_t>>(0);
  return proxy;
}

std::size_t thread_count(const model::ListenerSpec& listener) {
  if (listener.threads > 0) return listener.threads;
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, threads_default_max);
}

class FrontDoorImpl final : public FrontDoor {
 public:
  FrontDoorImpl(FrontDoorOptions options, net::Network& network, Log& log)
      : options_(std::move(options)),
        network_(network),
        clock_(network.clock()),
        log_(log),
        group_(policy_of(options_.listener)),
        loops_(make_loops()),
        timer_(clock_.make_timer()),
        scope_(clock_.executor()) {}
  ~FrontDoorImpl() override { *alive_ = false; }

  Result<void> listen();

  std::optional<net::Endpoint> http() const override { return http_; }
  std::optional<net::Endpoint> https() const override { return https_; }

  Result<void> register_target(Target target) override {
    auto added = group_.add(std::move(target), clock_.now());
    schedule();
    return added;
  }
  Task<void> deregister_target(std::string id) override;
  void remove_target(std::string_view id) override {
    group_.remove(id);
    schedule();
  }

  std::vector<TargetHealth> targets() const override;
  void on_change(std::function<void(const TargetChange&)> callback) override {
    on_change_ = std::move(callback);
  }
  void set_tls(std::shared_ptr<net::TlsContext> tls) override { loops_->set_tls(std::move(tls)); }
  FrontDoorTotals totals() const override;
  void write_metrics(monitoring::MetricsWriter& writer) const override {
    network::write_metrics(writer, loops_->counters(), targets());
  }
  Task<std::size_t> drain(TimePoint deadline) override;

 private:
  std::unique_ptr<Loops> make_loops();
  Result<net::Endpoint> bind(const std::string& address, std::optional<std::uint16_t> wanted,
                             std::uint16_t first, const std::shared_ptr<net::TlsContext>& tls);
  void schedule();
  void pump();
  void publish();
  void update_outstanding();
  void tell(const TargetChange& change);
  Task<void> run_probe(Probe probe);

  FrontDoorOptions options_;
  net::Network& network_;
  Clock& clock_;
  Log& log_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  TargetGroup group_;
  std::unique_ptr<Loops> loops_;
  std::optional<net::Endpoint> http_;
  std::optional<net::Endpoint> https_;
  std::map<std::uint64_t, std::shared_ptr<TargetLoad>> loads_;  ///< by key of the target
  std::shared_ptr<const Snapshot> published_;
  std::function<void(const TargetChange&)> on_change_;
  std::list<Signal> waiters_;  ///< for a target to leave
  std::unique_ptr<Timer> timer_;
  bool scheduled_ = false;
  bool draining_ = false;
  TaskScope scope_;
};

std::unique_ptr<Loops> FrontDoorImpl::make_loops() {
  ProxyOptions proxy = proxy_options(options_, network_, log_);
  proxy.on_connect_failed = [this, alive = alive_](std::uint64_t key) {
    if (!*alive) return;
    group_.on_connect_failed(key, clock_.now());
    schedule();
  };
  if (options_.loops == FrontDoorOptions::Loops::callers_loop) {
    return make_callers_loop(std::move(proxy), network_, log_);
  }
  return make_thread_loops(thread_count(options_.listener), std::move(proxy), clock_, log_);
}

Result<net::Endpoint> FrontDoorImpl::bind(const std::string& address, std::optional<std::uint16_t> wanted,
                                          std::uint16_t first, const std::shared_ptr<net::TlsContext>& tls) {
  if (wanted) return loops_->listen({address, *wanted}, tls);
  for (std::uint16_t offset = 0; offset < ports_tried_max; ++offset) {
    auto bound = loops_->listen({address, static_cast<std::uint16_t>(first + offset)}, tls);
    if (bound || bound.error().code() != ErrorCode::conflict) return bound;
  }
  return fail(ErrorCode::conflict,
              fmt::format("no port from {} to {} on {} is free; choose one in berth.yaml under "
                          "listener, {}",
                          first, first + ports_tried_max - 1, address, tls ? "https_port" : "http_port"));
}

Result<void> FrontDoorImpl::listen() {
  const model::ListenerSpec& listener = options_.listener;
  const bool is_secure = options_.tls && listener.https;
  const std::string http_address =
      is_loopback_address(listener.address) || !is_secure ? listener.address : "127.0.0.1";
  auto http = bind(http_address, listener.http_port, http_port_first, nullptr);
  if (!http) return Failure(http.error());
  http_ = std::move(*http);
  if (is_secure) {
    auto https = bind(listener.address, listener.https_port, https_port_first, options_.tls);
    if (!https) return Failure(https.error());
    https_ = std::move(*https);
  }
  loops_->start();
  return {};
}

/// Decides from the event loop, never inside the call that gave cause to it.
void FrontDoorImpl::schedule() {
  if (std::exchange(scheduled_, true)) return;
  asio::post(clock_.executor(), [this, alive = alive_] {
    if (*alive) pump();
  });
}

void FrontDoorImpl::pump() {
  scheduled_ = false;
  publish();
  update_outstanding();
  TargetDecisions decisions = group_.decide(clock_.now());
  publish();
  if (!draining_) {
    for (Probe& probe : decisions.probes) scope_.spawn(run_probe(std::move(probe)));
  }
  for (const TargetChange& change : decisions.changes) tell(change);
  bool someone_drains = false;
  for (const TargetHealth& health : group_.health()) someone_drains |= health.state == TargetState::draining;
  for (Signal& waiter : waiters_) waiter.notify();
  if (scheduled_) return;
  std::optional<TimePoint> wake = decisions.wake;
  if (someone_drains) wake = std::min(wake.value_or(TimePoint::max()), clock_.now() + drain_poll);
  if (!wake) return timer_->cancel();
  timer_->arm(*wake, [this] { pump(); });
}

void FrontDoorImpl::publish() {
  const auto snapshot = group_.snapshot();
  if (snapshot == published_) return;
  published_ = snapshot;
  RoutingTable table{snapshot, {}};
  for (const TargetHealth& health : group_.health()) {
    if (health.state == TargetState::draining) table.draining.push_back(health.key);
  }
  for (const RoutedTarget& target : snapshot->targets) {
    auto& load = loads_[target.key];
    if (!load) load = std::make_shared<TargetLoad>(loops_->size());
    table.loads.push_back(load);
  }
  loops_->adopt(table);
}

void FrontDoorImpl::update_outstanding() {
  // Until every loop has the snapshot without it, a draining target may still be given a request.
  const std::size_t unseen = loops_->adopted() < published_->version ? 1 : 0;
  for (const TargetHealth& health : group_.health()) {
    const auto load = loads_.find(health.key);
    const std::size_t count = load == loads_.end() ? 0 : load->second->outstanding();
    group_.on_outstanding(health.key, count + unseen);
  }
}

void FrontDoorImpl::tell(const TargetChange& change) {
  const std::string endpoint = net::to_string(change.target.endpoint);
  if (change.gone) {
    log_.info("target_left", {{"target", change.target.id}, {"endpoint", endpoint}});
    std::erase_if(loads_, [this](const auto& load) { return !group_.contains(load.first); });
  } else {
    const auto fields = {LogField("target", change.target.id), LogField("endpoint", endpoint),
                         LogField("zone", change.target.zone), LogField("from", to_string(change.from)),
                         LogField("to", to_string(change.to)), LogField("reason", change.reason)};
    if (change.to == TargetState::unhealthy) {
      log_.warning("target_state", fields);
    } else {
      log_.info("target_state", fields);
    }
  }
  if (on_change_) on_change_(change);
}

Task<void> FrontDoorImpl::run_probe(Probe probe) {
  const std::uint64_t key = probe.key;
  ProbeOutcome outcome = co_await probe_target(network_, std::move(probe));
  group_.on_probe(key, std::move(outcome), clock_.now());
  schedule();
}

Task<void> FrontDoorImpl::deregister_target(std::string id) {
  const std::uint64_t key = group_.key(id);
  if (key == 0) co_return;
  group_.drain(id, clock_.now());
  schedule();
  const auto waiter = waiters_.emplace(waiters_.end(), clock_.executor());
  const auto leave = [this, waiter](const void*) { waiters_.erase(waiter); };
  const std::unique_ptr<Signal, decltype(leave)> registration(&*waiter, leave);
  while (group_.contains(key)) co_await waiter->wait();
}

std::vector<TargetHealth> FrontDoorImpl::targets() const {
  std::vector<TargetHealth> out = group_.health();
  for (TargetHealth& health : out) {
    const auto load = loads_.find(health.key);
    health.outstanding = load == loads_.end() ? 0 : load->second->outstanding();
  }
  return out;
}

FrontDoorTotals FrontDoorImpl::totals() const {
  const DoorCounters counters = loops_->counters();
  FrontDoorTotals totals;
  for (const std::uint64_t answers : counters.clients.answers) totals.requests += answers;
  totals.own_answers = counters.clients.own_answers;
  totals.retries = counters.clients.retries;
  totals.connections = counters.connections;
  totals.in_flight = counters.in_flight;
  return totals;
}

Task<std::size_t> FrontDoorImpl::drain(TimePoint deadline) {
  draining_ = true;
  const std::size_t cut = co_await loops_->drain(deadline);
  timer_->cancel();
  scope_.cancel();
  co_await scope_.join();
  // Whoever waits for a target to leave need not wait for more: nothing is in flight.
  for (const TargetHealth& health : group_.health()) group_.remove(health.target.id);
  for (Signal& waiter : waiters_) waiter.notify();
  co_return cut;
}

}  // namespace

Result<std::unique_ptr<FrontDoor>> make_front_door(FrontDoorOptions options, net::Network& network,
                                                   Log& log) {
  auto door = std::make_unique<FrontDoorImpl>(std::move(options), network, log);
  const auto listening = door->listen();
  if (!listening) return Failure(listening.error());
  return door;
}

}  // namespace berth::network
