#include "http/inflater.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace berth::http {

struct Inflater::State {
  z_stream stream{};
};

namespace {
/// The largest window, and the header says which of gzip and zlib it is (zlib.h, inflateInit2).
constexpr int detect_coding = 15 + 32;

uInt bounded(std::size_t size) {
  return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
}
}  // namespace

Inflater::Inflater() : state_(std::make_unique<State>()) {
  BERTH_CHECK(::inflateInit2(&state_->stream, detect_coding) == Z_OK, "zlib has memory for a stream");
}

Inflater::~Inflater() { ::inflateEnd(&state_->stream); }

Result<std::size_t> Inflater::decode(std::string_view& coded, std::span<char> into) {
  if (done_ || into.empty()) return 0;
  z_stream& stream = state_->stream;
  stream.next_in = static_cast<Bytef*>(static_cast<void*>(const_cast<char*>(coded.data())));
  stream.avail_in = bounded(coded.size());
  stream.next_out = static_cast<Bytef*>(static_cast<void*>(into.data()));
  stream.avail_out = bounded(into.size());
  const uInt given = stream.avail_in;
  const uInt room = stream.avail_out;
  const int outcome = ::inflate(&stream, Z_NO_FLUSH);
  coded.remove_prefix(given - stream.avail_in);
  done_ = outcome == Z_STREAM_END;
  if (outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR) {
    return fail(ErrorCode::invalid_argument, "The body is not what its Content-Encoding says.");
  }
  return room - stream.avail_out;
}

}  // namespace berth::http
