#include "base/clock.h"

#include <fmt/format.h>
#include <boost/asio/steady_timer.hpp>
#include <ctime>

namespace berth {

namespace {

class RealTimer final : public Timer {
 public:
  explicit RealTimer(Executor executor) : timer_(executor) {}
  ~RealTimer() override { cancel(); }

  void arm(TimePoint when, std::function<void()> callback) override {
    cancel();
    armed_ = std::make_shared<bool>(true);
    timer_.expires_at(std::chrono::time_point_cast<std::chrono::steady_clock::duration>(when));
    timer_.async_wait([armed = armed_, callback = std::move(callback)](auto error) {
      if (error || !*armed) return;
      *armed = false;
      callback();
    });
  }

  void cancel() override {
    if (!armed_) return;
    *armed_ = false;
    armed_.reset();
    timer_.cancel();
  }

 private:
  using SteadyTimer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                                 asio::wait_traits<std::chrono::steady_clock>, Executor>;
  SteadyTimer timer_;
  std::shared_ptr<bool> armed_;
};

class RealClock final : public Clock {
 public:
  explicit RealClock(Executor executor) : Clock(executor) {}
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
  std::unique_ptr<Timer> make_timer() override { return std::make_unique<RealTimer>(executor()); }
};

}  // namespace

std::unique_ptr<Clock> make_real_clock(Executor executor) {
  return std::make_unique<RealClock>(executor);
}

Task<void> Clock::sleep_until(TimePoint when) {
  Signal expired(executor_);
  const auto timer = make_timer();
  timer->arm(when, [&expired] { expired.notify(); });
  co_await expired.wait();
}

Task<void> Clock::sleep_for(Duration duration) { co_await sleep_until(now() + duration); }

std::int64_t to_unix_ms(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::string to_rfc3339(WallTime time) {
  const std::int64_t milliseconds = to_unix_ms(time);
  const std::time_t seconds = static_cast<std::time_t>(milliseconds / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, milliseconds % 1000);
}

}  // namespace berth
