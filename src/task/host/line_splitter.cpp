#include "task/host/line_splitter.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace berth::task::host {

namespace {
constexpr std::size_t buffer_bytes_usual = 64 * 1024;
constexpr std::size_t read_bytes_min = 4 * 1024;
}  // namespace

std::span<char> LineSplitter::space() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    scanned_ -= begin_;
    begin_ = 0;
  }
  if (end_ == 0 && buffer_.size() > buffer_bytes_usual) {
    buffer_.clear();
    buffer_.shrink_to_fit();
  }
  if (buffer_.size() - end_ < read_bytes_min) {
    const std::size_t ceiling = line_bytes_max_ + buffer_bytes_usual;
    buffer_.resize(
        std::max(end_ + read_bytes_min, std::min(ceiling, std::max(buffer_bytes_usual, buffer_.size() * 2))));
  }
  return {buffer_.data() + end_, buffer_.size() - end_};
}

void LineSplitter::commit(std::size_t bytes) {
  BERTH_CHECK(bytes <= buffer_.size() - end_, "more bytes than there was space for");
  end_ += bytes;
}

std::optional<std::string_view> LineSplitter::next() {
  if (too_long_ || scanned_ == end_) return std::nullopt;
  const char* from = buffer_.data() + scanned_;
  const void* found = std::memchr(from, '\n', end_ - scanned_);
  if (found == nullptr) {
    scanned_ = end_;
    if (end_ - begin_ > line_bytes_max_) too_long_ = true;
    return std::nullopt;
  }
  const std::size_t line_end = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
  std::string_view line(buffer_.data() + begin_, line_end - begin_);
  begin_ = scanned_ = line_end + 1;
  if (line.size() > line_bytes_max_) {
    too_long_ = true;
    return std::nullopt;
  }
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace berth::task::host
