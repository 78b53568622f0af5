#include "task/edge/sse_stream.h"

#include "codec/json.h"
#include "codec/sse.h"
#include "task/edge/answers.h"

namespace berth::task::edge {

Task<bool> SseStream::open() {
  http::ResponseHead head = event_stream_head();
  const auto begun = co_await exchange_.begin(std::move(head));
  open_ = begun.has_value();
  last_write_ = shared_.now();
  co_return open_;
}

Task<bool> SseStream::message(std::string_view json, std::string_view id) {
  ++shared_.counters.events_sent;
  std::string text;
  text.reserve(json.size() + id.size() + 40);
  if (json.find_first_of("\r\n") == std::string_view::npos) {
    sse::append_message(text, json, id);
  } else {
    std::string line;
    json::append_single_line(line, json);
    sse::append_message(text, line, id);
  }
  const bool sent = co_await raw(text);
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
