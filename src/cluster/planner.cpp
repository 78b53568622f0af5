#include "cluster/planner.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"

namespace berth::cluster {

std::string_view to_string(TaskState state) {
  switch (state) {
    case TaskState::starting: return "starting";
    case TaskState::ready: return "ready";
    case TaskState::unready: return "unready";
    case TaskState::unresponsive: return "unresponsive";
    case TaskState::draining: return "draining";
  }
  return "starting";
}

void RestartRecord::ended(std::size_t number, TimePoint now, Duration ready_for, double jitter) {
  Slot& slot = slots_[number];
  ++restarts_;
  if (ready_for >= limits_.stable_after) slot = {};
  slot.never_ready = ready_for > Duration::zero() ? 0 : slot.never_ready + 1;
  ++slot.failures;
  if (slot.failures == 1) {
    slot.not_before = now;
    return;
  }
  Duration wait = limits_.backoff_min;
  for (std::size_t i = 2; i < slot.failures && wait < limits_.backoff_max; ++i) wait *= 2;
  wait = std::min(wait, limits_.backoff_max);
  const auto spread = static_cast<Duration::rep>(static_cast<double>(wait.count()) * 0.25 * jitter);
  slot.not_before = now + wait + Duration(spread);
}

std::optional<TimePoint> RestartRecord::not_before(std::size_t number) const {
  const auto slot = slots_.find(number);
  if (slot == slots_.end()) return std::nullopt;
  return slot->second.not_before;
}

std::size_t RestartRecord::failures(std::size_t number) const {
  const auto slot = slots_.find(number);
  return slot == slots_.end() ? 0 : slot->second.failures;
}

bool RestartRecord::crash_looping(std::size_t number) const {
  const auto slot = slots_.find(number);
  return slot != slots_.end() && slot->second.never_ready >= limits_.crash_loop_failures;
}

namespace {

class Planning {
 public:
  Planning(const Desired& desired, std::span<const TaskObservation> tasks, const RestartRecord& record,
           TimePoint now)
      : desired_(desired), record_(record), now_(now) {
    BERTH_CHECK(!desired.zones.empty(), "a service has at least one zone");
    for (const TaskObservation& task : tasks) {
      used_.push_back(task.number);
      if (task.state == TaskState::draining) continue;
      if (task.state == TaskState::unresponsive) {
        plan_.stop.push_back(
            {task.number, StopTask::How::kill, "its event loop is stalled, GET /healthz does not answer"});
        continue;
      }
      live_.push_back(task);
    }
  }

  Plan run() {
    if (live_.size() > desired_.count + 1 || (live_.size() == desired_.count + 1 && !replacing())) {
      remove_surplus();
    } else if (live_.size() == desired_.count + 1) {
      finish_replacement();
    } else if (live_.size() < desired_.count) {
      fill();
    } else if (replacing() && desired_.count > 0) {
      start_one(successor_zone());
    }
    return std::move(plan_);
  }

 private:
  bool known_zone(const std::string& zone) const {
    return std::find(desired_.zones.begin(), desired_.zones.end(), zone) != desired_.zones.end();
  }

  std::size_t population(const std::string& zone) const {
    return static_cast<std::size_t>(std::count_if(
        live_.begin(), live_.end(), [&](const TaskObservation& task) { return task.zone == zone; }));
  }

  std::string emptiest_zone() const {
    return *std::min_element(
        desired_.zones.begin(), desired_.zones.end(),
        [&](const std::string& a, const std::string& b) { return population(a) < population(b); });
  }

  bool outdated(const TaskObservation& task) const {
    return task.revision != desired_.revision || !known_zone(task.zone);
  }

  /// In a zone with at least two tasks more than another one has.
  bool misplaced(const TaskObservation& task) const {
    return population(task.zone) > population(emptiest_zone()) + 1;
  }

  bool replacing() const {
    return std::any_of(live_.begin(), live_.end(),
                       [&](const TaskObservation& task) { return outdated(task) || misplaced(task); });
  }

  /// Who goes first: outdated before current, then the fuller zone, then not ready before ready, then the
  /// newest.
  const TaskObservation& first_to_go() const {
    return *std::max_element(live_.begin(), live_.end(),
                             [&](const TaskObservation& a, const TaskObservation& b) {
                               const auto rank = [&](const TaskObservation& task) {
                                 return std::tuple(outdated(task), population(task.zone),
                                                   task.state != TaskState::ready, task.number);
                               };
                               return rank(a) < rank(b);
                             });
  }

  void drain(const TaskObservation& task, std::string reason) {
    const std::size_t number = task.number;
    plan_.stop.push_back({number, StopTask::How::drain, std::move(reason)});
    std::erase_if(live_, [&](const TaskObservation& other) { return other.number == number; });
  }

  void remove_surplus() {
    while (live_.size() > desired_.count) {
      drain(first_to_go(), "the service has more tasks than it should");
    }
  }

  void finish_replacement() {
    const bool substitutes_ready = std::all_of(live_.begin(), live_.end(), [&](const TaskObservation& task) {
      return outdated(task) || task.state == TaskState::ready;
    });
    if (substitutes_ready) drain(first_to_go(), "it is replaced");
  }

  void fill() {
    while (live_.size() < desired_.count) start_one(emptiest_zone());
  }

  /// Where the one that goes next stands, so that zones stay balanced while tasks are replaced.
  std::string successor_zone() const {
    const TaskObservation& next = first_to_go();
    return known_zone(next.zone) && !misplaced(next) ? next.zone : emptiest_zone();
  }

  /// Starts the lowest free slot, or reserves it until its back-off is over.
  void start_one(std::string zone) {
    std::size_t number = 1;
    while (std::find(used_.begin(), used_.end(), number) != used_.end()) ++number;
    used_.push_back(number);
    const auto earliest = record_.not_before(number);
    live_.push_back({number, zone, desired_.revision, TaskState::starting});
    if (earliest && *earliest > now_) {
      if (!plan_.wake || *earliest < *plan_.wake) plan_.wake = *earliest;
      return;
    }
    plan_.start.push_back({number, std::move(zone)});
  }

  const Desired& desired_;
  const RestartRecord& record_;
  TimePoint now_;
  std::vector<TaskObservation> live_;
  std::vector<std::size_t> used_;
  Plan plan_;
};

}  // namespace

Plan make_plan(const Desired& desired, std::span<const TaskObservation> tasks, const RestartRecord& record,
               TimePoint now) {
  return Planning(desired, tasks, record, now).run();
}

}  // namespace berth::cluster
