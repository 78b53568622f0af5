#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cluster/cgroups.h"
#include "cluster/planner.h"
#include "cluster/service.h"
#include "net/network.h"
#include "net/process.h"

namespace berth::cluster {

/// Who is told which tasks may receive requests: the front door, or a recorder in tests.
class TargetRegistry {
 public:
  virtual ~TargetRegistry() = default;
  virtual Result<void> register_target(const std::string& id, const net::Endpoint& endpoint,
                                       const std::string& zone) = 0;
  /// No new requests from now on; resumes when none is in flight any more or the delay for that has passed.
  virtual Task<void> deregister_target(std::string id) = 0;
  /// Takes out a target that is dead.
  virtual void remove_target(const std::string& id) = 0;
};

/// What the target group found out about a task.
enum class TaskHealth : std::uint8_t { initial, healthy, unhealthy };

struct SupervisorOptions {
  TaskRevision first;
  StatePaths paths;                       ///< its folders exist
  std::string authority_directory;        ///< ServiceOptions::authority_directory
  std::vector<std::string> task_command;  ///< "--task-file PATH" is appended
  RestartLimits restart_limits;
  std::string proc_root = "/proc";
  /// Chooses the address of a new task in a zone, none of those taken.
  std::function<Result<std::string>(const std::string& zone, const std::vector<std::string>& zones,
                                    const std::vector<std::string>& taken)>
      choose_address;
  /// Asks a task's /healthz whether it lives; a task that fails this three times in a row is replaced.
  std::function<Task<bool>(net::Endpoint)> check_alive;
  Duration check_interval = std::chrono::seconds(5);
  /// Asks a server of a task for its tools, as a client would. An error says why it does not answer. Null:
  /// a restart believes a task that says that it is ready.
  std::function<Task<Result<void>>(net::Endpoint, std::string server, Secret key, TimePoint deadline)>
      ask_server;
};

/// Keeps the wanted number of tasks running: carries out what make_plan says, starts each as a process under
/// a keeper in a control group of its own, keeps its log, and tells the registry. One event loop.
class Supervisor {
 public:
  virtual ~Supervisor() = default;

  virtual void scale(std::size_t count) = 0;
  /// Replaces every task by one of `revision`, which proves that it answers for what the tasks of before
  /// answer for; otherwise goes back to those. `note` is RolloutStatus::note.
  virtual void restart(TaskRevision revision, std::string note) = 0;
  virtual const RolloutStatus& rollout() const = 0;
  /// What new tasks are of.
  virtual const model::Spec& spec() const = 0;
  /// The health of a task's target has changed.
  virtual void on_health(std::string_view id, TaskHealth health, std::string_view reason) = 0;
  virtual std::size_t desired() const = 0;
  virtual std::size_t ready() const = 0;
  /// Every task that runs or waits for its restart, by number; without `health`, which the registry knows.
  virtual std::vector<TaskStatus> tasks() = 0;
  /// Ends every task: SIGTERM at once, SIGKILL a little after tasks.drain_timeout. Await it before
  /// destruction.
  virtual Task<void> drain() = 0;
  /// While drain() runs: SIGKILL now.
  virtual void kill() = 0;
};

/// Plans and starts the first tasks at once. Everything passed by reference outlives it.
std::unique_ptr<Supervisor> make_supervisor(SupervisorOptions options, TargetRegistry& registry,
                                            Cgroups& cgroups, net::ProcessLauncher& launcher, Clock& clock,
                                            Log& log, std::function<void(const ServiceEvent&)> on_event);

}  // namespace berth::cluster
