#pragma once

#include <memory>

#include "base/log.h"
#include "http/service.h"
#include "net/network.h"
#include "net/tls.h"

namespace berth::http {

/// Limits of one listener. Each has a name in berth.yaml (`limits.*`) and a documented answer.
struct ServerLimits {
  std::size_t head_bytes_max = 64 * 1024;            ///< 431 above
  std::size_t head_fields_max = 100;                 ///< 431 above
  std::size_t target_bytes_max = 16 * 1024;          ///< 414 above
  std::size_t connections_max = 10'000;              ///< above, the longest idle one makes way
  Duration head_timeout = std::chrono::seconds(10);  ///< from the first byte of a head; 408
  /// Between requests. Longer than the balancer's in front, which otherwise sends a request on a connection
  /// that has just closed and answers 502: an ALB's is 60 s by default and 120 s in Berth's template.
  Duration idle_timeout = std::chrono::seconds(130);
  Duration body_timeout = std::chrono::seconds(60);   ///< whole body; 408
  Duration write_timeout = std::chrono::seconds(60);  ///< one write that makes no progress; closes
  /// How long a drain goes on accepting while connections are open.
  Duration drain_grace = std::chrono::milliseconds(250);
  /// How long it does so in any case, where a balancer hears of the drain later than we do.
  Duration drain_accept = Duration::zero();
};

/// Serves HTTP/1.1 (RFC 9112) on one listener until stopped. Keep-alive, pipelining (answered in order),
/// Expect: 100-continue, HEAD, chunked both ways. Request smuggling shapes (RFC 9112 §6.3: both
/// Content-Length and Transfer-Encoding, repeated differing lengths, bare LF, obs-fold) answer 400 and close.
class Server {
 public:
  virtual ~Server() = default;
  virtual net::Endpoint local() const = 0;
  virtual std::size_t connections() const = 0;
  /// From now on every answer says Connection: close. For a while (limits.drain_grace and drain_accept,
  /// at most half of the time) it still accepts and waits on idle connections, because a balancer may just
  /// have handed over a request; then it stops accepting, idle connections close, and the rest after their
  /// current answer. At `deadline` what is left is cancelled. Returns how many exchanges were cut. Await it
  /// before destruction. A second call while the first runs may bring the deadline forward, and returns 0 at
  /// once.
  virtual Task<std::size_t> drain(TimePoint deadline) = 0;
  /// From now on new connections are secured by `tls`; those that are open go on as they are. Only for a
  /// server that was made with TLS.
  virtual void set_tls(std::shared_ptr<net::TlsContext> tls) = 0;
};

/// Starts serving at once. `tls` null: clear text. Everything passed outlives the server.
std::unique_ptr<Server> make_server(std::unique_ptr<net::Listener> listener,
                                    std::shared_ptr<net::TlsContext> tls, Service& service, Clock& clock,
                                    Log& log, ServerLimits limits);

}  // namespace berth::http
