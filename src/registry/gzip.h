#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

/// gzip (RFC 1952) that gives the same bytes for the same input: fixed level, no name, no time.
namespace berth::registry {

class Compressor {
 public:
  Compressor();
  ~Compressor();
  void append(std::string_view bytes, std::string& out);
  void finish(std::string& out);

 private:
  void run(std::string_view bytes, int flush, std::string& out);
  struct State;
  std::unique_ptr<State> state_;
};

/// Several members one after another count as one stream, as gunzip has it.
class Decompressor {
 public:
  using Sink = std::function<Result<void>(std::string_view)>;
  Decompressor();
  ~Decompressor();
  /// invalid_argument when it is not gzip; what the sink fails with.
  Result<void> append(std::string_view bytes, const Sink& sink);
  /// Whether the stream has come to its end.
  bool complete() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

bool is_gzip(std::string_view head);
bool is_zstd(std::string_view head);

}  // namespace berth::registry
