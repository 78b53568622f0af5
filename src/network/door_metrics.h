#pragma once

#include <vector>

#include "monitoring/metrics.h"
#include "network/loops.h"
#include "network/target_group.h"

namespace berth::network {

void write_metrics(monitoring::MetricsWriter& writer, const DoorCounters& counters,
                   const std::vector<TargetHealth>& targets);

}  // namespace berth::network
