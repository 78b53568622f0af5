#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "task/runtime.h"
#include "task/runtime/ecs_task.h"

namespace berth::task {

/// What the environment tells a task that nobody supervises: the container's entry point. docs/task.md has
/// the table for users.
struct TaskSettings {
  net::Endpoint listen{"0.0.0.0", 3000};  ///< BERTH_LISTEN
  TaskTls tls = TaskTls::clear;           ///< BERTH_TLS: off, self-signed
  std::string data_directory;             ///< BERTH_DATA, default /mnt/data
  bool open = false;                      ///< BERTH_OPEN
  std::vector<std::string> hosts;         ///< BERTH_HOSTS, with commas between them
  Secret api_key;                         ///< BERTH_API_KEY; empty: none
  Secret fleet_key;                       ///< BERTH_FLEET_KEY: one, or two with a comma between; empty: none
  std::string peer_address;               ///< BERTH_PEER_LISTEN; empty: the task's own address, port 3001
  std::optional<Duration> idle_timeout;   ///< BERTH_IDLE_TIMEOUT
  std::optional<Duration> drain_grace;    ///< BERTH_DRAIN_GRACE
  std::string metadata_uri;               ///< ECS_CONTAINER_METADATA_URI_V4; empty: not on ECS
  std::string service;                    ///< BERTH_SERVICE; empty: ECS's name, else the spec's
  std::string region;                     ///< AWS_REGION, which Fargate sets
  bool emf = false;                       ///< BERTH_METRICS=emf
  std::optional<Duration> emf_period;     ///< BERTH_METRICS_PERIOD; default 60 s, or 20 s (high_resolution)
  struct Traces {
    double ratio = 0.05;   ///< BERTH_TRACES_RATIO, 0 to 1: of the calls whose caller has not decided
    std::string endpoint;  ///< BERTH_OTLP_ENDPOINT, AWS_ENDPOINT_URL…; empty: X-Ray's of the region
    bool sign = false;     ///< BERTH_OTLP_SIGN: sign although the endpoint is not AWS's own
  };
  std::optional<Traces> traces;  ///< BERTH_TRACES=otlp or xray
};

/// Reads them. `flags` stands for the command line, which goes first: the same names in the same form. A
/// value that cannot be understood is invalid_argument with the variable, the value and what to write
/// instead; secrets are never part of it.
Result<TaskSettings> read_task_settings(const std::map<std::string, std::string>& environment,
                                        const std::map<std::string, std::string>& flags);

/// What drain_timeout may be at most on ECS: StopTimeout is 120 s there at most, and then comes SIGKILL.
inline constexpr model::Milliseconds ecs_drain_max{110'000};

/// Puts settings and what ECS says (nullopt: not on ECS) into `options`, whose spec and keys are there.
/// invalid_argument: a listener that others can reach and nobody has to show a key; sisters without the key
/// they share.
Result<void> apply_task_settings(const TaskSettings& settings, const std::optional<EcsTask>& ecs,
                                 RuntimeOptions& options);

/// Where spans go: what was set, else X-Ray's OTLP endpoint of `region`
/// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html). empty:
/// there is neither.
std::string otlp_endpoint(const TaskSettings::Traces& traces, const std::string& region);

}  // namespace berth::task
