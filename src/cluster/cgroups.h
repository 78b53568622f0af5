#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace berth::cluster {

/// CPU and memory limits of one task.
struct CgroupLimits {
  double cpu = 0.5;  ///< cores: quota of a 100 ms period
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;
};

/// The control groups of a service: one group a task under groups of our own, in cgroup v2 (one tree) or v1
/// (cpu and memory hierarchies). Never touches a group it did not make. Where the machine does not let us,
/// `enforced()` is false and `explanation()` says why; tasks then run without limits.
/// Sources: kernel docs admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, scheduler/sched-bwc.rst.
class Cgroups {
 public:
  virtual ~Cgroups() = default;
  virtual bool enforced() const = 0;
  /// "CPU and memory limits are enforced by cgroup v2." or why they are not and what would change that.
  virtual const std::string& explanation() const = 0;
  /// Makes the group of a task (or reuses an empty one) and returns the folders whose cgroup.procs its first
  /// process joins before exec; none when not enforced.
  virtual Result<std::vector<std::string>> make_group(std::string_view task, const CgroupLimits& limits) = 0;
  /// How many processes of a task's group the kernel has killed because its memory was used up.
  virtual std::uint64_t memory_kills(std::string_view task) const = 0;
  /// Removes a task's group once its processes are gone; quietly leaves one that is still busy.
  virtual void remove_group(std::string_view task) = 0;
};

/// Looks below `root` (normally /sys/fs/cgroup) and tries to make the service's parent group
/// `berth/<service>-<unique>`. Its destructor removes every group that is empty.
std::unique_ptr<Cgroups> make_cgroups(std::string root, std::string service, std::string unique);

}  // namespace berth::cluster
