#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/log.h"
#include "net/stream.h"

namespace berth::net {

/// What a loop that accepts does when it cannot: it rests, and says so now and then. Without descriptors a
/// listener fails at every try, and stays readable.
class AcceptFailures {
 public:
  /// The clock and the log outlive it.
  AcceptFailures(Clock& clock, Log& log, const Endpoint& listener);

  /// Logs `accept_failed` at most once in five seconds, with how often it failed since the last line, and
  /// returns when it is worth trying again.
  Task<void> rest(Error error);

 private:
  Clock& clock_;
  Log& log_;
  std::string listener_;
  std::uint64_t untold_ = 0;
  TimePoint next_line_{};
};

}  // namespace berth::net
