#pragma once

#include <sys/types.h>

#include <cstddef>

#include "net/separation.h"

namespace berth::net {

/// Everything a forked child needs, made before the fork: between fork and exec only async-signal-safe calls
/// are allowed, because another thread may have held any lock at the fork (signal-safety(7)).
struct ChildImage {
  const char* path = nullptr;  ///< of the executable
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;  ///< null: inherited
  int stdio[3] = {-1, -1, -1};      ///< all above 2
  const int* cgroups = nullptr;     ///< open cgroup.procs files
  std::size_t cgroup_count = 0;
  SeparationImage separation;
  int report = -1;  ///< takes ChildReports; closed by the exec
};

enum class ChildStep : int { join_cgroup, change_directory, redirect, separate, execute, fork };

/// What could not be done, and errno. Only after `separate` the child goes on.
struct ChildReport {
  ChildStep step;
  int number;
};

/// What a keeper tells over its status pipe: first the pid of the process, at the end its wait status.
struct KeeperReport {
  pid_t pid;
  int wait_status;
};

/// Asks a keeper to kill every descendant now.
int keeper_kill_signal();

/// Becomes the process: own group, killed with its parent, clean signals, no inherited descriptors. Runs in a
/// forked child with all signals blocked; `parent` is who forked it.
[[noreturn]] void become_process(const ChildImage& image, pid_t parent);

/// Becomes a keeper that starts the process as its child, forwards signals to its group, and kills every
/// descendant when the process or `parent` ends. Runs in a forked child with all signals blocked.
[[noreturn]] void become_keeper(const ChildImage& image, pid_t parent, int status_pipe);

}  // namespace berth::net
