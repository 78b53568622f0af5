#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace berth::task {

/// The memory of a group of processes: what they hold, what they may, and how many the kernel killed for it.
struct MemoryUse {
  std::uint64_t used = 0;   ///< without what the kernel can drop (page cache)
  std::uint64_t limit = 0;  ///< 0: none
  std::uint64_t kills = 0;
  std::uint64_t own = 0;  ///< of `used`, what this process itself holds; at least
};

/// Of the control group (version 1 or 2) this process is in; nullopt when it cannot be read. `membership` is
/// the file that names the group, `root` where groups are mounted.
std::optional<MemoryUse> read_memory_use(const std::string& membership = "/proc/self/cgroup",
                                         const std::string& root = "/sys/fs/cgroup");

}  // namespace berth::task
