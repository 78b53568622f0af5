#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace berth::cluster {

/// One task's log on disk, one JSON object a line. What a task writes that is not a JSON object (a crash
/// report, a stray print) is wrapped into one. Beyond `bytes_max` the file is renamed to `<path>.1`, which
/// replaces the one before, so a task never holds more than twice that on disk.
class LogFile {
 public:
  static constexpr std::size_t bytes_max = 16u << 20;
  static constexpr std::size_t line_bytes_max = 64 * 1024;  ///< longer lines are cut, and say so
  static constexpr std::size_t last_words_max = 20;

  /// Opens for appending; mode 0600.
  static Result<LogFile> open(std::string path, std::string task);
  ~LogFile();
  LogFile(LogFile&& other) noexcept;
  LogFile& operator=(LogFile&&) = delete;

  /// Takes bytes as they come from the task's `source` ("stdout" or "stderr") and writes whole lines.
  void feed(std::string_view source, std::string_view bytes, WallTime now);
  /// The task writes no more: what it left without a line break is its last line.
  void finish(WallTime now);
  /// A line of the supervisor's own about this task.
  void note(std::string_view event, std::string_view text, WallTime now);

  /// The last lines that were not routine: everything but JSON lines below level warning.
  std::vector<std::string> last_words() const { return {last_words_.begin(), last_words_.end()}; }

 private:
  LogFile(std::string path, std::string task, int file, std::uint64_t size);
  void take_line(std::string_view source, std::string_view line, WallTime now);
  void append(std::string line);
  void remember(std::string_view line);

  std::string path_;
  std::string task_;
  int file_;
  std::uint64_t size_;
  std::string out_;  ///< the unfinished line of stdout
  std::string err_;  ///< the unfinished line of stderr
  std::deque<std::string> last_words_;
};

}  // namespace berth::cluster
