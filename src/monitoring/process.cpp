#include "monitoring/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>
#include <vector>

namespace berth::monitoring {

namespace {

std::string read_small_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {};
  std::array<char, 4096> buffer;
  const auto count = ::read(descriptor, buffer.data(), buffer.size());
  ::close(descriptor);
  return count > 0 ? std::string(buffer.data(), static_cast<std::size_t>(count)) : std::string();
}

std::uint64_t count_entries(const std::string& folder) {
  DIR* const directory = ::opendir(folder.c_str());
  if (directory == nullptr) return 0;
  std::uint64_t entries = 0;
  while (const dirent* const entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') ++entries;
  }
  ::closedir(directory);
  // The descriptor of the folder itself was among them.
  return entries > 0 ? entries - 1 : 0;
}

/// The numbers after the command name, which may hold spaces and parentheses itself: field 3 (state) is
/// index 0.
std::vector<std::uint64_t> stat_fields(std::string_view text) {
  std::vector<std::uint64_t> fields;
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return fields;
  text.remove_prefix(name_end + 1);
  while (!text.empty()) {
    const std::size_t begin = text.find_first_not_of(" \n");
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin);
    const std::string_view word = text.substr(0, text.find_first_of(" \n"));
    std::uint64_t value = 0;
    std::from_chars(word.data(), word.data() + word.size(), value);
    fields.push_back(value);
    text.remove_prefix(word.size());
  }
  return fields;
}

}  // namespace

std::optional<ProcessUsage> read_process_usage(const std::string& folder) {
  // Indices are the numbers of proc_pid_stat(5) minus 3.
  constexpr std::size_t user_time = 14 - 3;
  constexpr std::size_t system_time = 15 - 3;
  constexpr std::size_t threads = 20 - 3;
  constexpr std::size_t resident_pages = 24 - 3;
  const auto fields = stat_fields(read_small_file(folder + "/stat"));
  if (fields.size() <= resident_pages) return std::nullopt;
  ProcessUsage usage;
  const double ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  usage.cpu_seconds = static_cast<double>(fields[user_time] + fields[system_time]) / ticks_per_second;
  usage.threads = fields[threads];
  usage.resident_bytes = fields[resident_pages] * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  usage.open_descriptors = count_entries(folder + "/fd");
  return usage;
}

void write_metrics(MetricsWriter& writer, const ProcessUsage& usage) {
  writer.counter("process_cpu_seconds_total", "User and system CPU time.", {}, usage.cpu_seconds);
  writer.gauge("process_resident_memory_bytes", "Resident memory.", {},
               static_cast<double>(usage.resident_bytes));
  writer.gauge("process_open_fds", "Open file descriptors.", {}, static_cast<double>(usage.open_descriptors));
  writer.gauge("process_threads", "Threads.", {}, static_cast<double>(usage.threads));
}

}  // namespace berth::monitoring
