#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "model/spec.h"
#include "network/target_group.h"

namespace berth::network {

/// Chooses a target for each request of one event loop. Pure: the snapshot, the time and the load come in.
/// Healthy targets first; those a connection was just refused by only when no other is left; unhealthy ones
/// only when no target is healthy at all (fail open, as an Application Load Balancer does: a wrong health
/// check must not take the service down). Initial and draining targets never.
class Balancer {
 public:
  /// `start` spreads the first choices of several loops.
  explicit Balancer(model::Balancing algorithm, std::size_t start = 0);

  void adopt(std::shared_ptr<const Snapshot> snapshot);
  const Snapshot& snapshot() const { return *snapshot_; }

  /// An index into snapshot().targets, or nullopt when none may be tried: there is none, or all are in
  /// `tried`. `outstanding` holds the requests in flight by index (least outstanding requests only).
  std::optional<std::size_t> pick(TimePoint now, std::span<const std::size_t> tried,
                                  std::span<const std::size_t> outstanding);

 private:
  std::optional<std::size_t> pick_from(const std::vector<std::size_t>& candidates, TimePoint now,
                                       std::span<const std::size_t> tried,
                                       std::span<const std::size_t> outstanding);
  std::optional<std::size_t> rotate(const std::vector<std::size_t>& candidates, TimePoint now,
                                    std::span<const std::size_t> tried);
  std::optional<std::size_t> least_loaded(const std::vector<std::size_t>& candidates, TimePoint now,
                                          std::span<const std::size_t> tried,
                                          std::span<const std::size_t> outstanding);

  model::Balancing algorithm_;
  std::size_t cursor_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<std::size_t> preferred_;  ///< healthy and not suspect
  std::vector<std::size_t> suspects_;   ///< healthy and suspect
  std::vector<std::size_t> fail_open_;  ///< unhealthy; empty while any target is healthy
  std::vector<double> credit_;          ///< by index: what slow start has not spent yet
};

/// The share of a full target's requests that `target` gets now: (0, 1].
double slow_start_weight(const RoutedTarget& target, TimePoint now);

}  // namespace berth::network
