#pragma once

#include <cstddef>

#include "base/log.h"
#include "net/stream.h"

namespace berth::net {

/// What the connections of a listener have to live on.
struct ConnectionBudget {
  std::size_t descriptors_max = 0;  ///< of the process: Network::descriptors_max
  std::size_t reserved = 0;         ///< for everything but connections
  std::size_t each = 1;             ///< of a connection: its own, and those of what it makes us open
};

/// The connections that fit, `wanted` at most and a few in any case.
std::size_t connections_within(const ConnectionBudget& budget, std::size_t wanted);

/// The same, and a warning when it is fewer than `wanted`.
std::size_t limit_connections(const ConnectionBudget& budget, std::size_t wanted, Log& log);

}  // namespace berth::net
