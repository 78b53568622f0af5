#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace berth::cli {

/// One JSON log line as a line for people: "15:04:05.123 1/a info  tool_call name=echo"; as it is when it is
/// no JSON.
std::string format_log_line(std::string_view line, bool colour);

/// What a task wrote last, for a place with little room: the message of each JSON line, or the line itself,
/// without repetitions.
std::vector<std::string> summarize(const std::vector<std::string>& lines);

/// Takes bytes as they come and gives whole lines.
class LineBuffer {
 public:
  void feed(std::string_view bytes) { text_ += bytes; }
  /// The next whole line without its break; false when there is none yet.
  bool next(std::string& line);
  /// What is left at the end without a break.
  std::string rest() const { return text_.substr(at_); }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

}  // namespace berth::cli
