#include "base/testing/sim_clock.h"

#include <optional>

namespace berth::testing {

class SimClock::SimTimer final : public Timer {
 public:
  explicit SimTimer(SimClock& clock) : clock_(clock) {}
  ~SimTimer() override { cancel(); }

  void arm(TimePoint when, std::function<void()> callback) override {
    cancel();
    key_ = {when, clock_.next_order_++};
    clock_.alarms_.emplace(*key_, std::move(callback));
  }

  void cancel() override {
    if (key_) clock_.alarms_.erase(*key_);
    key_.reset();
  }

 private:
  SimClock& clock_;
  std::optional<std::pair<TimePoint, std::uint64_t>> key_;
};

SimClock::SimClock(asio::io_context& loop) : Clock(loop.get_executor()), loop_(loop) {}
SimClock::~SimClock() = default;

WallTime SimClock::wall() const {
  // 2026-11-22T00:00:00Z, so that texts made from simulated time are stable.
  constexpr std::int64_t epoch_s = 1795305600;
  return WallTime(std::chrono::seconds(epoch_s)) + (now_ - TimePoint(std::chrono::hours(1)));
}

std::unique_ptr<Timer> SimClock::make_timer() { return std::make_unique<SimTimer>(*this); }

void SimClock::run_until_idle() {
  loop_.restart();
  loop_.poll();
}

void SimClock::advance(Duration duration) {
  const TimePoint until = now_ + duration;
  run_until_idle();
  while (!alarms_.empty() && alarms_.begin()->first.first <= until) {
    const auto alarm = alarms_.begin();
    now_ = std::max(now_, alarm->first.first);
    const auto callback = std::move(alarm->second);
    alarms_.erase(alarm);
    callback();
    run_until_idle();
  }
  now_ = until;
  run_until_idle();
}

}  // namespace berth::testing
