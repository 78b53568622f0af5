#include "network/loops.h"

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "base/check.h"

namespace berth::network {

namespace {

void add(DoorCounters& sum, const Proxy& proxy) {
  const ProxyCounters counters = proxy.counters();
  for (std::size_t i = 0; i < std::size(counters.answers); ++i) sum.clients.answers[i] += counters.answers[i];
  sum.clients.own_answers += counters.own_answers;
  sum.clients.retries += counters.retries;
  sum.clients.disconnects += counters.disconnects;
  sum.clients.connections += counters.connections;
  sum.clients.handshake_failures += counters.handshake_failures;
  for (const Proxy::ByTarget& target : proxy.target_counters()) {
    TargetCounters& of_target = sum.targets[target.key];
    for (std::size_t i = 0; i < std::size(of_target.answers); ++i)
      of_target.answers[i] += target.counters.answers[i];
    of_target.connect_failures += target.counters.connect_failures;
    of_target.broken_answers += target.counters.broken_answers;
    of_target.connections += target.counters.connections;
    of_target.seconds_to_head.merge(target.counters.seconds_to_head);
  }
  sum.in_flight += proxy.in_flight();
}

struct PendingListener {
  std::unique_ptr<net::Listener> listener;
  std::shared_ptr<net::TlsContext> tls;
};

class CallersLoop final : public Loops {
 public:
  CallersLoop(ProxyOptions options, net::Network& network, Log& log)
      : connections_(options.connections), network_(network), proxy_(std::move(options), network, log) {}

  std::size_t size() const override { return 1; }

  Result<net::Endpoint> listen(const net::Endpoint& endpoint, std::shared_ptr<net::TlsContext> tls) override {
    auto listener = network_.listen(endpoint);
    if (!listener) return Failure(listener.error());
    const net::Endpoint local = (*listener)->local();
    pending_.push_back({std::move(*listener), std::move(tls)});
    return local;
  }

  void start() override {
    for (PendingListener& pending : pending_)
      proxy_.serve(std::move(pending.listener), std::move(pending.tls));
    pending_.clear();
  }

  void adopt(const RoutingTable& table) override {
    proxy_.adopt(table);
    adopted_ = table.snapshot->version;
  }
  std::uint64_t adopted() const override { return adopted_; }
  void set_tls(std::shared_ptr<net::TlsContext> tls) override { proxy_.set_tls(std::move(tls)); }

  DoorCounters counters() const override {
    DoorCounters sum;
    add(sum, proxy_);
    sum.connections = connections_->load();
    return sum;
  }

  Task<std::size_t> drain(TimePoint deadline) override { co_return co_await proxy_.drain(deadline); }

 private:
  std::shared_ptr<std::atomic<std::size_t>> connections_;
  net::Network& network_;
  std::vector<PendingListener> pending_;
  std::uint64_t adopted_ = 0;
  Proxy proxy_;
};

/// One thread and what runs on it. Constructed and destroyed on the control thread, while the own one is not
/// running; in between, everything is posted.
class ThreadLoop {
 public:
  ThreadLoop(ProxyOptions options, Log& log)
      : clock_(make_real_clock(io_.get_executor())),
        network_(net::make_network(*clock_)),
        proxy_(std::move(options), *network_, log),
        scope_(io_.get_executor()) {}

  net::Network& network() { return *network_; }
  const Proxy& proxy() const { return proxy_; }
  std::uint64_t adopted() const { return adopted_.load(std::memory_order_acquire); }

  void start(std::vector<PendingListener> listeners) {
    for (PendingListener& pending : listeners)
      proxy_.serve(std::move(pending.listener), std::move(pending.tls));
    work_.emplace(io_.get_executor());
    thread_ = std::thread([this] { io_.run(); });
  }

  void adopt(RoutingTable table) {
    asio::post(io_, [this, table = std::move(table)] {
      proxy_.adopt(table);
      adopted_.store(table.snapshot->version, std::memory_order_release);
    });
  }

  void make_room() {
    asio::post(io_, [this] { proxy_.make_room(); });
  }

  void set_tls(std::shared_ptr<net::TlsContext> tls) {
    asio::post(io_, [this, tls = std::move(tls)] { proxy_.set_tls(tls); });
  }

  /// `done` is called on this thread with the number of requests cut.
  void drain(TimePoint deadline, std::function<void(std::size_t)> done) {
    asio::post(io_, [this, deadline, done = std::move(done)] { scope_.spawn(run_drain(deadline, done)); });
  }

  bool running() const { return thread_.joinable(); }

  void join() {
    work_.reset();
    if (thread_.joinable()) thread_.join();
  }

 private:
  Task<void> run_drain(TimePoint deadline, std::function<void(std::size_t)> done) {
    const std::size_t cut = co_await proxy_.drain(deadline);
    done(cut);
  }

  asio::io_context io_{1};
  std::optional<asio::executor_work_guard<Executor>> work_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<net::Network> network_;
  std::atomic<std::uint64_t> adopted_{0};
  Proxy proxy_;
  std::thread thread_;
  TaskScope scope_;
};

/// What the control loop waits on while the threads drain; shared with them, touched in the control loop
/// only.
struct DrainProgress {
  DrainProgress(Executor executor, std::size_t count) : left(count), changed(executor) {}
  std::size_t left;
  std::size_t cut = 0;
  Signal changed;
};

class ThreadLoops final : public Loops {
 public:
  ThreadLoops(std::size_t count, const ProxyOptions& options, Clock& control, Log& log)
      : control_(control), connections_(options.connections) {
    for (std::size_t i = 0; i < count; ++i) {
      ProxyOptions own = options;
      own.loop = i;
      own.on_connect_failed = [executor = control.executor(), tell = options.on_connect_failed](
                                  std::uint64_t key) { asio::post(executor, [tell, key] { tell(key); }); };
      own.on_full = [this, i] { make_room_elsewhere(i); };
      loops_.push_back(std::make_unique<ThreadLoop>(std::move(own), log));
    }
    listeners_.resize(count);
  }

  ~ThreadLoops() override {
    for (const auto& loop : loops_) {
      if (loop->running() && !drained_) loop->drain(control_.now(), [](std::size_t) {});
    }
    for (const auto& loop : loops_) loop->join();
  }

  std::size_t size() const override { return loops_.size(); }

  Result<net::Endpoint> listen(const net::Endpoint& endpoint, std::shared_ptr<net::TlsContext> tls) override {
    // Port sharing alone would hide that somebody else has the port: two services would take turns answering.
    net::Endpoint shared = endpoint;
    net::PortSharing sharing = net::PortSharing::first;
    std::vector<std::unique_ptr<net::Listener>> bound;
    for (const auto& loop : loops_) {
      auto listener = loop->network().listen(shared, std::exchange(sharing, net::PortSharing::further));
      if (!listener) return Failure(listener.error());
      shared = (*listener)->local();
      bound.push_back(std::move(*listener));
    }
    for (std::size_t i = 0; i < loops_.size(); ++i) listeners_[i].push_back({std::move(bound[i]), tls});
    return shared;
  }

  void start() override {
    for (std::size_t i = 0; i < loops_.size(); ++i) loops_[i]->start(std::move(listeners_[i]));
  }

  void adopt(const RoutingTable& table) override {
    for (const auto& loop : loops_) loop->adopt(table);
  }

  std::uint64_t adopted() const override {
    std::uint64_t lowest = loops_.front()->adopted();
    for (const auto& loop : loops_) lowest = std::min(lowest, loop->adopted());
    return lowest;
  }

  void set_tls(std::shared_ptr<net::TlsContext> tls) override {
    for (const auto& loop : loops_) loop->set_tls(tls);
  }

  DoorCounters counters() const override {
    DoorCounters sum;
    for (const auto& loop : loops_) add(sum, loop->proxy());
    sum.connections = connections_->load();
    return sum;
  }

  Task<std::size_t> drain(TimePoint deadline) override {
    BERTH_CHECK(!drained_, "the loops are drained once");
    drained_ = true;
    const auto progress = std::make_shared<DrainProgress>(control_.executor(), loops_.size());
    for (const auto& loop : loops_) {
      loop->drain(deadline, [progress, executor = control_.executor()](std::size_t cut) {
        asio::post(executor, [progress, cut] {
          progress->cut += cut;
          --progress->left;
          progress->changed.notify();
        });
      });
    }
    while (progress->left > 0) co_await progress->changed.wait();
    co_return progress->cut;
  }

 private:
  /// Called in the loop of that number, which has no idle connection. The others may each end one, which is
  /// more than is needed and does no harm.
  void make_room_elsewhere(std::size_t full) {
    for (std::size_t i = 0; i < loops_.size(); ++i) {
      if (i != full) loops_[i]->make_room();
    }
  }

  Clock& control_;
  std::shared_ptr<std::atomic<std::size_t>> connections_;
  std::vector<std::unique_ptr<ThreadLoop>> loops_;
  std::vector<std::vector<PendingListener>> listeners_;  ///< by loop, until start()
  bool drained_ = false;
};

}  // namespace

std::unique_ptr<Loops> make_thread_loops(std::size_t count, ProxyOptions options, Clock& control, Log& log) {
  return std::make_unique<ThreadLoops>(count, options, control, log);
}

std::unique_ptr<Loops> make_callers_loop(ProxyOptions options, net::Network& network, Log& log) {
  return std::make_unique<CallersLoop>(std::move(options), network, log);
}

}  // namespace berth::network
