#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"

namespace berth::net {

/// A loopback, private or public IP address and TCP port, or the path of a Unix socket.
struct Endpoint {
  std::string host;        ///< numeric IPv4/IPv6 address, or "unix:/path"
  std::uint16_t port = 0;  ///< 0 to listen on any free port; unused for Unix sockets

  auto operator<=>(const Endpoint&) const = default;
  bool is_unix() const { return host.starts_with("unix:"); }
};
/// "127.0.0.1:3000", "[::1]:3000", "unix:/path".
std::string to_string(const Endpoint& endpoint);
/// Parses what to_string writes; also "localhost:PORT" (as 127.0.0.1).
Result<Endpoint> parse_endpoint(std::string_view text);

/// A byte stream: TCP, TLS, pipe or in-memory. One reader and one writer at a time; both may overlap.
/// All operations return on the owning event loop.
class Stream {
 public:
  virtual ~Stream() = default;

  /// At least one byte into `into`, or 0 at the end of the stream.
  virtual Task<Result<std::size_t>> read_some(std::span<char> into) = 0;

  /// All of `data`. Tries the kernel first, so small writes rarely suspend.
  virtual Task<Result<void>> write(std::string_view data) = 0;

  /// Both parts in one go (writev where there is one): a head and its body without copying.
  virtual Task<Result<void>> write(std::string_view first, std::string_view second) = 0;

  /// Ends the writing side (shutdown(SHUT_WR), TLS close_notify, closing a pipe's write end).
  virtual void close_write() = 0;

  /// Closes at once; operations under way return `cancelled` or `unavailable`.
  virtual void close() = 0;

  /// Operations under way after `when` fail with deadline_exceeded. A write that fails so closes the stream;
  /// a read leaves it open, so that with a new deadline a server can still write why it hangs up. One
  /// watchdog a stream; `std::nullopt` disarms.
  virtual void set_deadline(std::optional<TimePoint> when) = 0;

  /// Calls `callback` once when the peer has closed or reset while nobody reads (bytes that arrive are left
  /// unread, and end the watch without a call). nullptr cancels the watch. Used to notice that a client
  /// has gone while its answer is being made; cheap to arm and cancel.
  virtual void watch_peer_close(std::function<void()> callback) = 0;

  /// Whether the peer has neither sent bytes nor ended the stream since the last read: what an idle pooled
  /// connection must be to carry another request. Asks the kernel at once (a peek), when nobody reads.
  virtual bool quiet() { return true; }

  /// Bytes written to a pipe that are still in it: once its reading side has ended for good, bytes that
  /// nobody
  /// has read nor will (FIONREAD, which Linux answers at either end of a pipe). 0 for other streams.
  virtual std::size_t unread() const { return 0; }

  /// Local and remote ends; empty host where there is none (pipes).
  virtual Endpoint local() const = 0;
  virtual Endpoint remote() const = 0;

  /// ALPN, TLS version and cipher are for logs only; empty on clear streams.
  virtual std::string security() const { return {}; }
};

}  // namespace berth::net
