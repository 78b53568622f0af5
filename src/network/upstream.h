#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "monitoring/metrics.h"
#include "net/stream.h"
#include "network/target_group.h"

namespace berth::network {

/// How many requests a target has in flight, over all loops. Each loop writes its own slot and reads them
/// all.
class TargetLoad {
 public:
  explicit TargetLoad(std::size_t loops) : slots_(loops) {}

  void begin(std::size_t loop) { add(loop, 1); }
  void end(std::size_t loop) { add(loop, -1); }
  std::size_t outstanding() const {
    std::int64_t sum = 0;
    for (const Slot& slot : slots_) sum += slot.count.load(std::memory_order_relaxed);
    return static_cast<std::size_t>(sum < 0 ? 0 : sum);
  }

 private:
  /// On a cache line of its own, so that loops do not slow each other down.
  struct alignas(64) Slot {
    std::atomic<std::int64_t> count{0};
  };
  void add(std::size_t loop, std::int64_t change) {
    std::atomic<std::int64_t>& count = slots_[loop].count;
    count.store(count.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
  }
  std::vector<Slot> slots_;
};

/// What one loop counts for one target.
struct TargetCounters {
  std::uint64_t answers[5] = {};          ///< by class of status: 1xx … 5xx
  std::uint64_t connect_failures = 0;     ///< refused, unreachable or too slow
  std::uint64_t broken_answers = 0;       ///< closed, reset or malformed instead of an answer: 502 and 504
  std::uint64_t connections = 0;          ///< opened
  monitoring::Histogram seconds_to_head;  ///< request handed over → head of the answer
};

/// One target in one loop: its pool of idle keep-alive connections and its counters.
class Upstream {
 public:
  Upstream(RoutedTarget target, std::shared_ptr<TargetLoad> load)
      : target_(std::move(target)), load_(std::move(load)) {}

  const Target& target() const { return target_.target; }
  std::uint64_t key() const { return target_.key; }
  TargetLoad& load() { return *load_; }

  /// The most recently used idle connection that is still quiet, or null. Closed ones are discarded.
  std::unique_ptr<net::Stream> take_idle();
  /// Keeps a connection on which an answer has ended and another request may follow.
  void give_back(std::unique_ptr<net::Stream> stream, TimePoint now);
  /// Closes connections that were idle for too long or that the target has closed.
  void prune(TimePoint now);
  /// The target takes no new requests: closes idle connections, also those still to be given back.
  void retire();
  std::size_t idle() const { return idle_.size(); }

  TargetCounters counters;  ///< guarded by the lock of the loop's statistics

 private:
  struct Idle {
    std::unique_ptr<net::Stream> stream;
    TimePoint since;
  };
  RoutedTarget target_;
  std::shared_ptr<TargetLoad> load_;
  std::vector<Idle> idle_;
  bool retired_ = false;
};

}  // namespace berth::network
