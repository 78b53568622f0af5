#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

/// `berth.yaml` as plain values: one struct a block, defaults in the initializers. `schema/berth.schema.json`
/// and the reference in docs/berth.yaml.md are checked against these by a test.
namespace berth::model {

using Milliseconds = std::chrono::milliseconds;

enum class EraChoice : std::uint8_t { automatic, legacy, modern };
/// Who shares a stdio child. `principal` (default): callers with the same authenticated identity; without
/// authentication everybody is "anonymous" and shares. `shared`: everybody. `session`: one child a legacy
/// session. `service`: everybody in all tasks; there is one child in the whole service.
enum class Isolation : std::uint8_t { principal, shared, session, service };
/// What a server of the session era keeps in its process for its callers. `automatic`: perhaps something; a
/// loss of it is told with the next result. `none`: nothing. `process`: what they build on; a loss ends that.
enum class State : std::uint8_t { automatic, none, process };

struct ServerSpec {
  enum class Kind : std::uint8_t { command, builtin, url, native };
  std::string name;
  Kind kind = Kind::builtin;
  std::vector<std::string> command;  ///< kind command, native (argv of the task itself)
  std::string builtin;               ///< "workspace"
  Secret url;                        ///< http://… of an MCP endpoint; its query is where keys are put
  std::map<std::string, std::string> environment;  ///< besides what every server gets (model/inherited.h)
  std::string env_file;  ///< whose variables are part of `environment`, as the file names it; else empty
  /// Further variables of Berth's own environment, as names or beginnings with `*`. Reading a file puts those
  /// that are set into `environment`, but where variables are kept for another machine.
  std::vector<std::string> inherit;
  std::map<std::string, std::string> headers;  ///< kind url: sent upstream
  std::string directory;                       ///< working directory; default: the spec's folder
  EraChoice era = EraChoice::automatic;
  Isolation isolation = Isolation::principal;
  State state = State::automatic;
  std::size_t children_max = 16;              ///< calls wait above
  std::size_t warm = 1;                       ///< children kept ready before the first call
  std::size_t calls_per_child_max = 256;      ///< in flight; more wait
  std::size_t queue_max = 1024;               ///< waiting calls; 429 above, for whoever has most
  Milliseconds start_timeout{30'000};         ///< spawn → initialize answered
  Milliseconds probe_timeout{3'000};          ///< era probe on a disposable sibling
  Milliseconds call_timeout{300'000};         ///< -32603 after; progress restarts it
  Milliseconds input_timeout{600'000};        ///< how long a parked call waits for the user
  Milliseconds idle_timeout{600'000};         ///< idle children beyond `warm` end after
  std::size_t message_bytes_max = 32u << 20;  ///< one message from the server
};

struct TasksSpec {
  std::size_t count = 3;
  std::vector<std::string> zones{"a", "b", "c"};
  double cpu = 0.5;  ///< vCPU
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;
  Milliseconds drain_timeout{30'000};  ///< SIGTERM → what is left is cut
  Milliseconds restart_backoff_min{500};
  Milliseconds restart_backoff_max{30'000};
};

enum class Balancing : std::uint8_t { round_robin, least_outstanding_requests };

struct HealthCheckSpec {
  std::string path = "/readyz";
  Milliseconds interval{5'000};
  Milliseconds timeout{2'000};
  std::size_t healthy_threshold = 2;
  std::size_t unhealthy_threshold = 2;
};

struct ListenerSpec {
  std::string address = "127.0.0.1";
  std::optional<std::uint16_t> http_port;   ///< default: first free from 8080
  std::optional<std::uint16_t> https_port;  ///< default: first free from 8443
  bool https = true;
  std::string certificate_file;  ///< PEM chain; default: issued by Berth's local CA
  std::string key_file;
  std::vector<std::string> hosts;    ///< further Host names of ours (DNS rebinding guard)
  std::string public_url;            ///< of the service outside, without the server's path; empty: none
  std::vector<std::string> origins;  ///< browser origins allowed besides our own
  Balancing balancing = Balancing::round_robin;
  Milliseconds idle_timeout{60'000};  ///< ALB's default; no byte either way
  std::size_t threads = 0;            ///< 0: one per core, at most 2
  HealthCheckSpec health_check;
  Milliseconds slow_start{0};  ///< 0 off; else 30 s to 900 s as ALB
  Milliseconds deregistration_delay{10'000};
};

/// One API key: who it stands for, and where the secret is read (environment variable or file).
struct KeySpec {
  std::string principal;
  std::string environment;
  std::string file;
};

struct AuthSpec {
  std::vector<KeySpec> keys;  ///< empty: open, allowed on loopback only
};

struct LimitsSpec {
  std::size_t body_bytes_max = 4u << 20;         ///< request body; 413
  std::size_t head_bytes_max = 64 * 1024;        ///< 431
  std::size_t head_fields_max = 100;             ///< 431
  std::size_t target_bytes_max = 16 * 1024;      ///< 414
  std::size_t connections_max = 8'000;           ///< per listener; accept pauses
  std::size_t sessions_max = 10'000;             ///< legacy sessions a task; unused ones make room, else 503
  Milliseconds session_idle_timeout{3'600'000};  ///< idle legacy session ends; 404 after
  std::size_t listen_streams_max = 4'000;        ///< open streams a task; 503, for one principal at 3/4
  std::size_t stream_buffer_bytes_max = 1u << 20;  ///< unread SSE a client may leave; the stream is cut
  std::size_t replay_events_max = 256;             ///< events kept for Last-Event-ID, a session
  Milliseconds keep_alive_interval{15'000};        ///< SSE comment on silent streams
  Milliseconds head_timeout{10'000};               ///< 408
  Milliseconds body_timeout{60'000};               ///< 408
  std::size_t json_depth_max = 128;                ///< -32700
};

/// How the container image comes to be. With a Dockerfile an engine builds it (docker, podman or buildah);
/// otherwise Berth assembles it.
struct ImageSpec {
  /// relative to the spec; empty: ./Dockerfile if there is one
  std::string dockerfile;
  bool assemble = false;  ///< never use an engine, though a Dockerfile is there
  /// image reference or "scratch"; empty: by what the server needs
  std::string base;
  std::vector<std::string> ignore;  ///< patterns besides .dockerignore
  enum class Severity : std::uint8_t { none, low, medium, high, critical } stop_at = Severity::critical;
};

/// One statement of the task role, in IAM's own words.
struct PermissionSpec {
  std::vector<std::string> actions;    ///< "dynamodb:GetItem"
  std::vector<std::string> resources;  ///< ARNs; "*" has to be said
};

/// When the service runs; it has no task outside these hours.
struct HoursSpec {
  std::string days = "mon-fri";  ///< days of cron: "mon-fri", "mon,wed"
  std::string from = "07:00";
  std::string to = "20:00";
  std::string timezone = "UTC";  ///< IANA name
};

struct ScalingSpec {
  std::size_t min = 0;             ///< 0: tasks.count
  std::size_t max = 0;             ///< 0: twice tasks.count
  double cpu_out = 70;             ///< percent; one task more above
  double cpu_in = 30;              ///< percent; one task fewer below
  std::size_t calls_per_task = 0;  ///< calls in flight a task that are aimed at; 0: off
  /// 20-second metrics: twice as fast, billed as custom metrics
  bool high_resolution = false;
  std::optional<HoursSpec> hours;  ///< absent: always
};

struct AwsNetworkSpec {
  std::string vpc;                           ///< empty: one of its own
  std::vector<std::string> public_subnets;   ///< with `vpc`: of the load balancer
  std::vector<std::string> private_subnets;  ///< with `vpc`: of the tasks
  std::string cidr = "10.20.0.0/16";         ///< of its own VPC
  enum class Egress : std::uint8_t { nat, nat_per_zone, endpoints } egress = Egress::nat;
  std::vector<std::string> egress_ports;  ///< TCP ports that tasks may call besides 443
  bool flow_logs = true;
};

struct AwsAlarmsSpec {
  std::string email;            ///< subscribed to the alarm topic
  std::string trail_log_group;  ///< CloudTrail's; empty: an EventBridge rule alone
};

struct AwsSpec {
  std::string region;  ///< empty: AWS_REGION or the profile's
  std::string profile;
  std::string account;  ///< refuse to touch any other; empty: whichever
  enum class Architecture : std::uint8_t { own, x86_64, arm64 } architecture = Architecture::own;
  AwsNetworkSpec network;
  std::string domain;  ///< "mcp.example.com"
  /// Route 53 id; with `domain`: record and certificate are made
  std::string hosted_zone;
  std::string certificate;                      ///< ACM ARN; with `domain`: used instead
  bool internal = false;                        ///< load balancer without a public address
  std::vector<std::string> allow{"0.0.0.0/0"};  ///< CIDR blocks that may reach it
  bool waf = false;
  std::string kms_key;               ///< ARN of a customer key; empty: keys of AWS
  std::string permissions_boundary;  ///< ARN
  std::map<std::string, std::string> tags;
  std::size_t spot_base = 1;    ///< tasks always on demand
  std::size_t spot_weight = 3;  ///< Spot tasks for each further on-demand one; 0: no Spot
  std::size_t log_days = 30;
  bool log_archive = true;  ///< logs older go to S3
  bool backups = true;      ///< of the file system
  bool traces = true;
  bool exec = false;  ///< ECS Exec
  /// How long the alarm of errors may still undo a deploy, in whole minutes; 0: no alarm does
  Milliseconds bake{0};
  bool open = false;  ///< no API key: whoever reaches it may call
  /// environment variable → existing secret (name or ARN, [:key])
  std::map<std::string, std::string> secrets;
  AwsAlarmsSpec alarms;
};

struct Spec {
  std::string name;
  std::vector<ServerSpec> servers;  ///< one also answers under /mcp; several under /NAME/mcp
  TasksSpec tasks;
  ListenerSpec listener;
  AuthSpec auth;
  LimitsSpec limits;
  ImageSpec image;  ///< berth deploy alone, as the four that follow
  std::vector<PermissionSpec> permissions;
  ScalingSpec scaling;
  AwsSpec aws;
  /// Names that ${NAME} in the spec and auth.keys' `env` ask for, sorted, each once: filled with
  /// SpecSource::keep_variables. A ${NAME:-default} counts when the environment has NAME.
  std::vector<std::string> variables;
  std::vector<std::string>
      keys;  ///< that the file gives, as paths: "listener.https"; of a client's file none
  std::vector<std::string> notes;  ///< what reading changed or left out; sentences to show
  bool keeps_variables = false;    ///< env and headers hold ${NAME} as it was written
  std::string directory;           ///< folder of the spec file (absolute)
  std::string file;                ///< path as shown in messages; empty when made in memory
};

}  // namespace berth::model
