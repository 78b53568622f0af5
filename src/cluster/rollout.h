#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cluster/service.h"

namespace berth::cluster {

/// How often a task of a new revision is looked at until it serves.
inline constexpr Duration proof_interval = std::chrono::milliseconds(200);
/// What a task may take to serve besides the start of its slowest server.
inline constexpr Duration proof_reserve = std::chrono::seconds(10);
/// How long the health checks may take after that.
inline constexpr Duration admission_patience = std::chrono::seconds(30);

/// A replacement of every task that is under way, and what it would go back to.
struct Rollout {
  TaskRevision before;
  std::uint64_t revision_before = 0;
  std::vector<std::string> answered;  ///< servers that a task of before answers for, as successors must
  std::size_t failures = 0;           ///< tasks of the new revision that ended before they were ready
};

}  // namespace berth::cluster
