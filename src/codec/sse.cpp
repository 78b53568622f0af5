#include "codec/sse.h"

#include <fmt/format.h>

#include <charconv>

namespace berth::sse {
namespace {

/// Appends `name: line` for each line of `value` (LF, CRLF and CR all break).
void append_field_lines(std::string& out, std::string_view name, std::string_view value) {
  while (true) {
    const std::size_t stop = value.find_first_of("\r\n");
    out.append(name).append(": ").append(value.substr(0, stop)).push_back('\n');
    if (stop == std::string_view::npos) return;
    const bool pair = value.substr(stop).starts_with("\r\n");
    value.remove_prefix(stop + (pair ? 2 : 1));
  }
}

/// The value up to its first line break: a field that must be one line never injects another.
std::string_view first_line(std::string_view value) { return value.substr(0, value.find_first_of("\r\n")); }

}  // namespace

std::string write(const Event& event) {
  std::string out;
  if (!event.event.empty()) out.append("event: ").append(first_line(event.event)).push_back('\n');
  if (!event.id.empty()) out.append("id: ").append(first_line(event.id)).push_back('\n');
  if (event.retry_ms) out.append(fmt::format("retry: {}\n", *event.retry_ms));
  append_field_lines(out, "data", event.data);
  out.push_back('\n');
  return out;
}

void append_message(std::string& out, std::string_view json, std::string_view id) {
  out.append("event: message\n");
  if (!id.empty()) out.append("id: ").append(id).push_back('\n');
  out.append("data: ").append(json).append(message_end);
}

std::string_view keep_alive() { return ": keep-alive\n\n"; }

Result<void> Parser::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (skip_line_feed_) {
      skip_line_feed_ = false;
      if (bytes.front() == '\n') bytes.remove_prefix(1);
      if (bytes.empty()) break;
    }
    const std::size_t stop = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, stop);
    if (current_.data.size() + buffer_.size() + part.size() > event_bytes_max_) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("A server-sent event is larger than {} bytes.", event_bytes_max_));
    }
    if (stop == std::string_view::npos) {
      buffer_.append(part);
      break;
    }
    skip_line_feed_ = bytes[stop] == '\r';
    bytes.remove_prefix(stop + 1);
    if (buffer_.empty()) {
      take_line(part);
    } else {
      buffer_.append(part);
      const std::string line = std::move(buffer_);
      buffer_.clear();
      take_line(line);
    }
  }
  return {};
}

void Parser::take_line(std::string_view line) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (at_start_ && line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
  at_start_ = false;
  if (line.empty()) {
    if (has_data_) ready_.push_back(std::move(current_));
    current_ = {};
    has_data_ = false;
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == 0) return;
  const std::string_view name = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    if (has_data_) current_.data.push_back('\n');
    current_.data.append(value);
    has_data_ = true;
  } else if (name == "event") {
    current_.event = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) current_.id = value;
  } else if (name == "retry") {
    std::int64_t milliseconds = 0;
    const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), milliseconds);
    const bool whole = error == std::errc{} && stop == value.data() + value.size();
    if (whole && milliseconds >= 0) current_.retry_ms = milliseconds;
  }
}

std::optional<Event> Parser::next() {
  if (taken_ == ready_.size()) {
    ready_.clear();
    taken_ = 0;
    return std::nullopt;
  }
  return std::move(ready_[taken_++]);
}

}  // namespace berth::sse
