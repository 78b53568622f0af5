#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "network/loop_context.h"

namespace berth::network {

/// One event loop's share of the front door: accepts on its listeners and runs a Session for each connection.
/// All members but `counters`, `target_counters` and `in_flight` are called from that loop.
class Proxy {
 public:
  /// `network` (with its clock) and `log` outlive it.
  Proxy(ProxyOptions options, net::Network& network, Log& log);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  /// Starts accepting. `tls` null: clear text.
  void serve(std::unique_ptr<net::Listener> listener, std::shared_ptr<net::TlsContext> tls);
  /// For the connections to come on the listeners that have TLS.
  void set_tls(std::shared_ptr<net::TlsContext> tls);
  void adopt(const RoutingTable& table) { context_.adopt(table); }
  /// Ends the connection that has been idle for the longest time, if there is one: another needs its place.
  void make_room() { context_.end_longest_idle(); }

  /// Stops accepting, closes idle connections, lets requests in flight finish and cuts what is left at
  /// `deadline`; returns how many were cut. The proxy may be destroyed afterwards.
  Task<std::size_t> drain(TimePoint deadline);

  ProxyCounters counters() const;
  struct ByTarget {
    std::uint64_t key = 0;
    TargetCounters counters;
  };
  /// Of the targets in the routing table.
  std::vector<ByTarget> target_counters() const;
  std::size_t in_flight() const { return context_.in_flight.load(std::memory_order_relaxed); }

 private:
  struct Door {
    std::unique_ptr<net::Listener> listener;
    std::shared_ptr<net::TlsContext> tls;
    Signal room;  ///< for a connection that it has accepted
    bool wants_room = false;
  };
  class Registration;

  Task<void> accept_all(Door& door);
  Task<void> wait_for_room(Door& door);
  Task<void> serve_connection(std::unique_ptr<net::Stream> stream, std::shared_ptr<net::TlsContext> tls);
  LoopContext context_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::size_t open_ = 0;  ///< connections, also those still shaking hands
  Signal changed_;        ///< while draining: a connection has ended, or the deadline has come
  TaskScope scope_;
};

}  // namespace berth::network
