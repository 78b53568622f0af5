#include "task/host/memory_use.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "base/descriptor.h"

namespace berth::task {

namespace {

constexpr std::size_t file_bytes_max = 16 * 1024;

struct MemoryGroup {
  std::vector<std::string> folders;  ///< where its files may be: a container sees its own group as the root
  bool is_second_version = false;
};

/// The whole of a small file of the kernel; empty when it cannot be read.
std::string read_kernel_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  if (file.number() >= 0) static_cast<void>(read_all(file.number(), file_bytes_max, text));
  return text;
}

std::optional<std::string_view> take_line(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

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

/// The number behind `key` in a file of "key number" lines; with an empty key, the number a file is.
std::optional<std::uint64_t> read_figure(const std::string& path, const std::string& key = {}) {
  const std::string text = read_kernel_file(path);
  const std::string start = key.empty() ? key : key + " ";
  std::string_view rest = text;
  while (const auto line = take_line(rest)) {
    if (!line->starts_with(start)) continue;
    std::uint64_t value = 0;
    const char* const end = line->data() + line->size();
    if (std::from_chars(line->data() + start.size(), end, value).ec == std::errc{}) return value;
  }
  return std::nullopt;
}

}  // namespace

std::optional<MemoryUse> read_memory_use(const std::string& membership, const std::string& root) {
  const auto group = find_memory_group(membership, root);
  if (!group) return std::nullopt;
  const bool second = group->is_second_version;
  for (const std::string& folder : group->folders) {
    const auto used = read_figure(folder + "/memory.stat", second ? "anon" : "total_rss");
    if (!used) continue;
    MemoryUse use{.used = *used};
    // "max" in version 2 is no number; version 1 writes the largest one that is a multiple of a page.
    const std::uint64_t none = std::uint64_t{1} << 62;
    const auto limit = read_figure(folder + (second ? "/memory.max" : "/memory.limit_in_bytes"));
    if (limit && *limit < none) use.limit = *limit;
    const auto kills = read_figure(folder + (second ? "/memory.events" : "/memory.oom_control"), "oom_kill");
    use.kills = kills.value_or(0);
    return use;
  }
  return std::nullopt;
}

}  // namespace berth::task
