#include "model/fields.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "model/aws_fields.h"
#include "model/field_table.h"
#include "model/spec.h"
#include "model/units.h"

namespace berth::model {
namespace {

using namespace rows;  // NOLINT(google-build-using-namespace): the vocabulary of the rows below

constexpr std::array<std::string_view, 3> era_names{"auto", "legacy", "modern"};
constexpr std::array<std::string_view, 4> isolation_names{"principal", "shared", "session", "service"};
constexpr std::array<std::string_view, 3> state_names{"auto", "none", "process"};
constexpr std::array<std::string_view, 2> balancing_names{"round_robin", "least_outstanding_requests"};
constexpr std::array<std::string_view, 1> builtin_names{"workspace"};

using enum FieldKind;

constexpr Field server_table[] = {
    by_hand(argv, "command",
            "A server that speaks MCP over stdin and stdout: a list of words, or one line split like a shell "
            "would (quotes and backslashes; no variables, pipes or globs)."),
    by_hand(texts, "args", "Further words after `command` or `native`."),
    by_hand(choice, "builtin", "A server that is part of Berth.", builtin_names),
    by_hand(text, "url",
            "The endpoint of a server that already runs (Streamable HTTP or HTTP+SSE): "
            "`http://HOST:PORT/PATH` or `https://…`. `${NAME}` as in `env`, for a key in the query, which no "
            "log and no client sees."),
    by_hand(argv, "native", "A program written with Berth's C++ library; it is the task itself."),
    rows::plain<&ServerSpec::environment>(
        table, "env",
        "Environment variables for the server, besides those that every server gets (see above). "
        "`${NAME}` and `${NAME:-default}` are taken from the environment of `berth up`."),
    by_hand(text, "env_file",
            "A file of `NAME=value` lines with further variables for the server, relative to the file. `env` "
            "goes before."),
    {.key = "inherit",
     .kind = texts,
     .meaning = "Further variables that the server gets from the environment of `berth up` (in a container: "
                "of the task) where they are set: names, or beginnings such as `AWS_*`. `env` goes before.",
     .max = 100,
     .locate = &at<&ServerSpec::inherit>},
    rows::plain<&ServerSpec::headers>(
        table, "headers", "Header fields sent to `url` with every request; `${NAME}` as in `env`."),
    rows::plain<&ServerSpec::directory>(text, "cwd", "Working directory of the server, relative to the file.",
                                        "the file's folder"),
    chosen<&ServerSpec::era>("era", era_names,
                             "Which MCP era the server speaks: `legacy` (initialize, up to 2025-11-25) or "
                             "`modern` (2026-07-28). `auto` asks it once."),
    chosen<&ServerSpec::isolation>(
        "isolation", isolation_names,
        "Who shares a server process: callers with the same identity "
        "(`principal`), everybody in the same task (`shared`), or nobody (`session`: one process a legacy "
        "session). `service`: everybody in all tasks; one process in the whole service, for a command that "
        "needs a port, a lock or a browser profile for itself."),
    chosen<&ServerSpec::state>(
        "state", state_names,
        "What a server of the legacy era keeps in its process between calls. `auto`: perhaps something, so "
        "each caller has one home among the tasks, and when that process was lost, the next call goes on in "
        "a new one and its result says so. `process`: what callers build on; after a loss their next call is "
        "refused once. `none`: nothing; any task takes any call. Servers of the modern era keep nothing."),
    ranged<&ServerSpec::children_max>(count, "children_max", 1, 10'000, "Server processes in one task.",
                                      "calls wait; whoever has none goes first"),
    ranged<&ServerSpec::warm>(count, "warm", 0, 100,
                              "Processes kept ready before anybody calls; one more while calls come."),
    ranged<&ServerSpec::calls_per_child_max>(count, "calls_per_child_max", 1, 100'000,
                                             "Calls in flight on one process.",
                                             "more calls wait in the queue"),
    ranged<&ServerSpec::queue_max>(count, "queue_max", 0, many, "Calls that wait for a process.",
                                   "429 with Retry-After, for whoever has most calls in it"),
    ranged<&ServerSpec::start_timeout>(duration, "start_timeout", 100, hour,
                                       "From the start of a process to its first answer.",
                                       "the process is ended and tried again with back-off and, up to "
                                       "four times, more time"),
    ranged<&ServerSpec::probe_timeout>(duration, "probe_timeout", 100, 5 * minute,
                                       "How long the question for the era, asked on a process of its own, "
                                       "may stay open beyond the time that the server takes to start.",
                                       "the server counts as legacy"),
    ranged<&ServerSpec::call_timeout>(duration, "call_timeout", 100, day,
                                      "One call; each progress notification starts it anew.",
                                      "the call is cancelled and answered with error -32603"),
    ranged<&ServerSpec::input_timeout>(duration, "input_timeout", second, day,
                                       "How long a call waits for an answer of the user.",
                                       "the question is answered with cancel"),
    ranged<&ServerSpec::idle_timeout>(duration, "idle_timeout", second, 7 * day,
                                      "How long a process beyond `warm` may idle.", "the process is ended"),
    ranged<&ServerSpec::message_bytes_max>(bytes, "message_bytes_max", 64 * kb, gb,
                                           "One message from the server.",
                                           "the process is ended; its calls get error -32603"),
};

constexpr Field tasks_table[] = {
    ranged<&TasksSpec::count>(count, "count", 1, 64, "How many tasks run side by side."),
    {.key = "zones",
     .kind = texts,
     .meaning = "The zones over which tasks are spread evenly, each a single letter. On one machine a "
                "zone is a loopback subnet: `a` is 127.0.1.0/24, `b` 127.0.2.0/24 and so on.",
     .min = 1,
     .max = 6,
     .locate = &at<&TasksSpec::zones>},
    ranged<&TasksSpec::cpu>(number, "cpu", 0.05, 64, "vCPUs of one task, with the servers in it.",
                            "the task is slowed down"),
    ranged<&TasksSpec::memory_bytes>(bytes, "memory", 32 * mb, 1024 * gb,
                                     "Memory of one task, with the servers in it.",
                                     "callers get 429 above their share of half of it; beyond it the kernel "
                                     "ends a process, which is started again"),
    ranged<&TasksSpec::drain_timeout>(duration, "drain_timeout", 0, hour,
                                      "Time that calls in flight have to finish after SIGTERM.",
                                      "what is left is cut"),
    ranged<&TasksSpec::restart_backoff_min>(duration, "restart_backoff_min", 10, hour,
                                            "Wait before the first restart of a task that "
                                            "ended by itself; doubles with each one."),
    ranged<&TasksSpec::restart_backoff_max>(duration, "restart_backoff_max", 10, day,
                                            "Longest wait between restarts."),
};

constexpr Field health_check_table[] = {
    rows::plain<&HealthCheckSpec::path>(text, "path",
                                        "What is asked of each task with GET; 200 means healthy."),
    ranged<&HealthCheckSpec::interval>(duration, "interval", 100, 5 * minute,
                                       "Time between two checks of a task."),
    ranged<&HealthCheckSpec::timeout>(duration, "timeout", 50, 2 * minute, "How long a check may take.",
                                      "the check failed"),
    ranged<&HealthCheckSpec::healthy_threshold>(count, "healthy_threshold", 1, 10,
                                                "Checks in a row that must succeed before a task "
                                                "takes part (the first check of a new task counts alone)."),
    ranged<&HealthCheckSpec::unhealthy_threshold>(count, "unhealthy_threshold", 1, 10,
                                                  "Checks in a row that must fail before a "
                                                  "task gets no further requests."),
};

constexpr Field listener_table[] = {
    rows::plain<&ListenerSpec::address>(text, "address",
                                        "The IP address to listen on. Anything but loopback needs "
                                        "`auth.keys`; HTTPS listens there and HTTP on "
                                        "127.0.0.1, or HTTP there where `https` is false."),
    ranged<&ListenerSpec::http_port>(port, "http_port", 1, 65535, "Port of the HTTP listener.", {},
                                     "first free from 8080"),
    ranged<&ListenerSpec::https_port>(port, "https_port", 1, 65535, "Port of the HTTPS listener.", {},
                                      "first free from 8443"),
    rows::plain<&ListenerSpec::https>(flag, "https", "Whether there is an HTTPS listener."),
    rows::plain<&ListenerSpec::certificate_file>(
        text, "certificate_file", "PEM file with the certificate and its chain, relative to the file.",
        "issued by Berth's local CA"),
    rows::plain<&ListenerSpec::key_file>(text, "key_file", "PEM file with the certificate's private key.",
                                         "goes with the certificate"),
    {.key = "hosts",
     .kind = texts,
     .meaning = "Further Host names that are ours, which the certificate of Berth's local CA names, too; "
                "others are answered 403 (DNS rebinding).",
     .max = 100,
     .locate = &at<&ListenerSpec::hosts>},
    rows::plain<&ListenerSpec::public_url>(
        text, "public_url",
        "The URL of the service outside, where a proxy or tunnel stands before it: what `up`, `status` and "
        "`connect` print for clients, as `https://mcp.example.com`. Its host is one of `hosts`."),
    {.key = "origins",
     .kind = texts,
     .meaning = "Origins of web pages that may call, besides our own; others are answered 403.",
     .max = 100,
     .locate = &at<&ListenerSpec::origins>},
    chosen<&ListenerSpec::balancing>("balancing", balancing_names, "How a task is chosen for a request."),
    ranged<&ListenerSpec::idle_timeout>(duration, "idle_timeout", second, 4000 * second,
                                        "A connection with no byte either way.",
                                        "it is closed; 504 where an answer was due"),
    ranged<&ListenerSpec::threads>(count, "threads", 0, 64,
                                   "Event loops of the front door; 0 is one per core, at most 2."),
    nested<&ListenerSpec::health_check>(block, "health_check", health_check_table,
                                        "How the front door finds out which tasks can take "
                                        "requests."),
    ranged<&ListenerSpec::slow_start>(duration, "slow_start", 0, 900 * second,
                                      "How long a new task's share of requests grows; 0s is "
                                      "off, else from 30s to 15m."),
    ranged<&ListenerSpec::deregistration_delay>(duration, "deregistration_delay", 0, hour,
                                                "How long a task that is leaving may finish "
                                                "its requests.",
                                                "the connections are closed"),
};

constexpr Field key_table[] = {
    rows::plain<&KeySpec::principal>(text, "name", "Who calls with this key, as seen by servers and logs."),
    rows::plain<&KeySpec::environment>(text, "env",
                                       "The environment variable of `berth up` that holds the key."),
    rows::plain<&KeySpec::file>(text, "file", "The file that holds the key, relative to the file."),
};

constexpr Field auth_table[] = {
    listed<&AuthSpec::keys>(
        "keys", key_table,
        "API keys, sent as `Authorization: Bearer KEY`. Without any, everybody on this machine "
        "may call and nobody else."),
};

constexpr Field limits_table[] = {
    ranged<&LimitsSpec::body_bytes_max>(bytes, "body_bytes_max", kb, gb, "Body of a request.", "413"),
    ranged<&LimitsSpec::head_bytes_max>(bytes, "head_bytes_max", kb, mb,
                                        "Request line and header fields together.", "431"),
    ranged<&LimitsSpec::head_fields_max>(count, "head_fields_max", 10, 1'000, "Header fields of a request.",
                                         "431"),
    ranged<&LimitsSpec::target_bytes_max>(bytes, "target_bytes_max", 256, mb, "Path and query of a request.",
                                          "414"),
    ranged<&LimitsSpec::connections_max>(count, "connections_max", 10, many, "Connections of one listener.",
                                         "the longest idle one is closed; all in use: new ones wait"),
    ranged<&LimitsSpec::sessions_max>(count, "sessions_max", 1, many, "Legacy sessions of one task.",
                                      "the oldest unused one of who holds most ends; all in use: 503"),
    ranged<&LimitsSpec::session_idle_timeout>(
        duration, "session_idle_timeout", second, 7 * day, "A legacy session that nobody uses.",
        "it ends; its next request gets 404, and the client initializes again"),
    ranged<&LimitsSpec::listen_streams_max>(count, "listen_streams_max", 1, many,
                                            "Streams of one task that wait for changes.",
                                            "503; for one principal at three quarters of them"),
    ranged<&LimitsSpec::stream_buffer_bytes_max>(bytes, "stream_buffer_bytes_max", 4 * kb, gb,
                                                 "Events that a client has not read yet.",
                                                 "progress and log messages are left out; a standing "
                                                 "stream is cut"),
    ranged<&LimitsSpec::replay_events_max>(count, "replay_events_max", 0, 100'000,
                                           "Events of a legacy session kept for Last-Event-ID.",
                                           "the oldest is forgotten"),
    ranged<&LimitsSpec::keep_alive_interval>(duration, "keep_alive_interval", second, hour,
                                             "A silent stream gets a comment this often, so "
                                             "that nothing on the way closes it."),
    ranged<&LimitsSpec::head_timeout>(duration, "head_timeout", 100, hour,
                                      "From the first byte of a request to the end of its head.", "408"),
    ranged<&LimitsSpec::body_timeout>(duration, "body_timeout", 100, hour, "The whole body of a request.",
                                      "408"),
    ranged<&LimitsSpec::json_depth_max>(count, "json_depth_max", 8, 1'000, "Nesting of a JSON message.",
                                        "error -32700"),
};

constexpr Field spec_table[] = {
    rows::plain<&Spec::name>(text, "name", "Name of the service: letters, digits and hyphens, at most 64.",
                             "the folder's name"),
    by_hand(block, "server",
            "The one MCP server of this service, under `/mcp`. Exactly one of `command`, `builtin`, `url` "
            "and `native` "
            "says what it is.",
            {}, server_table),
    by_hand(blocks, "servers", "Several servers side by side, each under `/NAME/mcp`; instead of `server`.",
            {}, server_table),
    nested<&Spec::tasks>(block, "tasks", tasks_table, "The processes that host the servers."),
    nested<&Spec::listener>(block, "listener", listener_table, "The front door."),
    nested<&Spec::auth>(block, "auth", auth_table, "Who may call."),
    nested<&Spec::limits>(block, "limits", limits_table, "What a request, a stream or a session may use."),
    nested<&Spec::image>(block, "image", image_table,
                         "The container image that `berth deploy` makes: by a Dockerfile, or put together "
                         "without an engine. This block and those that follow mean nothing to `berth up`."),
    listed<&Spec::permissions>("permissions", permission_table,
                               "What the tasks may do in AWS, besides their own file system and "
                               "traces: statements of the task role.",
                               50),
    nested<&Spec::scaling>(
        block, "scaling", scaling_table,
        "How many tasks run on AWS: more under load, fewer without, none outside the hours."),
    nested<&Spec::aws>(block, "aws", aws_table, "Where and how the service runs on AWS ECS Fargate."),
};

template <class Value>
const Value& value_at(const Field& field, void* owner) {
  return *static_cast<const Value*>(field.locate(owner));
}

}  // namespace

std::span<const Field> spec_fields() { return spec_table; }
std::span<const Field> server_fields() { return server_table; }

std::string value_text(const Field& field, void* owner) {
  if (field.locate == nullptr) return {};
  switch (field.kind) {
    case text: return value_at<std::string>(field, owner);
    case flag: return value_at<bool>(field, owner) ? "true" : "false";
    case count: return fmt::format("{}", value_at<std::size_t>(field, owner));
    case number: return format_number(value_at<double>(field, owner));
    case bytes: return format_bytes(value_at<std::uint64_t>(field, owner));
    case duration: return format_duration(value_at<Milliseconds>(field, owner));
    case port: {
      const auto& value = value_at<std::optional<std::uint16_t>>(field, owner);
      return value ? fmt::format("{}", *value) : std::string();
    }
    case texts: return fmt::format("[{}]", fmt::join(value_at<std::vector<std::string>>(field, owner), ", "));
    case choice: return std::string(field.choices[value_at<std::uint8_t>(field, owner)]);
    case table: return "{}";
    case argv:
    case block:
    case blocks:
    case list: return {};
  }
  return {};
}

}  // namespace berth::model
