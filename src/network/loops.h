#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/log.h"
#include "net/network.h"
#include "net/tls.h"
#include "network/proxy.h"

namespace berth::network {

/// What the front door has counted, over all loops.
struct DoorCounters {
  ProxyCounters clients;
  std::map<std::uint64_t, TargetCounters> targets;  ///< by key
  std::size_t connections = 0;                      ///< open now
  std::size_t in_flight = 0;
};

/// The event loops of the data plane, seen from the control loop, from which everything here is called.
class Loops {
 public:
  virtual ~Loops() = default;
  virtual std::size_t size() const = 0;

  /// Binds in every loop, sharing the port; accepting begins with start(). Errors as Network::listen.
  virtual Result<net::Endpoint> listen(const net::Endpoint& endpoint,
                                       std::shared_ptr<net::TlsContext> tls) = 0;
  virtual void start() = 0;

  virtual void adopt(const RoutingTable& table) = 0;
  /// The version of the oldest snapshot that some loop may still use.
  virtual std::uint64_t adopted() const = 0;
  virtual void set_tls(std::shared_ptr<net::TlsContext> tls) = 0;
  virtual DoorCounters counters() const = 0;

  /// As Proxy::drain, of all loops. Await it once before destruction.
  virtual Task<std::size_t> drain(TimePoint deadline) = 0;
};

/// `count` threads on kernel sockets. `options.on_connect_failed` is called in the control loop.
std::unique_ptr<Loops> make_thread_loops(std::size_t count, ProxyOptions options, Clock& control, Log& log);
/// One loop: that of `network`.
std::unique_ptr<Loops> make_callers_loop(ProxyOptions options, net::Network& network, Log& log);

}  // namespace berth::network
