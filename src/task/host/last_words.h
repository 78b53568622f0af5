#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"

namespace berth::task::host {

/// Lets `burst` events through at once and `per_second` on the average; counts the rest.
class RateLimit {
 public:
  RateLimit(double per_second, double burst) : per_second_(per_second), burst_(burst), tokens_(burst) {}
  bool allow(TimePoint now);
  /// Events held back since the last call.
  std::uint64_t take_suppressed();

 private:
  double per_second_;
  double burst_;
  double tokens_;
  TimePoint last_{};
  std::uint64_t suppressed_ = 0;
};

/// What a server writes to stderr, and before its handshake to stdout: bytes in, lines for the log out, and
/// the last lines kept for error messages. Bounded however much is written: long lines are cut, lines beyond
/// the rate are counted and left out.
class LastWords {
 public:
  static constexpr std::size_t line_bytes_max = 2048;
  static constexpr std::size_t lines_kept = 20;

  /// A line said elsewhere than on stderr.
  void add(std::string_view line);
  /// Lines of `bytes` that may be logged now.
  std::vector<std::string> take(std::string_view bytes, TimePoint now);
  std::uint64_t take_suppressed() { return rate_.take_suppressed(); }
  /// The last lines, oldest first, joined by line feeds; an unfinished last line is included.
  std::string text() const;
  /// " Its last words: …" with the last few lines, or empty when it said nothing. An error that a long text
  /// about usage or a stack has pushed out of them is put in front.
  Secret sentence() const;

 private:
  void finish_line(TimePoint now, std::vector<std::string>& out);
  void keep(std::string line);

  RateLimit rate_{50, 200};
  std::string line_;
  std::deque<std::string> kept_;
  std::string error_;          ///< the last line that names an error, or stood before a text about usage
  std::size_t error_age_ = 0;  ///< lines since
};

}  // namespace berth::task::host
