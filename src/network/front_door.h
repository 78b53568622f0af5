#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/task.h"
#include "model/spec.h"
#include "monitoring/metrics.h"
#include "net/network.h"
#include "net/tls.h"
#include "network/target_group.h"

/// The load balancer on one machine: an HTTP and an HTTPS listener in front of a target group. It knows
/// nothing of MCP and nothing of sessions. Bodies and events stream both ways without being buffered;
/// statuses have the meanings of an Application Load Balancer
/// (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html):
///   400 malformed request   405 TRACE and CONNECT   408 the client was too slow   414, 431 head too large
///   501 transfer coding   502 the target refused, reset, closed early or answered what is no HTTP
///   503 no target may get requests   504 the target took longer than connect or idle timeout   505 version
/// An answer of its own is `{"error":…,"message":…}` with `Server: berth`.
namespace berth::network {

struct FrontDoorOptions {
  model::ListenerSpec listener;
  model::LimitsSpec limits;
  std::shared_ptr<net::TlsContext> tls;  ///< null: no HTTPS listener
  /// own_threads: `listener.threads` loops on kernel sockets. callers_loop: one loop, that of the Network
  /// given, which may be an in-memory one on simulated time.
  enum class Loops : std::uint8_t { own_threads, callers_loop } loops = Loops::own_threads;
};

struct FrontDoorTotals {
  std::uint64_t requests = 0;     ///< answered, by a target or by the front door itself
  std::uint64_t own_answers = 0;  ///< of these, errors of the front door's own
  std::uint64_t retries = 0;      ///< given to another connection or target
  std::size_t connections = 0;    ///< client connections open now
  std::size_t in_flight = 0;      ///< requests being answered now
};

/// All members are called from the event loop of the Network it was made with (the control loop).
class FrontDoor {
 public:
  virtual ~FrontDoor() = default;

  /// Where it listens; the real ports. HTTP is on loopback only: on 127.0.0.1 when the listener's address is
  /// another one. HTTPS is absent without a certificate.
  virtual std::optional<net::Endpoint> http() const = 0;
  virtual std::optional<net::Endpoint> https() const = 0;

  /// Begins checking the target's health; requests follow at its first good answer. conflict when the id is
  /// registered already, unless it is draining.
  virtual Result<void> register_target(Target target) = 0;
  /// No new requests for it from now on. Resumes when the target has left: nothing is in flight any more, or
  /// the deregistration delay has passed. At once for an unknown id.
  virtual Task<void> deregister_target(std::string id) = 0;
  /// Takes a target that is known to be dead out at once.
  virtual void remove_target(std::string_view id) = 0;

  virtual std::vector<TargetHealth> targets() const = 0;
  /// Called after each change of a target's state; one listener, nullptr to stop. May call this object.
  virtual void on_change(std::function<void(const TargetChange&)> callback) = 0;

  /// New connections use this certificate from now on.
  virtual void set_tls(std::shared_ptr<net::TlsContext> tls) = 0;

  virtual FrontDoorTotals totals() const = 0;
  virtual void write_metrics(monitoring::MetricsWriter& writer) const = 0;

  /// Stops accepting, closes idle connections, lets requests in flight finish and cuts what is left at
  /// `deadline`; returns how many were cut. Ends health checks. Await it before destruction.
  virtual Task<std::size_t> drain(TimePoint deadline) = 0;
};

/// Binds and starts serving. `listener.http_port`/`https_port` unset: the first free port from 8080/8443.
/// Errors: conflict (port in use, with the remedy), permission_denied, invalid_argument. `network` and `log`
/// outlive it; `log` is used from several threads.
Result<std::unique_ptr<FrontDoor>> make_front_door(FrontDoorOptions options, net::Network& network, Log& log);

}  // namespace berth::network
