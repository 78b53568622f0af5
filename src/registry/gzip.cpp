#include "registry/gzip.h"

#include <zlib.h>

#include <array>

#include "base/check.h"

namespace berth::registry {

namespace {

/// Six is where a further level costs twice the time for one percent.
constexpr int level = 6;
constexpr int window_bits_gzip = 15 + 16;
constexpr std::size_t buffer_bytes = 64 * 1024;

/// zlib takes pointers to mutable input that it does not change.
Bytef* input_of(std::string_view bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

}  // namespace

struct Compressor::State {
  z_stream stream{};
  std::array<char, buffer_bytes> buffer;
};

Compressor::Compressor() : state_(std::make_unique<State>()) {
  const int status =
      deflateInit2(&state_->stream, level, Z_DEFLATED, window_bits_gzip, 8, Z_DEFAULT_STRATEGY);
  BERTH_CHECK(status == Z_OK, "zlib starts");
}
Compressor::~Compressor() { deflateEnd(&state_->stream); }

void Compressor::run(std::string_view bytes, int flush, std::string& out) {
  z_stream& stream = state_->stream;
  stream.next_in = input_of(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  do {
    stream.next_out = reinterpret_cast<Bytef*>(state_->buffer.data());
    stream.avail_out = buffer_bytes;
    BERTH_CHECK(deflate(&stream, flush) != Z_STREAM_ERROR, "the state of zlib is sound");
    out.append(state_->buffer.data(), buffer_bytes - stream.avail_out);
  } while (stream.avail_out == 0);
}

void Compressor::append(std::string_view bytes, std::string& out) { run(bytes, Z_NO_FLUSH, out); }
void Compressor::finish(std::string& out) { run({}, Z_FINISH, out); }

struct Decompressor::State {
  z_stream stream{};
  bool at_end = false;
  std::array<char, buffer_bytes> buffer;
};

Decompressor::Decompressor() : state_(std::make_unique<State>()) {
  BERTH_CHECK(inflateInit2(&state_->stream, window_bits_gzip) == Z_OK, "zlib starts");
}
Decompressor::~Decompressor() { inflateEnd(&state_->stream); }

Result<void> Decompressor::append(std::string_view bytes, const Sink& sink) {
  z_stream& stream = state_->stream;
  stream.next_in = input_of(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  while (stream.avail_in > 0) {
    if (state_->at_end) {
      inflateReset(&stream);
      state_->at_end = false;
    }
    do {
      stream.next_out = reinterpret_cast<Bytef*>(state_->buffer.data());
      stream.avail_out = buffer_bytes;
      const int status = inflate(&stream, Z_NO_FLUSH);
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
        return fail(ErrorCode::invalid_argument, "The data is not valid gzip.");
      }
      const std::size_t made = buffer_bytes - stream.avail_out;
      if (made > 0) {
        if (auto taken = sink({state_->buffer.data(), made}); !taken) return taken;
      }
      state_->at_end = status == Z_STREAM_END;
    } while (stream.avail_out == 0 && !state_->at_end);
  }
  return {};
}

bool Decompressor::complete() const { return state_->at_end; }

bool is_gzip(std::string_view head) { return head.starts_with("\x1f\x8b"); }
bool is_zstd(std::string_view head) { return head.starts_with("\x28\xb5\x2f\xfd"); }

}  // namespace berth::registry
