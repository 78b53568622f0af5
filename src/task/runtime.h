#pragma once

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
#include "task/identity.h"
#include "task/runtime/ecs_task.h"
#include "task/runtime/telemetry.h"
#include "task/server_host.h"

namespace berth {
class Server;
}

namespace berth::task {

/// How clients are spoken to. `self_signed`: with a certificate that the task makes for itself when it
/// starts, and anew before it ends; for a balancer that encrypts without checking (an AWS load balancer).
enum class TaskTls : std::uint8_t { clear, self_signed };

struct RuntimeOptions {
  model::Spec spec;
  TaskIdentity identity;  ///< peer_address empty: no peer listener (a single task)
  net::Endpoint listen{"0.0.0.0", 3000};
  std::string data_directory;  ///< the shared volume, /mnt/data on AWS; holds fleet/
  /// Berth's own folder, which hosted servers see empty but for the data folder; empty: there is none.
  std::string state_directory;
  /// Further files and folders that hosted servers see empty, as they do the files of auth.keys and
  /// listener.key_file: Berth's certificate authority.
  std::vector<std::string> secret_paths;
  /// Where the task keeps who of its servers does not answer and why, for whoever may know; empty: nowhere.
  std::string readiness_file;
  Secret fleet_key;         ///< 32 bytes or more, the same in every task
  Secret second_fleet_key;  ///< accepted as well, while one is rotated; empty: none
  /// Principal and secret of each API key (spec.auth.keys, read by the composition root); empty: open.
  std::vector<std::pair<std::string, Secret>> keys;
  /// What child processes get besides their spec's own environment: PATH, HOME, LANG, TMPDIR.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string version = "0.0.0";  ///< of this program, for the fleet and the workspace server
  Server* native = nullptr;       ///< the server of a native program (kind native); not owned
  TaskTls tls = TaskTls::clear;
  std::optional<Duration> idle_timeout;  ///< of client connections; default http::ServerLimits'
  std::optional<Duration> drain_grace;   ///< how long a drain goes on accepting; default: as long as it must
  std::optional<EcsTask> ecs;            ///< where this runs, for /metrics
  TelemetryOptions telemetry;
};

/// One task: the MCP endpoints, /healthz, /readyz and /metrics on `listen`, the peer listener, the hosts.
/// What `berth serve` runs, and what the simulation tests run on an in-memory network.
class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual net::Endpoint local() const = 0;
  virtual bool ready() const = 0;
  /// SIGTERM: stop being ready, finish calls in flight, end streams, stop the servers; done by `deadline`.
  /// Await it before destruction. A second call while the first runs brings the deadline forward and
  /// returns at once.
  virtual Task<void> drain(TimePoint deadline) = 0;
};

/// Binds and starts; hosted servers start in the background (readiness follows). Errors: conflict (address in
/// use), permission_denied (data folder), invalid_argument.
Result<std::unique_ptr<Runtime>> make_runtime(RuntimeOptions options, net::Network& network,
                                              net::ProcessLauncher& launcher, Log& log);

}  // namespace berth::task
