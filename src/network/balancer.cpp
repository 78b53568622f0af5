#include "network/balancer.h"

#include <algorithm>
#include <utility>

namespace berth::network {

namespace {

/// A target just starting gets a first request soon, so that its slow start can begin at all.
constexpr double weight_min = 0.05;
/// One request, but for rounding: twenty twentieths must buy it.
constexpr double request_price = 1 - 1e-9;
constexpr double credit_max = 2;

bool contains(std::span<const std::size_t> indexes, std::size_t index) {
  return std::ranges::find(indexes, index) != indexes.end();
}

}  // namespace

double slow_start_weight(const RoutedTarget& target, TimePoint now) {
  if (now >= target.slow_start_until) return 1;
  const auto length = std::chrono::duration<double>(target.slow_start_until - target.slow_start_from);
  const auto passed = std::chrono::duration<double>(now - target.slow_start_from);
  return std::clamp(passed / length, weight_min, 1.0);
}

Balancer::Balancer(model::Balancing algorithm, std::size_t start)
    : algorithm_(algorithm), cursor_(start), snapshot_(std::make_shared<Snapshot>()) {}

void Balancer::adopt(std::shared_ptr<const Snapshot> snapshot) {
  snapshot_ = std::move(snapshot);
  preferred_.clear();
  suspects_.clear();
  fail_open_.clear();
  credit_.assign(snapshot_->targets.size(), 0);
  for (std::size_t i = 0; i < snapshot_->targets.size(); ++i) {
    const RoutedTarget& target = snapshot_->targets[i];
    if (target.state == TargetState::healthy) (target.suspect ? suspects_ : preferred_).push_back(i);
    if (target.state == TargetState::unhealthy) fail_open_.push_back(i);
  }
  if (!preferred_.empty() || !suspects_.empty()) fail_open_.clear();
}

std::optional<std::size_t> Balancer::pick(TimePoint now, std::span<const std::size_t> tried,
                                          std::span<const std::size_t> outstanding) {
  for (const auto* const candidates : {&preferred_, &suspects_, &fail_open_}) {
    const auto picked = pick_from(*candidates, now, tried, outstanding);
    if (picked) return picked;
  }
  return std::nullopt;
}

std::optional<std::size_t> Balancer::pick_from(const std::vector<std::size_t>& candidates, TimePoint now,
                                               std::span<const std::size_t> tried,
                                               std::span<const std::size_t> outstanding) {
  if (candidates.empty()) return std::nullopt;
  if (algorithm_ == model::Balancing::round_robin) return rotate(candidates, now, tried);
  return least_loaded(candidates, now, tried, outstanding);
}

std::optional<std::size_t> Balancer::rotate(const std::vector<std::size_t>& candidates, TimePoint now,
                                            std::span<const std::size_t> tried) {
  std::optional<std::size_t> fallback;
  // Each visit earns a target its weight; a whole credit buys a request. A target in slow start is passed
  // over until it has one; when all are in slow start, the one with most credit takes the request.
  for (std::size_t step = 0; step < candidates.size(); ++step) {
    const std::size_t index = candidates[cursor_++ % candidates.size()];
    if (contains(tried, index)) continue;
    const double weight = slow_start_weight(snapshot_->targets[index], now);
    credit_[index] = std::min(credit_[index] + weight, credit_max);
    if (credit_[index] >= request_price) {
      credit_[index] -= 1;
      return index;
    }
    if (!fallback || credit_[index] > credit_[*fallback]) fallback = index;
  }
  if (fallback) credit_[*fallback] -= 1;
  return fallback;
}

std::optional<std::size_t> Balancer::least_loaded(const std::vector<std::size_t>& candidates, TimePoint now,
                                                  std::span<const std::size_t> tried,
                                                  std::span<const std::size_t> outstanding) {
  std::optional<std::size_t> best;
  double best_load = 0;
  const std::size_t start = cursor_++;  // equals take turns
  for (std::size_t step = 0; step < candidates.size(); ++step) {
    const std::size_t index = candidates[(start + step) % candidates.size()];
    if (contains(tried, index)) continue;
    const double load =
        static_cast<double>(outstanding[index] + 1) / slow_start_weight(snapshot_->targets[index], now);
    if (best && load >= best_load) continue;
    best = index;
    best_load = load;
  }
  return best;
}

}  // namespace berth::network
