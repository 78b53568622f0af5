#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/log.h"
#include "base/task.h"
#include "codec/http1.h"
#include "model/spec.h"
#include "net/network.h"
#include "net/tls.h"
#include "network/balancer.h"
#include "network/forwarding.h"
#include "network/relay.h"
#include "network/upstream.h"

namespace berth::network {

class Session;

/// Who may receive requests, as published to the loops.
struct RoutingTable {
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<std::shared_ptr<TargetLoad>> loads;  ///< by index of snapshot->targets
  /// Targets that drain, by key: they get no requests, but finish some and are still counted.
  std::vector<std::uint64_t> draining{};
};

struct ProxyOptions {
  std::size_t loop = 0;  ///< its number; selects the slot of TargetLoad
  model::Balancing balancing = model::Balancing::round_robin;
  Duration idle_timeout = std::chrono::seconds(60);
  Duration head_timeout = std::chrono::seconds(10);
  Duration connect_timeout = std::chrono::seconds(5);
  http1::HeadLimits head_limits;
  /// Over all loops; above, the connection that has been idle for the longest time makes way.
  std::size_t connections_max = 8'000;
  std::shared_ptr<std::atomic<std::size_t>> connections;     ///< client connections open in all loops
  std::function<void(std::uint64_t key)> on_connect_failed;  ///< called in this loop
  /// The same: there are too many connections, and none of this loop is idle.
  std::function<void()> on_full = [] {};
};

/// What one loop counts; read from other threads under a lock.
struct ProxyCounters {
  std::uint64_t answers[5] = {};  ///< to clients, by class of status
  std::uint64_t own_answers = 0;  ///< of these, the front door's own errors
  std::uint64_t retries = 0;      ///< given to another connection or target
  std::uint64_t disconnects = 0;  ///< clients that left before their answer was complete
  std::uint64_t connections = 0;  ///< accepted
  std::uint64_t handshake_failures = 0;
};

/// What the sessions of one event loop share. Used from that loop only, but for `mutex` and what it guards.
class LoopContext {
 public:
  LoopContext(ProxyOptions proxy_options, net::Network& loop_network, Log& loop_log);

  /// A target for the next attempt, not one of those already `tried` (by key); null when there is none.
  std::shared_ptr<Upstream> pick(TimePoint now, std::span<const std::uint64_t> tried);
  void adopt(const RoutingTable& table);
  TraceId next_trace();

  /// Ends the session that has waited for a request for the longest time; false when none does.
  bool end_longest_idle();

  /// Notices within two ticks when the client of this session goes away; for answers that take their time.
  /// The quick ones, nearly all, cost no more than an entry in a list.
  void watch_client(Session& session);
  void unwatch_client(Session& session);

  ByteBuffer take_buffer();
  void give_buffer(ByteBuffer buffer);

  const ProxyOptions options;
  net::Network& network;
  Clock& clock;
  Log& log;
  bool draining = false;
  std::list<Session*> busy;
  std::list<Session*> idle;  ///< sessions that wait for a request, the longest first
  std::atomic<std::size_t> in_flight{0};
  mutable std::mutex mutex;
  ProxyCounters counters;  ///< guarded by mutex, as are the counters in `upstreams`
  /// By index of the snapshot, then those that drain.
  std::vector<std::shared_ptr<Upstream>> upstreams;  ///< the vector, too, is changed under mutex

 private:
  void tick();
  void arm();

  Balancer balancer_;
  std::vector<std::size_t> outstanding_;
  std::vector<std::size_t> tried_;
  std::vector<ByteBuffer> buffers_;
  std::vector<Session*> unwatched_;
  std::uint64_t random_;
  TimePoint last_prune_;
  int idle_ticks_ = 0;
  bool armed_ = false;
  std::unique_ptr<Timer> timer_;
};

}  // namespace berth::network
