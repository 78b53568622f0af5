#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"

namespace berth::http {

/// Decodes the content codings gzip and deflate (RFC 9110 §8.4.1) piece by piece, in as much memory as one
/// piece of output takes.
class Inflater {
 public:
  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Takes bytes from the front of `coded` and writes decoded ones; returns how many. 0: more coded bytes are
  /// needed, or done(). invalid_argument: it is not that coding.
  Result<std::size_t> decode(std::string_view& coded, std::span<char> into);
  /// The end of the coded text has come.
  bool done() const { return done_; }

 private:
  struct State;
  std::unique_ptr<State> state_;
  bool done_ = false;
};

}  // namespace berth::http
