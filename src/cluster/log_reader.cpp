#include "cluster/log_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace berth::cluster {

namespace {

/// The value of "time", with which every line of our logs begins; what lacks it sorts first.
std::string_view time_of(std::string_view line) {
  constexpr std::string_view start = R"({"time":")";
  if (!line.starts_with(start)) return {};
  line.remove_prefix(start.size());
  return line.substr(0, line.find('"'));
}

std::string read_at(int descriptor, std::uint64_t offset, std::size_t bytes_max) {
  std::string text(bytes_max, '\0');
  const auto count = ::pread(descriptor, text.data(), text.size(), static_cast<off_t>(offset));
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

void split_lines(std::string_view text, std::vector<std::string>& out) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    out.emplace_back(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
}

}  // namespace

LogReader::~LogReader() {
  for (const auto& [name, file] : files_) {
    if (file.descriptor >= 0) ::close(file.descriptor);
  }
}

void LogReader::open(const std::string& name, std::uint64_t from) {
  const int descriptor = ::open((folder_ + "/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info{};
  if (descriptor < 0 || ::fstat(descriptor, &info) != 0) return;
  File& file = files_[name];
  if (file.descriptor >= 0) ::close(file.descriptor);
  file.descriptor = descriptor;
  file.inode = info.st_ino;
  file.offset = from;
}

void LogReader::find_files() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool wanted = task_.empty() ? name.starts_with("task-") : name == "task-" + task_ + ".jsonl";
    if (wanted && name.ends_with(".jsonl") && !files_.contains(name)) open(name, 0);
  }
}

std::string LogReader::last_lines(std::size_t lines_max) {
  find_files();
  std::vector<std::string> lines;
  for (auto& [name, file] : files_) {
    struct stat info{};
    if (::fstat(file.descriptor, &info) != 0) continue;
    const auto size = static_cast<std::uint64_t>(info.st_size);
    const std::uint64_t from = size > tail_bytes_max ? size - tail_bytes_max : 0;
    std::string text = read_at(file.descriptor, from, static_cast<std::size_t>(size - from));
    if (from > 0) text.erase(0, text.find('\n') + 1);
    // An unfinished line is left for the next reading.
    text.resize(text.rfind('\n') + 1);
    file.offset = size - (size - from - text.size());
    if (from == 0) file.offset = text.size();
    split_lines(text, lines);
  }
  std::ranges::stable_sort(lines, {}, [](const std::string& line) { return time_of(line); });
  std::string out;
  for (std::size_t i = lines.size() - std::min(lines.size(), lines_max); i < lines.size(); ++i)
    out += lines[i];
  return out;
}

std::string LogReader::read_added(const std::string& name, File& file) {
  std::string text = read_at(file.descriptor, file.offset, read_bytes_max);
  if (text.empty()) {
    struct stat info{};
    const bool there = ::stat((folder_ + "/" + name).c_str(), &info) == 0;
    // Rotated: what is under the name now is another file, and the one read so far is complete.
    if (there && info.st_ino != file.inode) open(name, 0);
    return {};
  }
  file.offset += text.size();
  file.rest += text;
  const std::size_t end = file.rest.rfind('\n') + 1;
  std::string lines = file.rest.substr(0, end);
  file.rest.erase(0, end);
  return lines;
}

std::string LogReader::added_lines() {
  find_files();
  std::string out;
  for (auto& [name, file] : files_) out += read_added(name, file);
  return out;
}

}  // namespace berth::cluster
