#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace berth::task::host {

/// Cuts a byte stream into lines (MCP stdio transport: one JSON-RPC message a line). Bytes are read straight
/// into `space()`, lines are views into the same buffer: no copy. Memory is bounded by the longest line
/// allowed plus one read, and shrinks again after a long line.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  /// Where the next bytes go (at least 4 KiB). Invalidates lines taken before.
  std::span<char> space();
  /// So many bytes were written to `space()`.
  void commit(std::size_t bytes);
  /// The next whole line without its end (LF or CRLF); valid until space().
  std::optional<std::string_view> next();
  /// What came after the last line end.
  std::string_view unfinished() const { return {buffer_.data() + begin_, end_ - begin_}; }
  /// A line grew beyond the limit. Nothing more comes out: the stream has no known message boundary.
  bool too_long() const { return too_long_; }
  /// Bytes of the unfinished last line.
  std::size_t pending() const { return end_ - begin_; }

 private:
  std::size_t line_bytes_max_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;    ///< first byte of the current line
  std::size_t scanned_ = 0;  ///< no line end before this
  std::size_t end_ = 0;
  bool too_long_ = false;
};

}  // namespace berth::task::host
