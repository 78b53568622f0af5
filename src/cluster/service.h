#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/secret.h"
#include "model/spec.h"
#include "net/network.h"
#include "net/process.h"
#include "net/tls.h"

/// The service on one machine, what `berth up` runs: a supervisor of tasks, the front door, and the control
/// API through which the other verbs speak to it.
namespace berth::cluster {

/// Of one key by which the tasks of a service know each other. A file of two holds the one that they seal
/// with first; the other opens as well.
inline constexpr std::size_t fleet_key_bytes = 32;

/// Files of a service inside its state folder (`.berth/` beside berth.yaml).
struct StatePaths {
  std::string directory;  ///< mode 0700

  std::string lock() const { return directory + "/lock"; }                    ///< held by the running service
  std::string control_socket() const { return directory + "/control.sock"; }  ///< mode 0600
  /// Mode 0600: fleet_key_bytes of random, or twice as many while it is rotated.
  std::string fleet_key() const { return directory + "/fleet.key"; }
  std::string data() const { return directory + "/data"; }  ///< shared volume: /mnt/data on AWS
  std::string logs() const { return directory + "/logs"; }
  std::string task_log(const std::string& id) const { return logs() + "/task-" + id + ".jsonl"; }
  std::string tasks() const { return directory + "/tasks"; }
  std::string task_file(const std::string& id) const { return tasks() + "/" + id + ".json"; }  ///< mode 0600
  /// What a task says of its servers; mode 0600.
  std::string readiness_file(const std::string& id) const { return tasks() + "/" + id + ".ready.json"; }
};

/// Where the control API listens: HTTP over a Unix socket. A client of it speaks to this endpoint.
net::Endpoint control_endpoint(const std::string& state_directory);

/// waiting: it ended and starts again after a pause. stopping: drained, or about to be killed.
enum class TaskPhase : std::uint8_t { starting, running, waiting, stopping };
std::string_view to_string(TaskPhase phase);

/// Whether a hosted server of a task answers.
struct ServerState {
  std::string name;
  bool ready = false;
  std::string reason;    ///< when it does not: a sentence with its last words if it has any
  bool refused = false;  ///< then: it cannot be started or reached at all, so that waiting is of no use
  std::string not_separated = {};  ///< what of its processes' separation was refused; empty: nothing
  std::uint64_t restarts = 0;      ///< its processes that ended without being told to
  std::uint64_t oom_kills = 0;     ///< those of them that the kernel ended for want of memory
  std::uint64_t homes = 0;         ///< callers whose state in it is in this task
  std::uint64_t home_calls = 0;    ///< calls of these
  std::string busiest = {};        ///< the principal of the caller with most of them
  std::uint64_t busiest_calls = 0;
  std::string holder = {};  ///< the principal with most homes
  std::uint64_t holder_homes = 0;
  bool rests = false;             ///< its one process is in another task (`isolation: service`)
  std::uint64_t states_lost = 0;  ///< callers that were told that their state was lost with a process
};

/// One task as `berth status` shows it.
struct TaskStatus {
  std::string id;
  std::string zone;
  std::string address;  ///< "127.0.1.1:3000"
  TaskPhase phase = TaskPhase::starting;
  std::string health;  ///< of the target: initial, healthy, unhealthy, draining; empty: no target
  std::string reason;  ///< why it is not healthy, or how it ended; a sentence, or empty
  pid_t pid = 0;       ///< 0 while it waits
  std::size_t restarts = 0;
  bool crash_loop = false;         ///< it ended soon after each of its last starts
  double cpu = 0;                  ///< cores used since the sample before
  std::uint64_t memory_bytes = 0;  ///< resident, with its descendants
  std::int64_t started_unix_ms = 0;
  std::vector<std::string> last_words;  ///< the last lines of a task that ended or never became healthy
  std::vector<ServerState> servers;     ///< as the task last said; empty while it has said nothing
};

/// An MCP URL of one server. A single server has "/mcp" first.
struct ServiceUrl {
  std::string server;
  std::string url;
  bool outside = false;  ///< for clients elsewhere, by listener.public_url or hosts; else for this machine
};

/// A replacement of every task (`berth restart`), one after another.
struct RolloutStatus {
  /// undone: a server that answered before does not any more, so that the tasks before it go on serving.
  enum class State : std::uint8_t { none, running, done, undone } state = State::none;
  std::uint64_t number = 0;  ///< 1, 2, 3 … since the service came up
  std::string reason;        ///< why it was undone: a sentence with the server's last words if it has any
  std::string note;          ///< what of the spec file stays as it was until down and up
};
std::string_view to_string(RolloutStatus::State state);

struct ServiceStatus {
  std::string service;
  std::string spec_file;
  pid_t pid = 0;
  std::int64_t started_unix_ms = 0;
  std::vector<ServiceUrl> urls;
  std::vector<std::string> hosts;  ///< names besides loopback by which clients may come
  std::size_t desired = 0;
  std::vector<TaskStatus> tasks;
  bool limits_enforced = false;
  std::string limits;                    ///< a sentence: by what they are enforced, or why they are not
  double cpu_limit = 0;                  ///< of each task, tasks.cpu; 0: not told
  std::uint64_t memory_limit_bytes = 0;  ///< likewise
  std::uint64_t requests = 0;
  std::size_t in_flight = 0;
  RolloutStatus rollout;  ///< the last one
};
/// As GET /status answers: an object with the members above under the same names ("phase" as text).
std::string to_json(const ServiceStatus& status);
Result<ServiceStatus> parse_service_status(std::string_view json);

struct ServiceEvent {
  enum class Kind : std::uint8_t {
    task_started,
    task_ready,
    task_unhealthy,
    task_exited,
    crash_loop,
    task_gone,
    rollout_ended
  };
  Kind kind = Kind::task_started;
  std::string task;
  std::string text;  ///< a sentence for a person
};

/// What tasks are started from.
struct TaskRevision {
  model::Spec spec;
  /// The environment of the tasks (spec secrets travel in the task file, not here).
  std::vector<std::pair<std::string, std::string>> environment;
  Secret key;  ///< one that these tasks let in, to ask their servers with before they serve; empty: none
};

struct ServiceOptions {
  model::Spec spec;
  std::string state_directory;  ///< absolute; made when absent
  /// Where the certificate authority is kept; hosted servers see it empty. Empty: there is none.
  std::string authority_directory;
  /// argv that runs one task; "--task-file PATH" is appended: {"/usr/bin/berth", "serve"}, or a native
  /// program's.
  std::vector<std::string> task_command;
  std::vector<std::pair<std::string, std::string>> environment;  ///< of the tasks, as in TaskRevision
  std::shared_ptr<net::TlsContext> tls;  ///< certificate of the HTTPS listener; null: HTTP alone
  std::string cgroup_root = "/sys/fs/cgroup";
  std::string proc_root = "/proc";
  /// What a restart starts tasks from: the spec file as it is then. Null: `spec` and `environment` again.
  std::function<Result<TaskRevision>()> read_revision;
  /// Called once, from the event loop, when `berth down` asks: await drain() and end.
  std::function<void()> on_down;
  std::function<void(const ServiceEvent&)> on_event;
};

/// All members are called from the event loop of the Network.
class Service {
 public:
  virtual ~Service() = default;
  virtual ServiceStatus status() const = 0;
  /// Resumes when as many tasks are healthy as are wanted (true), or at `deadline` (false).
  virtual Task<bool> wait_until_healthy(TimePoint deadline) = 0;
  /// invalid_argument above tasks_max.
  virtual Result<void> scale(std::size_t count) = 0;
  /// What `spec`, as its file is now, says otherwise than what runs: keys as paths.
  virtual std::vector<std::string> differing_keys(const model::Spec& spec) const = 0;
  /// Replaces every task, one after another, by one of the spec file as it is now: each only when its
  /// successor is healthy and every server in it answers tools/list that answers in the tasks of before.
  /// Where one does not, the restart is undone; ServiceStatus::rollout tells how far it is. What the service
  /// itself was made from (name, listener) stays as it is. Errors: those of read_revision; nothing has
  /// changed then.
  virtual Result<void> restart() = 0;
  /// Stops accepting, finishes what is in flight, ends every task (SIGTERM; SIGKILL a little after
  /// drain_timeout) and the control API. Await it before destruction. A second call, while the first runs,
  /// kills at once.
  virtual Task<void> drain() = 0;
};

inline constexpr std::size_t tasks_max = 64;

/// Binds, launches every task, and returns: tasks become healthy in the background. Errors: conflict (the
/// service runs already: names its pid and since when; a port in use), permission_denied (state folder not
/// writable; a listener beyond loopback without auth.keys), invalid_argument. Everything passed outlives the
/// service.
Result<std::unique_ptr<Service>> make_service(ServiceOptions options, net::Network& network,
                                              net::ProcessLauncher& launcher, Log& log);

}  // namespace berth::cluster
