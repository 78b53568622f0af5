#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/task.h"

namespace berth {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// One re-armable alarm. Destroying or cancelling it guarantees that the callback does not run afterwards.
class Timer {
 public:
  virtual ~Timer() = default;
  /// Calls `callback` once from the event loop at `when`; replaces an earlier arming.
  virtual void arm(TimePoint when, std::function<void()> callback) = 0;
  virtual void cancel() = 0;
};

/// The only door to time. Production: make_real_clock; tests: SimClock, advanced by hand.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  virtual WallTime wall() const = 0;
  virtual std::unique_ptr<Timer> make_timer() = 0;

  Task<void> sleep_until(TimePoint when);
  Task<void> sleep_for(Duration duration);
  Executor executor() const { return executor_; }

 protected:
  explicit Clock(Executor executor) : executor_(executor) {}

 private:
  Executor executor_;
};

std::unique_ptr<Clock> make_real_clock(Executor executor);

/// Milliseconds since the Unix epoch.
std::int64_t to_unix_ms(WallTime time);
/// "2026-11-22T15:04:05.123Z" (RFC 3339, UTC).
std::string to_rfc3339(WallTime time);

}  // namespace berth
