#include "task/edge/call_run.h"

#include <algorithm>

namespace berth::task::edge {

CallRun::CallRun(Shared& shared, http::Exchange& exchange)
    : shared_(shared), exchange_(exchange), wake_(shared.world.clock.executor()), last_write_(shared.now()) {
  silence_ = std::min<Duration>(silence_, shared.world.limits.keep_alive_interval);
}

void CallRun::start(const mcp::Call& call) { active_ = shared_.world.host.start(call, *this); }

bool CallRun::has_news() const { return outcome_ || !notifications_.empty() || gone_ || cut_ || silent_; }

Task<void> CallRun::wait() {
  if (!watching_ && !has_news()) {
    watching_ = true;
    shared_.ticker.add(*this);
    exchange_.on_disconnect([this] {
      gone_ = true;
      wake_.notify();
    });
  }
  while (!has_news()) co_await wake_.wait();
}

std::vector<mcp::Notification> CallRun::take_notifications() {
  pending_bytes_ = 0;
  return std::exchange(notifications_, {});
}

void CallRun::note_write(TimePoint when, Duration next_silence) {
  last_write_ = when;
  silence_ = next_silence;
}

void CallRun::on_notification(mcp::Notification notification) {
  // What is said along the way may be left out for a client that reads slowly; the outcome may not.
  if (pending_bytes_ > shared_.world.limits.stream_buffer_bytes_max) return;
  pending_bytes_ += notification.params.size() + notification.method.size();
  notifications_.push_back(std::move(notification));
  wake_.notify();
}

void CallRun::on_outcome(mcp::Outcome outcome) {
  outcome_ = std::move(outcome);
  wake_.notify();
}

void CallRun::on_tick(TimePoint now) {
  if (now - last_write_ < silence_) return;
  silent_ = true;
  wake_.notify();
}

void CallRun::on_cut() {
  cut_ = true;
  wake_.notify();
}

}  // namespace berth::task::edge
