#pragma once

#include <string>
#include <string_view>

#include "http/service.h"
#include "task/edge/shared.h"

namespace berth::task::edge {

/// An answer as server-sent events. Every write returns false once the client has gone; then the only thing
/// left to do is to return.
class SseStream {
 public:
  SseStream(Shared& shared, http::Exchange& exchange) : shared_(shared), exchange_(exchange) {}

  bool is_open() const { return open_; }
  Task<bool> open();
  /// One JSON-RPC message as an event; `id` empty: none.
  Task<bool> message(std::string_view json, std::string_view id = {});
  /// Text that is already in the wire format.
  Task<bool> raw(std::string_view text);
  /// A comment, when nothing was written for `interval`.
  Task<bool> keep_alive();
  Task<void> finish();

  TimePoint last_write() const { return last_write_; }

 private:
  Task<bool> long_message(std::string_view json, std::string_view id);

  Shared& shared_;
  http::Exchange& exchange_;
  bool open_ = false;
  TimePoint last_write_{};
};

}  // namespace berth::task::edge
