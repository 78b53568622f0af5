#include "http/wire.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

namespace berth::http {

namespace {
constexpr std::size_t input_bytes_first = 4 * 1024;
constexpr std::size_t input_bytes_kept = 16 * 1024;
constexpr std::size_t input_bytes_streaming = 64 * 1024;
constexpr std::size_t read_bytes_min = 1024;
/// How far ahead of the bytes that have come a body's memory is taken, whatever its length claims.
constexpr std::size_t body_bytes_ahead = 64 * 1024;
}  // namespace

void Input::consume(std::size_t count) {
  begin_ += count;
  if (begin_ == end_) begin_ = end_ = 0;
}

std::span<char> Input::room() {
  if (buffer_.size() - end_ < read_bytes_min && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const bool grows = was_filled_up_ && buffer_.size() < input_bytes_streaming;
  if (grows || buffer_.size() - end_ < read_bytes_min) {
    buffer_.resize(std::max(input_bytes_first, 2 * buffer_.size()));
  }
  return std::span(buffer_).subspan(end_);
}

void Input::release_spare() {
  if (buffer_.size() <= input_bytes_kept || begin_ != end_) return;
  buffer_.clear();
  buffer_.shrink_to_fit();
}

Task<Result<std::size_t>> Input::fill() {
  const std::span<char> into = room();
  auto count = co_await stream_.read_some(into);
  if (count) end_ += *count;
  was_filled_up_ = count && *count == into.size();
  co_return count;
}

void BodyReader::start(http1::Framing framing, std::uint64_t length) {
  framing_ = framing;
  remaining_ = length;
  state_ = State::open;
  if (framing == http1::Framing::none || (framing == http1::Framing::length && length == 0))
    state_ = State::done;
  if (framing == http1::Framing::chunked) {
    decoder_ = {};
    decoded_.clear();
    decoded_taken_ = 0;
  }
}

std::optional<std::uint64_t> BodyReader::remaining() const {
  if (state_ == State::done) return 0;
  if (framing_ == http1::Framing::length) return remaining_;
  return std::nullopt;
}

Result<void> BodyReader::decode() {
  if (decoded_taken_ < decoded_.size()) return {};
  decoded_.clear();
  decoded_taken_ = 0;
  auto used = decoder_.feed(input_.bytes(), decoded_);
  if (!used) {
    state_ = State::broken;
    return Failure(used.error());
  }
  input_.consume(*used);
  return {};
}

void BodyReader::count_raw(std::size_t count) {
  if (framing_ != http1::Framing::length) return;
  remaining_ -= count;
  if (remaining_ == 0) state_ = State::done;
}

Result<std::size_t> BodyReader::take(std::span<char> into) {
  if (framing_ != http1::Framing::chunked) {
    const std::string_view there = input_.bytes();
    const std::size_t count = std::min(there.size(), into.size());
    std::memcpy(into.data(), there.data(), count);
    input_.consume(count);
    count_raw(count);
    return count;
  }
  auto decoded = decode();
  if (!decoded) return Failure(decoded.error());
  const std::size_t count = std::min(decoded_.size() - decoded_taken_, into.size());
  std::memcpy(into.data(), decoded_.data() + decoded_taken_, count);
  decoded_taken_ += count;
  if (decoder_.done() && decoded_taken_ == decoded_.size()) state_ = State::done;
  return count;
}

Task<Result<std::size_t>> BodyReader::read_some(std::span<char> into) {
  const bool is_coded = framing_ == http1::Framing::chunked;
  if (framing_ == http1::Framing::length) into = into.first(std::min<std::uint64_t>(into.size(), remaining_));
  while (state_ == State::open && !into.empty()) {
    auto taken = take(into);
    if (!taken || *taken > 0 || state_ != State::open) co_return taken;
    Result<std::size_t> filled = 0;
    if (is_coded) {
      filled = co_await input_.fill();
    } else {
      // Nothing waits in the input, so an uncoded body may come straight to its place.
      filled = co_await input_.stream().read_some(into);
    }
    if (!filled) {
      state_ = State::broken;
      co_return filled;
    }
    if (*filled > 0 && is_coded) continue;
    if (*filled > 0) {
      count_raw(*filled);
      co_return filled;
    }
    if (framing_ == http1::Framing::until_close) {
      state_ = State::done;
      co_return std::size_t{0};
    }
    state_ = State::broken;
    co_return fail(ErrorCode::unavailable, "The peer closed the connection in the middle of a body.");
  }
  if (state_ == State::broken) {
    co_return fail(ErrorCode::unavailable, "The body cannot be read any further on this connection.");
  }
  co_return std::size_t{0};
}

Failure BodyReader::too_large(std::size_t bytes_max) {
  return fail(ErrorCode::resource_exhausted,
              "The body is longer than the limit of " + std::to_string(bytes_max) + " bytes.");
}

Task<Result<std::string>> BodyReader::read_all(std::size_t bytes_max) {
  std::string body;
  bytes_max = std::min(bytes_max, std::size_t{1} << 62);
  if (framing_ == http1::Framing::length && state_ == State::open) {
    if (remaining_ > bytes_max) co_return too_large(bytes_max);
    const std::string_view there = input_.bytes();
    if (there.size() >= remaining_) {
      body.assign(there.substr(0, remaining_));
      input_.consume(body.size());
      remaining_ = 0;
      state_ = State::done;
      co_return body;
    }
  }
  std::size_t used = 0;
  while (true) {
    // One byte more than the limit is asked for, to see whether the body goes on.
    std::size_t ahead = std::min(std::max(used, body_bytes_ahead), bytes_max + 1 - used);
    if (const auto missing = remaining())
      ahead = std::min<std::size_t>(ahead, std::max<std::uint64_t>(*missing, 1));
    body.resize(used + ahead);
    auto count = co_await read_some(std::span(body).subspan(used));
    if (!count) co_return Failure(count.error());
    used += *count;
    if (used > bytes_max) co_return too_large(bytes_max);
    if (*count == 0 || state_ == State::done) break;
  }
  body.resize(used);
  co_return body;
}

void copy_fields(const http1::HeadView& head, Headers& out) {
  out.clear();
  for (const http1::FieldView& field : head.fields) out.add(field.name, field.value);
}

std::string_view DateText::at(WallTime now) {
  const std::int64_t second = to_unix_ms(now) / 1000;
  if (second != second_) {
    second_ = second;
    text_ = http1::to_date(now);
  }
  return text_;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_number(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

bool is_framing_field(std::string_view name) {
  switch (name.size()) {
    case 10: return equals_ignoring_case(name, "connection") || equals_ignoring_case(name, "keep-alive");
    case 14: return equals_ignoring_case(name, "content-length");
    case 17: return equals_ignoring_case(name, "transfer-encoding");
    default: return false;
  }
}

}  // namespace berth::http
