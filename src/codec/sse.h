#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Server-sent events (WHATWG HTML §9.2).
namespace berth::sse {

struct Event {
  std::string event;  ///< empty: "message"
  std::string data;
  std::string id;
  std::optional<std::int64_t> retry_ms;
};

/// One event as wire text, ending in a blank line. `data` may hold line breaks.
std::string write(const Event& event);
/// `event: message\ndata: <json>\n\n`, with an id line when `id` is not empty. `json` holds no line break.
void append_message(std::string& out, std::string_view json, std::string_view id = {});
inline constexpr std::string_view message_end = "\n\n";
/// ": keep-alive\n\n".
std::string_view keep_alive();

/// Incremental parser: feed bytes as they come, take events out. LF, CRLF and CR line ends, BOM, comments.
class Parser {
 public:
  explicit Parser(std::size_t event_bytes_max) : event_bytes_max_(event_bytes_max) {}
  /// resource_exhausted when one event grows beyond the limit.
  Result<void> feed(std::string_view bytes);
  /// The next whole event, in order.
  std::optional<Event> next();

 private:
  void take_line(std::string_view line);
  std::size_t event_bytes_max_;
  std::string buffer_;  ///< a line that has not ended yet
  bool at_start_ = true;
  bool skip_line_feed_ = false;  ///< the last line ended in CR; an LF right after belongs to it
  Event current_;
  bool has_data_ = false;
  std::vector<Event> ready_;
  std::size_t taken_ = 0;
};

}  // namespace berth::sse
