#pragma once

#include <memory>

#include "net/stream.h"

namespace berth::net {

/// Accepts streams on one bound endpoint.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual Task<Result<std::unique_ptr<Stream>>> accept() = 0;
  /// The real port when 0 was asked for.
  virtual Endpoint local() const = 0;
  /// Stops accepting and releases the port at once; a pending accept returns `cancelled`.
  virtual void close() = 0;
};

enum class PortSharing : std::uint8_t { exclusive, reuse_port };

/// The door to the network: kernel sockets in production, make_memory_network in tests.
class Network {
 public:
  virtual ~Network() = default;
  /// Errors name the endpoint: conflict (in use; with the remedy), permission_denied, invalid_argument.
  virtual Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint,
                                                   PortSharing sharing = PortSharing::exclusive) = 0;
  virtual Task<Result<std::unique_ptr<Stream>>> connect(const Endpoint& endpoint, TimePoint deadline) = 0;
  virtual Clock& clock() = 0;
};

/// Kernel TCP and Unix sockets, non-blocking, TCP_NODELAY. `clock` outlives the network and its streams.
std::unique_ptr<Network> make_network(Clock& clock);

}  // namespace berth::net
