#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace berth::cluster {

/// Reads the log files of tasks while they are written: first the last lines of all in the order of time,
/// then whatever is added, also across a file's rotation and to files that appear later.
class LogReader {
 public:
  /// `task` empty: every task.
  LogReader(std::string folder, std::string task) : folder_(std::move(folder)), task_(std::move(task)) {}
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  /// At most `lines_max` lines, each with its line break. Looks at the last tail_bytes_max of each file.
  std::string last_lines(std::size_t lines_max);
  /// Whole lines that were added since; at most read_bytes_max a file and call.
  std::string added_lines();

  static constexpr std::size_t tail_bytes_max = 4u << 20;
  static constexpr std::size_t read_bytes_max = 256 * 1024;

 private:
  struct File {
    int descriptor = -1;
    ino_t inode = 0;
    std::uint64_t offset = 0;
    std::string rest;  ///< an unfinished line
  };
  void find_files();
  void open(const std::string& name, std::uint64_t from);
  std::string read_added(const std::string& name, File& file);

  std::string folder_;
  std::string task_;
  std::map<std::string, File> files_;  ///< by file name
};

}  // namespace berth::cluster
