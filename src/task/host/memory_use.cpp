#include "task/host/memory_use.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "base/kernel_file.h"

namespace berth::task {

namespace {

struct MemoryGroup {
  std::vector<std::string> folders;  ///< where its files may be: a container sees its own group as the root
  bool is_second_version = false;
};

std::optional<MemoryGroup> find_memory_group(const std::string& membership, const std::string& root) {
  const std::string text = read_kernel_file(membership);
  std::string_view rest = text;
  std::optional<MemoryGroup> found;
  while (const auto line = take_line(rest)) {
    const std::size_t first = line->find(':');
    const std::size_t second = first == std::string_view::npos ? first : line->find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string controllers = "," + std::string(line->substr(first + 1, second - first - 1)) + ",";
    const std::string path(line->substr(second + 1));
    if (controllers.find(",memory,") != std::string::npos) {
      return MemoryGroup{{root + "/memory" + path, root + "/memory"}, false};
    }
    if (controllers == ",,") found = MemoryGroup{{root + path, root}, true};
  }
  return found;
}

/// What this process holds resident that is of no file: the second number of statm without the third, which
/// are pages.
std::uint64_t own_bytes() {
  std::uint64_t pages[3] = {};
  const std::string text = read_kernel_file("/proc/self/statm");
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::uint64_t& number : pages) {
    while (at != end && *at == ' ') ++at;
    at = std::from_chars(at, end, number).ptr;
  }
  return (pages[1] - std::min(pages[1], pages[2])) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

std::optional<MemoryUse> read_memory_use(const std::string& membership, const std::string& root) {
  const auto group = find_memory_group(membership, root);
  if (!group) return std::nullopt;
  const bool second = group->is_second_version;
  for (const std::string& folder : group->folders) {
    const auto used = read_kernel_figure(folder + "/memory.stat", second ? "anon" : "total_rss");
    if (!used) continue;
    MemoryUse use{.used = *used};
    // "max" in version 2 is no number; version 1 writes the largest one that is a multiple of a page.
    const std::uint64_t none = std::uint64_t{1} << 62;
    const auto limit = read_kernel_figure(folder + (second ? "/memory.max" : "/memory.limit_in_bytes"));
    if (limit && *limit < none) use.limit = *limit;
    const auto kills =
        read_kernel_figure(folder + (second ? "/memory.events" : "/memory.oom_control"), "oom_kill");
    use.kills = kills.value_or(0);
    use.own = own_bytes();
    return use;
  }
  return std::nullopt;
}

}  // namespace berth::task
