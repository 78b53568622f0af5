#include "app/stall_watch.h"

namespace berth::app {

StallWatch::StallWatch(Clock& clock, Log& log, Duration patience)
    : clock_(clock), log_(log), patience_(patience), timer_(clock.make_timer()) {
  beat();
  thread_ = std::thread([this] { watch(); });
}

StallWatch::~StallWatch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

/// Several times in `patience_`.
void StallWatch::beat() {
  beats_.fetch_add(1, std::memory_order_relaxed);
  timer_->arm(clock_.now() + patience_ / 4, [this] { beat(); });
}

void StallWatch::watch() {
  std::unique_lock lock(mutex_);
  bool is_told = false;
  while (true) {
    const std::uint64_t before = beats_.load(std::memory_order_relaxed);
    if (ended_.wait_for(lock, patience_, [this] { return ending_; })) return;
    const bool is_stalled = beats_.load(std::memory_order_relaxed) == before;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience_).count();
    if (is_stalled && !is_told) log_.error("event_loop_stalled", {{"ms", ms}});
    if (!is_stalled && is_told) log_.warning("event_loop_goes_on");
    is_told = is_stalled;
  }
}

}  // namespace berth::app
