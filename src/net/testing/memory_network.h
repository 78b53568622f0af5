#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "net/network.h"

namespace berth::net::testing {

/// Two ends of an in-memory stream, each with a bounded buffer (64 KiB), so backpressure is real.
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> make_stream_pair(Clock& clock);

/// A network of in-memory streams on one event loop and a (usually simulated) clock. Connecting to an
/// endpoint nobody listens on fails with `unavailable`, as a refused connection does.
class MemoryNetwork : public Network {
 public:
  /// New connections to `endpoint` fail until heal(); existing ones are cut.
  virtual void cut(const Endpoint& endpoint) = 0;
  virtual void heal(const Endpoint& endpoint) = 0;
};
std::unique_ptr<MemoryNetwork> make_memory_network(Clock& clock);

}  // namespace berth::net::testing
