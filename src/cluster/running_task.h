#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/signal.h"
#include "base/task.h"
#include "cluster/addresses.h"
#include "cluster/log_file.h"
#include "cluster/planner.h"
#include "cluster/process_tree.h"
#include "cluster/service.h"
#include "net/process.h"

namespace berth::cluster {

/// One live task of the supervisor.
struct RunningTask {
  RunningTask(std::size_t n, Executor executor)
      : number(n), id(std::to_string(n)), handed_over(executor), followers(executor), attendants(executor) {}

  std::size_t number;
  std::string id;
  std::string zone;
  std::string host;
  std::uint64_t revision = 0;
  Duration drain_timeout{};
  TaskState state = TaskState::starting;
  bool told_to_stop = false;
  bool takes_no_calls = false;  ///< it has begun to drain, as it says
  std::string reason;
  TimePoint started;
  WallTime started_wall;
  std::optional<TimePoint> first_ready;
  std::unique_ptr<net::Process> process;
  std::optional<LogFile> log;
  double cpu = 0;
  TreeUsage usage;
  std::optional<TimePoint> sampled;
  Signal handed_over;    ///< the front door has nothing in flight there any more
  TaskScope followers;   ///< end by themselves when the process has ended and left the registry
  TaskScope attendants;  ///< checks, and the way to its end; cancelled when it has ended

  net::Endpoint endpoint() const { return {host, task_port}; }
};

/// What is remembered of a slot whose task has ended, until one there is healthy again.
struct EndedTask {
  std::string zone;
  std::string reason;
  std::vector<std::string> last_words;
};

/// How it ended, and what it said last.
std::string with_last_words(const EndedTask& ended);

/// What /proc and the task itself say; without its servers and its slot's record.
TaskStatus describe(RunningTask& task, const std::string& proc_root, TimePoint now);

}  // namespace berth::cluster
