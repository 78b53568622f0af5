#include "net/connection_budget.h"

#include <algorithm>

#include "base/check.h"

namespace berth::net {

namespace {
/// Below that there is no service to speak of, whatever the limit.
constexpr std::size_t connections_min = 8;
}  // namespace

std::size_t connections_within(const ConnectionBudget& budget, std::size_t wanted) {
  BERTH_CHECK(budget.each > 0, "a connection is a descriptor");
  const std::size_t left = budget.descriptors_max - std::min(budget.reserved, budget.descriptors_max);
  return std::min(wanted, std::max(connections_min, left / budget.each));
}

std::size_t limit_connections(const ConnectionBudget& budget, std::size_t wanted, Log& log) {
  const std::size_t fitting = connections_within(budget, wanted);
  if (fitting < wanted) {
    log.warning("connections_max_lowered", {{"connections_max", wanted},
                                            {"allowed", fitting},
                                            {"descriptors", budget.descriptors_max},
                                            {"remedy", "raise the limit of open files (ulimit -n)"}});
  }
  return fitting;
}

}  // namespace berth::net
