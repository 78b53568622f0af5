#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "base/clock.h"

namespace berth::testing {

/// Time that moves only by `advance`. Timers fire in order of their deadlines, each followed by running
/// the loop until it is idle, so that "not yet" is asserted without sleeping.
class SimClock final : public Clock {
 public:
  explicit SimClock(asio::io_context& loop);
  ~SimClock() override;

  TimePoint now() const override { return now_; }
  WallTime wall() const override;
  std::unique_ptr<Timer> make_timer() override;

  /// Runs every handler that is ready, without moving time.
  void run_until_idle();
  /// Moves time on by `duration`, firing what comes due on the way.
  void advance(Duration duration);

 private:
  class SimTimer;
  asio::io_context& loop_;
  TimePoint now_{std::chrono::hours(1)};
  std::uint64_t next_order_ = 0;
  std::map<std::pair<TimePoint, std::uint64_t>, std::function<void()>> alarms_;
};

}  // namespace berth::testing
