#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/task.h"
#include "codec/http1.h"
#include "http/message.h"
#include "net/stream.h"

/// What both ends of an HTTP/1.1 connection share. Internal to http/.
namespace berth::http {

/// The bytes that have come from a stream and are not used up yet.
class Input {
 public:
  explicit Input(net::Stream& stream) : stream_(stream) {}

  std::string_view bytes() const { return {buffer_.data() + begin_, end_ - begin_}; }
  void consume(std::size_t count);
  /// Reads once and appends; 0 at the end of the stream. Grows by doubling; the caller bounds it.
  Task<Result<std::size_t>> fill();
  net::Stream& stream() { return stream_; }
  /// Gives back memory that one large message needed; call when there are no bytes.
  void release_spare();

 private:
  std::span<char> room();

  net::Stream& stream_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool was_filled_up_ = false;
};

/// Reads the body of one message after another from an Input.
class BodyReader {
 public:
  explicit BodyReader(Input& input) : input_(input) {}

  void start(http1::Framing framing, std::uint64_t length);
  bool done() const { return state_ == State::done; }
  /// True once the framing was broken or the stream ended early; the connection is of no further use.
  bool broken() const { return state_ == State::broken; }
  /// The bytes known to be still missing; nullopt when the framing does not tell.
  std::optional<std::uint64_t> remaining() const;

  /// A part of the body; 0 at its end. invalid_argument: broken framing. unavailable: the stream ended early.
  Task<Result<std::size_t>> read_some(std::span<char> into);
  /// The rest of the body. resource_exhausted above `bytes_max`, then nothing more may be read.
  Task<Result<std::string>> read_all(std::size_t bytes_max);

 private:
  enum class State : std::uint8_t { open, done, broken };

  /// Copies what has already come; 0 when that is nothing.
  Result<std::size_t> take(std::span<char> into);
  /// Counts `count` bytes of an uncoded body.
  void count_raw(std::size_t count);
  /// Decodes from the input until something decoded waits or the input is used up.
  Result<void> decode();
  Failure too_large(std::size_t bytes_max);

  Input& input_;
  State state_ = State::done;
  http1::Framing framing_ = http1::Framing::none;
  std::uint64_t remaining_ = 0;
  http1::ChunkedDecoder decoder_;
  std::string decoded_;
  std::size_t decoded_taken_ = 0;
};

/// Copies a parsed head's fields; keeps the memory of `out`.
void copy_fields(const http1::HeadView& head, Headers& out);

/// The value of Date (RFC 9110 §6.6.1), written anew once a second.
class DateText {
 public:
  std::string_view at(WallTime now);

 private:
  std::int64_t second_ = -1;
  std::string text_;
};

/// "Name: value\r\n".
void append_field(std::string& out, std::string_view name, std::string_view value);
void append_number(std::string& out, std::uint64_t number);

/// Fields that describe one hop's framing, which the writer of a message decides for itself.
bool is_framing_field(std::string_view name);

}  // namespace berth::http
