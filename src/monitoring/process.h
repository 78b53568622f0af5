#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "monitoring/metrics.h"

namespace berth::monitoring {

/// What the kernel says of a process (proc(5): /proc/PID/stat and /proc/PID/fd).
struct ProcessUsage {
  double cpu_seconds = 0;  ///< user and system time
  std::uint64_t resident_bytes = 0;
  std::uint64_t threads = 0;
  std::uint64_t open_descriptors = 0;
};

/// Reads `folder`, "/proc/self" in production. nullopt where there is no such process.
std::optional<ProcessUsage> read_process_usage(const std::string& folder);

/// Under the names that Prometheus clients use everywhere (process_cpu_seconds_total, …).
void write_metrics(MetricsWriter& writer, const ProcessUsage& usage);

}  // namespace berth::monitoring
