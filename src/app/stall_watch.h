#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/log.h"

namespace berth::app {

/// Says in the log that the event loop of `clock` has not turned for `patience`, from a thread of its own: a
/// loop that is stuck in something answers no health check, and cannot say why. Whoever asks for its health
/// (`berth up`, ECS) replaces the task; this line names the cause. The log is written to from that thread.
class StallWatch {
 public:
  StallWatch(Clock& clock, Log& log, Duration patience = std::chrono::seconds(5));
  ~StallWatch();
  StallWatch(const StallWatch&) = delete;
  StallWatch& operator=(const StallWatch&) = delete;

 private:
  void beat();
  void watch();

  Clock& clock_;
  Log& log_;
  Duration patience_;
  std::unique_ptr<Timer> timer_;
  std::atomic<std::uint64_t> beats_ = 0;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;  ///< guarded by mutex_
  std::thread thread_;
};

}  // namespace berth::app
