#include "task/edge/sse_stream.h"

#include "codec/json.h"
#include "codec/sse.h"
#include "task/edge/answers.h"

namespace berth::task::edge {
namespace {

/// Longer messages are sent as they lie, in three writes: a copy would double what they take.
constexpr std::size_t copied_bytes_max = 64 * 1024;

}  // namespace

Task<bool> SseStream::open() {
  http::ResponseHead head = event_stream_head();
  const auto begun = co_await exchange_.begin(std::move(head));
  open_ = begun.has_value();
  last_write_ = shared_.now();
  co_return open_;
}

Task<bool> SseStream::message(std::string_view json, std::string_view id) {
  ++shared_.counters.events_sent;
  const bool is_one_line = json.find_first_of("\r\n") == std::string_view::npos;
  if (is_one_line && json.size() > copied_bytes_max) {
    const bool sent = co_await long_message(json, id);
    co_return sent;
  }
  std::string text;
  text.reserve(json.size() + id.size() + 40);
  if (is_one_line) {
    sse::append_message(text, json, id);
  } else {
    std::string line;
    json::append_single_line(line, json);
    sse::append_message(text, line, id);
  }
  const bool sent = co_await raw(text);
  co_return sent;
}

/// Between its first and its last bytes, which sse::append_message writes around it.
Task<bool> SseStream::long_message(std::string_view json, std::string_view id) {
  std::string frame;
  sse::append_message(frame, {}, id);
  const std::size_t end = frame.size() - sse::message_end.size();
  bool sent = co_await raw(std::string_view(frame).substr(0, end));
  if (sent) sent = co_await raw(json);
  if (sent) sent = co_await raw(std::string_view(frame).substr(end));
  co_return sent;
}

Task<bool> SseStream::raw(std::string_view text) {
  const auto written = co_await exchange_.write(text);
  last_write_ = shared_.now();
  co_return written.has_value();
}

Task<bool> SseStream::keep_alive() { return raw(sse::keep_alive()); }

Task<void> SseStream::finish() { co_await exchange_.finish(); }

}  // namespace berth::task::edge
