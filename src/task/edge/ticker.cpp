#include "task/edge/ticker.h"

#include "base/check.h"

namespace berth::task::edge {

Waiter::~Waiter() {
  if (ticker_ != nullptr) ticker_->remove(*this);
}

Ticker::Ticker(Clock& clock, Duration interval)
    : clock_(clock), interval_(interval), timer_(clock.make_timer()) {}

Ticker::~Ticker() { BERTH_CHECK(first_ == nullptr, "a ticker outlives its waiters"); }

void Ticker::add(Waiter& waiter) {
  if (waiter.ticker_ != nullptr) return;
  waiter.ticker_ = this;
  waiter.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &waiter;
  first_ = &waiter;
  ++size_;
  if (!armed_) arm();
}

void Ticker::remove(Waiter& waiter) {
  if (waiter.ticker_ == nullptr) return;
  if (waiter.previous_ != nullptr) {
    waiter.previous_->next_ = waiter.next_;
  } else {
    first_ = waiter.next_;
  }
  if (waiter.next_ != nullptr) waiter.next_->previous_ = waiter.previous_;
  waiter.ticker_ = nullptr;
  waiter.previous_ = waiter.next_ = nullptr;
  --size_;
}

void Ticker::arm() {
  armed_ = true;
  timer_->arm(clock_.now() + interval_, [this] { tick(); });
}

void Ticker::tick() {
  armed_ = false;
  if (first_ == nullptr) return;
  arm();
  const TimePoint now = clock_.now();
  each([now](Waiter& waiter) { waiter.on_tick(now); });
}

void Ticker::drain() {
  each([](Waiter& waiter) { waiter.on_drain(); });
}

void Ticker::cut() {
  each([](Waiter& waiter) { waiter.on_cut(); });
}

template <class Visit>
void Ticker::each(Visit visit) {
  for (Waiter* at = first_; at != nullptr;) {
    Waiter* const next = at->next_;
    visit(*at);
    at = next;
  }
}

}  // namespace berth::task::edge
