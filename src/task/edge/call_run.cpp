#include "task/edge/call_run.h"

#include <algorithm>

#include "task/edge/answers.h"

namespace berth::task::edge {

CallRun::CallRun(Shared& shared, http::Exchange& exchange, const MemoryAccount::Charge& memory)
    : shared_(shared),
      exchange_(exchange),
      wake_(shared.world.clock.executor()),
      memory_(memory.sibling(MemoryAccount::Kind::answer)),
      last_write_(shared.now()) {
  silence_ = std::min<Duration>(silence_, shared.world.limits.keep_alive_interval);
}

void CallRun::start(const mcp::Call& call) { active_ = shared_.world.host.start(call, *this); }

void CallRun::start_again(const mcp::Call& call) {
  outcome_.reset();
  active_.reset();
  start(call);
}

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
  if (taken_bytes_ > 0) memory_.shrink(taken_bytes_);
  taken_bytes_ = std::exchange(pending_bytes_, 0);
  return std::exchange(notifications_, {});
}

void CallRun::note_write(TimePoint when, Duration next_silence) {
  last_write_ = when;
  silence_ = next_silence;
}

void CallRun::on_notification(mcp::Notification notification) {
  // What is said along the way may be left out for a client that reads slowly; the outcome may not.
  if (pending_bytes_ > shared_.world.limits.stream_buffer_bytes_max) return;
  const std::size_t bytes = notification.params.size() + notification.method.size();
  if (!memory_.grow(bytes)) return;
  pending_bytes_ += bytes;
  notifications_.push_back(std::move(notification));
  wake_.notify();
}

void CallRun::on_outcome(mcp::Outcome outcome) {
  const std::size_t bytes = outcome.result.size();
  const bool is_kept = memory_.take_message(bytes);
  outcome_ = is_kept ? std::move(outcome) : mcp::Outcome::failure(unkept_answer(bytes, memory_));
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
