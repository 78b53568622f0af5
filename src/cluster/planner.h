#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"

/// What the service should do next, as a pure function of what is wanted, what is seen, and the time. The
/// supervisor carries it out; the simulation and property tests run the very same code.
namespace berth::cluster {

enum class TaskState : std::uint8_t {
  starting,      ///< launched, not ready yet
  ready,         ///< its server answers
  unready,       ///< alive, but its server does not answer; the task repairs that itself
  unresponsive,  ///< alive, but /healthz does not answer: must be replaced
  draining,      ///< told to stop
};
std::string_view to_string(TaskState state);

/// One live task as the supervisor sees it. Tasks that have ended are not listed.
struct TaskObservation {
  std::size_t number = 0;  ///< 1, 2, 3 …: the slot; an id is this number as text
  std::string zone;
  std::uint64_t revision = 0;
  TaskState state = TaskState::starting;
};

struct Desired {
  std::size_t count = 3;
  std::vector<std::string> zones{"a", "b", "c"};
  std::uint64_t revision = 1;  ///< tasks of another revision are replaced one at a time
};

struct StartTask {
  std::size_t number = 0;
  std::string zone;
  bool operator==(const StartTask&) const = default;
};

struct StopTask {
  std::size_t number = 0;
  enum class How : std::uint8_t { drain, kill } how = How::drain;
  std::string reason;
  bool operator==(const StopTask&) const = default;
};

struct Plan {
  std::vector<StartTask> start;
  std::vector<StopTask> stop;
  std::optional<TimePoint> wake;  ///< plan again then, when nothing happens earlier
  bool empty() const { return start.empty() && stop.empty(); }
};

struct RestartLimits {
  Duration backoff_min = std::chrono::milliseconds(500);
  Duration backoff_max = std::chrono::seconds(30);
  /// Having been ready this long clears a slot's record.
  Duration stable_after = std::chrono::seconds(60);
  /// That many ends in a row without ever being ready is a crash loop.
  std::size_t crash_loop_failures = 3;
};

/// When a slot may start again. The first end restarts at once (a killed task should be back quickly); each
/// further one doubles the wait from backoff_min to backoff_max. A value.
class RestartRecord {
 public:
  explicit RestartRecord(RestartLimits limits = {}) : limits_(limits) {}
  void set_limits(const RestartLimits& limits) { limits_ = limits; }

  /// A task of slot `number` ended without being told to. `ready_for` is how long it had been ready (0:
  /// never). `jitter` in [0, 1) spreads restarts over up to a quarter of the wait.
  void ended(std::size_t number, TimePoint now, Duration ready_for, double jitter = 0);

  /// Earliest time to start slot `number`; nullopt: at once.
  std::optional<TimePoint> not_before(std::size_t number) const;
  std::size_t failures(std::size_t number) const;
  bool crash_looping(std::size_t number) const;
  std::uint64_t restarts() const { return restarts_; }

 private:
  struct Slot {
    std::size_t failures = 0;     ///< ends in a row without a stable run
    std::size_t never_ready = 0;  ///< ends in a row without ever being ready
    TimePoint not_before{};
  };
  RestartLimits limits_;
  std::map<std::size_t, Slot> slots_;
  std::uint64_t restarts_ = 0;
};

/// The next steps. Properties (tested): applying plans repeatedly converges to `count` ready tasks of the
/// wanted revision; live tasks that are not draining never exceed count + 1; zones end up differing by at
/// most one; while tasks are replaced, no ready one is drained before its substitute is ready; a converged
/// state plans nothing.
Plan make_plan(const Desired& desired, std::span<const TaskObservation> tasks, const RestartRecord& record,
               TimePoint now);

}  // namespace berth::cluster
