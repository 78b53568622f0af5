#include "cluster/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/log.h"
#include "codec/json.h"

namespace berth::cluster {

namespace {

Result<int> open_for_append(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return Failure(errno_error(errno, "cannot open the log " + path));
  return file;
}

/// A JSON line of a level below warning is routine.
bool is_routine(json::Slice line) {
  const auto level = line.find("level").as_plain_string();
  return level && (*level == "debug" || *level == "info");
}

}  // namespace

Result<LogFile> LogFile::open(std::string path, std::string task) {
  const auto file = open_for_append(path);
  if (!file) return Failure(file.error());
  struct stat status{};
  const bool known = ::fstat(*file, &status) == 0;
  return LogFile(std::move(path), std::move(task), *file,
                 known ? static_cast<std::uint64_t>(status.st_size) : 0);
}

LogFile::LogFile(std::string path, std::string task, int file, std::uint64_t size)
    : path_(std::move(path)), task_(std::move(task)), file_(file), size_(size) {}

LogFile::LogFile(LogFile&& other) noexcept
    : path_(std::move(other.path_)),
      task_(std::move(other.task_)),
      file_(std::exchange(other.file_, -1)),
      size_(other.size_),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      last_words_(std::move(other.last_words_)) {}

LogFile::~LogFile() {
  if (file_ >= 0) ::close(file_);
}

void LogFile::feed(std::string_view source, std::string_view bytes, WallTime now) {
  std::string& rest = source == "stderr" ? err_ : out_;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    const std::size_t room = line_bytes_max - std::min(line_bytes_max, rest.size());
    rest.append(part.substr(0, room));
    if (end == std::string_view::npos) return;
    if (!rest.empty()) take_line(source, rest, now);
    rest.clear();
    bytes.remove_prefix(end + 1);
  }
}

void LogFile::finish(WallTime now) {
  if (!out_.empty()) take_line("stdout", std::exchange(out_, {}), now);
  if (!err_.empty()) take_line("stderr", std::exchange(err_, {}), now);
}

void LogFile::note(std::string_view event, std::string_view text, WallTime now) {
  append(fmt::format(R"({{"time":"{}","level":"info","event":{},"task":{},"message":{}}})", to_rfc3339(now),
                     json_quote(event), json_quote(task_), json_quote(text)));
}

void LogFile::take_line(std::string_view source, std::string_view line, WallTime now) {
  const auto parsed = json::parse(line);
  if (parsed && parsed->is(json::Kind::object)) {
    if (!is_routine(*parsed)) remember(line);
    append(std::string(line));
    return;
  }
  remember(line);
  append(fmt::format(
      R"({{"time":"{}","level":"warning","event":"output","task":{},"source":"{}","message":{}}})",
      to_rfc3339(now), json_quote(task_), source, json_quote(line)));
}

void LogFile::remember(std::string_view line) {
  last_words_.emplace_back(line);
  if (last_words_.size() > last_words_max) last_words_.pop_front();
}

void LogFile::append(std::string line) {
  line += '\n';
  if (size_ + line.size() > bytes_max && size_ > 0) {
    ::close(file_);
    ::rename(path_.c_str(), (path_ + ".1").c_str());
    const auto fresh = open_for_append(path_);
    file_ = fresh ? *fresh : -1;
    size_ = 0;
  }
  // A full disk loses log lines, not the service.
  if (file_ >= 0 && ::write(file_, line.data(), line.size()) > 0) size_ += line.size();
}

}  // namespace berth::cluster
