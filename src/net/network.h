#pragma once

#include <limits>
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
  /// Releases the port at once. What the kernel had accepted by then still comes from accept(), so that
  /// nobody's request on it is lost; after that it returns `cancelled`.
  virtual void close() = 0;
};

/// exclusive: nobody else has the port. first: the same, but listeners of this user that ask as `further` may
/// join (SO_REUSEPORT); the kernel spreads connections over them. Somebody who has not asked `first` joins
/// whoever has: a port that is to be one's own is claimed so before it is shared.
enum class PortSharing : std::uint8_t { exclusive, first, further };

/// The door to the network: kernel sockets in production, make_memory_network in tests.
class Network {
 public:
  virtual ~Network() = default;
  /// Errors name the endpoint: conflict (in use; with the remedy), permission_denied, invalid_argument.
  virtual Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint,
                                                   PortSharing sharing = PortSharing::exclusive) = 0;
  virtual Task<Result<std::unique_ptr<Stream>>> connect(const Endpoint& endpoint, TimePoint deadline) = 0;
  virtual Clock& clock() = 0;
  /// How many sockets, pipes and files this process may have open at once.
  virtual std::size_t descriptors_max() const { return std::numeric_limits<std::size_t>::max(); }
};

/// Kernel TCP and Unix sockets, non-blocking, TCP_NODELAY. `clock` outlives the network and its streams.
std::unique_ptr<Network> make_network(Clock& clock);

}  // namespace berth::net
