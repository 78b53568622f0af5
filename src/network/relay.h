#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "codec/http1.h"

/// What passing bytes on needs: buffers that are filled at one end and emptied at the other, and where a body
/// ends.
namespace berth::network {

/// Bytes read and not yet passed on. Its memory is not initialised, so that what is never used costs no page.
class ByteBuffer {
 public:
  explicit ByteBuffer(std::size_t capacity) : bytes_(new char[capacity]), capacity_(capacity) {}

  std::string_view view() const { return {bytes_.get() + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  std::size_t capacity() const { return capacity_; }

  /// Room to read into; never empty as long as size() < capacity().
  std::span<char> space() {
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ == capacity_ && begin_ > 0) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, size());
      end_ -= begin_;
      begin_ = 0;
    }
    return {bytes_.get() + end_, capacity_ - end_};
  }
  void filled(std::size_t count) { end_ += count; }
  void consume(std::size_t count) { begin_ += count; }
  void clear() { begin_ = end_ = 0; }

  void grow(std::size_t capacity) {
    if (capacity <= capacity_) return;
    std::unique_ptr<char[]> larger(new char[capacity]);
    const std::size_t kept = size();
    std::memcpy(larger.get(), bytes_.get() + begin_, kept);
    bytes_ = std::move(larger);
    capacity_ = capacity;
    begin_ = 0;
    end_ = kept;
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Follows one body as its bytes pass by, to know where it ends.
class BodyFlow {
 public:
  void start(http1::Framing framing, std::uint64_t length) {
    framing_ = framing;
    remaining_ = framing == http1::Framing::length ? length : 0;
    if (framing == http1::Framing::chunked) decoder_ = http1::ChunkedDecoder();
  }

  /// How many of `bytes` belong to the body. invalid_argument when its chunks are malformed.
  Result<std::size_t> take(std::string_view bytes) {
    if (framing_ == http1::Framing::chunked) return done() ? Result<std::size_t>(0) : decoder_.skip(bytes);
    if (framing_ == http1::Framing::until_close) return bytes.size();
    const std::uint64_t count = std::min<std::uint64_t>(remaining_, bytes.size());
    remaining_ -= count;
    return static_cast<std::size_t>(count);
  }

  /// The same, for a receiver who does not know the chunked coding: appends the data to `out`.
  Result<std::size_t> take_decoded(std::string_view bytes, std::string& out) {
    if (done()) return std::size_t{0};
    return decoder_.feed(bytes, out);
  }

  bool done() const {
    if (framing_ == http1::Framing::chunked) return decoder_.done();
    return framing_ != http1::Framing::until_close && remaining_ == 0;
  }
  http1::Framing framing() const { return framing_; }

 private:
  http1::Framing framing_ = http1::Framing::none;
  std::uint64_t remaining_ = 0;
  http1::ChunkedDecoder decoder_;
};

}  // namespace berth::network
