#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace berth::cluster {

/// CPU time and memory of a process and all its descendants that live now.
struct TreeUsage {
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::size_t processes = 0;
};

/// Follows /proc/PID/task/*/children (proc(5)) below `proc_root`, at most processes_max of them.
TreeUsage read_tree_usage(const std::string& proc_root, pid_t pid);

inline constexpr std::size_t tree_processes_max = 1000;

}  // namespace berth::cluster
