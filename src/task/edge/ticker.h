#pragma once

#include <memory>

#include "base/clock.h"

namespace berth::task::edge {

class Ticker;

/// Something that waits on behalf of a client for longer than an instant: it is reminded of the time now and
/// then, and told when the endpoint drains. Callbacks only set flags and wake the waiter; they do not add or
/// remove waiters.
class Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  virtual void on_tick(TimePoint now) = 0;
  /// The endpoint drains: end as soon as the protocol allows.
  virtual void on_drain() {}
  /// The drain's deadline has come: end now.
  virtual void on_cut() = 0;

 protected:
  ~Waiter();

 private:
  friend class Ticker;
  Ticker* ticker_ = nullptr;
  Waiter* previous_ = nullptr;
  Waiter* next_ = nullptr;
};

/// One coarse timer for everything that waits in an endpoint, so that a call costs no timer of its own. Ticks
/// only while something waits.
class Ticker {
 public:
  Ticker(Clock& clock, Duration interval);
  ~Ticker();

  /// Idempotent. A waiter leaves by itself when it is destroyed.
  void add(Waiter& waiter);
  void remove(Waiter& waiter);
  void drain();
  void cut();
  std::size_t size() const { return size_; }

 private:
  void arm();
  void tick();
  template <class Visit>
  void each(Visit visit);

  Clock& clock_;
  Duration interval_;
  Waiter* first_ = nullptr;
  std::size_t size_ = 0;
  bool armed_ = false;
  std::unique_ptr<Timer> timer_;
};

}  // namespace berth::task::edge
