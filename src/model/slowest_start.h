#pragma once

#include <algorithm>

#include "model/spec.h"

namespace berth::model {

/// The longest start_timeout of the servers: what a task may take to start all of them.
inline Milliseconds slowest_start(const Spec& spec) {
  Milliseconds longest{0};
  for (const ServerSpec& server : spec.servers) longest = std::max(longest, server.start_timeout);
  return longest;
}

}  // namespace berth::model
