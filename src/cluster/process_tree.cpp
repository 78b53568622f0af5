#include "cluster/process_tree.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <vector>

#include "monitoring/process.h"

namespace berth::cluster {

namespace {

void append_pids(const std::string& path, std::vector<pid_t>& out) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  std::string text(16 * 1024, '\0');
  const auto count = ::read(file, text.data(), text.size());
  ::close(file);
  const char* at = text.data();
  const char* const end = at + (count > 0 ? count : 0);
  while (at < end) {
    pid_t pid = 0;
    const auto parsed = std::from_chars(at, end, pid);
    if (parsed.ec == std::errc()) out.push_back(pid);
    at = parsed.ptr + 1;
  }
}

}  // namespace

TreeUsage read_tree_usage(const std::string& proc_root, pid_t pid) {
  TreeUsage usage;
  std::vector<pid_t> waiting{pid};
  while (!waiting.empty() && usage.processes < tree_processes_max) {
    const std::string folder = proc_root + "/" + std::to_string(waiting.back());
    waiting.pop_back();
    const auto one = monitoring::read_process_usage(folder);
    if (!one) continue;
    usage.cpu_seconds += one->cpu_seconds;
    usage.resident_bytes += one->resident_bytes;
    ++usage.processes;
    std::error_code ignored;
    for (const auto& thread : std::filesystem::directory_iterator(folder + "/task", ignored)) {
      append_pids(thread.path().string() + "/children", waiting);
    }
  }
  return usage;
}

}  // namespace berth::cluster
