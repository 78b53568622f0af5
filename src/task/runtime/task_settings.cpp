#include "task/runtime/task_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "aws/services.h"
#include "base/ip_address.h"
#include "base/random.h"
#include "model/key_length.h"
#include "model/parse.h"
#include "model/units.h"
#include "task/runtime/telemetry.h"

namespace berth::task {

namespace {

using namespace std::chrono_literals;
using Variables = std::map<std::string, std::string>;

constexpr std::size_t fleet_key_bytes = 32;
constexpr std::uint16_t peer_port = 3001;
/// A load balancer learns that a Spot task goes only when the task does.
constexpr Duration ecs_drain_grace = 5s;
constexpr std::size_t hosts_max = 100;
constexpr Duration high_resolution = 20s;  ///< scaling.high_resolution

/// Looks values up and remembers the first that is wrong.
class Reader {
 public:
  Reader(const Variables& environment, const Variables& flags) : environment_(environment), flags_(flags) {}

  /// Empty: not set.
  std::string text(const std::string& name) const {
    for (const Variables* from : {&flags_, &environment_}) {
      const auto found = from->find(name);
      if (found != from->end() && !found->second.empty()) return found->second;
    }
    return {};
  }

  /// Which of `words` it is; the first when it is not set.
  std::size_t choice(const std::string& name, std::initializer_list<std::string_view> words) {
    const std::string value = text(name);
    const auto found = std::ranges::find(words, value);
    if (value.empty()) return 0;
    if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
    refuse(name, value, fmt::format("write {}", fmt::join(words, " or ")));
    return 0;
  }

  std::optional<double> number(const std::string& name, double min, double max) {
    const std::string value = text(name);
    if (value.empty()) return std::nullopt;
    double number = 0;
    const char* const end = value.data() + value.size();
    const auto parsed = std::from_chars(value.data(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end && number >= min && number <= max) return number;
    refuse(name, value, fmt::format("write a number from {} to {}", min, max));
    return std::nullopt;
  }

  /// "150s", "1m30s", or a number of seconds.
  std::optional<Duration> duration(const std::string& name, Duration min, Duration max) {
    const std::string value = text(name);
    if (value.empty()) return std::nullopt;
    const bool is_number = value.find_first_not_of("0123456789.") == std::string::npos;
    const auto parsed = model::parse_duration(is_number ? value + "s" : value);
    if (parsed && *parsed >= min && *parsed <= max) return *parsed;
    const auto shown = [](Duration limit) {
      return model::format_duration(std::chrono::duration_cast<model::Milliseconds>(limit));
    };
    refuse(name, value, fmt::format("write a time from {} to {}, such as 30s", shown(min), shown(max)));
    return std::nullopt;
  }

  bool flag(const std::string& name) { return choice(name, {"0", "1", "false", "true"}) % 2 == 1; }

  net::Endpoint endpoint(const std::string& name, const net::Endpoint& otherwise) {
    const std::string value = text(name);
    if (value.empty()) return otherwise;
    auto endpoint = net::parse_endpoint(value);
    if (endpoint) return *std::move(endpoint);
    refuse(name, value, "write ADDRESS:PORT with a numeric address");
    return otherwise;
  }

  std::optional<Error> problem;

 private:
  void refuse(const std::string& name, const std::string& value, const std::string& remedy) {
    if (problem) return;
    problem = Error(ErrorCode::invalid_argument, fmt::format("{} is '{}'; {}.", name, value, remedy));
  }

  const Variables& environment_;
  const Variables& flags_;
};

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty() && out.size() < hosts_max) {
    std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) out.emplace_back(part);
  }
  return out;
}

/// What makes this process a task among sisters.
Result<void> take_identity(const TaskSettings& settings, const std::optional<EcsTask>& ecs,
                           RuntimeOptions& options) {
  options.identity.generation = random_u64();
  if (ecs) {
    options.identity.id = ecs->id;
    options.identity.zone = ecs->zone;
    options.identity.peer_address = net::to_string({ecs->address, peer_port});
    options.ecs = *ecs;
  }
  if (!settings.peer_address.empty()) options.identity.peer_address = settings.peer_address;
  // Nobody gave it a name, and its sisters must not have the same one.
  if (!ecs && !settings.peer_address.empty())
    options.identity.id = fmt::format("{:016x}", options.identity.generation);
  const std::string_view keys = settings.fleet_key.reveal();
  const std::size_t comma = keys.find(',');
  options.fleet_key = Secret(std::string(keys.substr(0, comma)));
  if (comma != std::string_view::npos) options.second_fleet_key = Secret(std::string(keys.substr(comma + 1)));
  if (!options.fleet_key.empty()) return {};
  if (!options.identity.peer_address.empty()) {
    return fail(
        ErrorCode::invalid_argument,
        "BERTH_FLEET_KEY is not set, and tasks that speak to each other share one: at least 32 bytes, "
        "the same in every task of the service.");
  }
  // A task on its own needs no more than its own.
  options.fleet_key = Secret(random_bytes(fleet_key_bytes));
  return {};
}

/// All but what only the composition root has: where lines go, who signs, whom TLS trusts.
void take_telemetry(const TaskSettings& settings, const std::optional<EcsTask>& ecs,
                    RuntimeOptions& options) {
  TelemetryOptions& telemetry = options.telemetry;
  telemetry.service = settings.service;
  // Alarms and dashboards know the service by the name that ECS has for it.
  if (telemetry.service.empty() && ecs) telemetry.service = ecs->service;
  if (telemetry.service.empty()) telemetry.service = options.spec.name;
  const Duration standard = options.spec.scaling.high_resolution ? high_resolution : standard_resolution;
  if (settings.emf) telemetry.emf_period = settings.emf_period.value_or(standard);
  if (!settings.traces) return;
  telemetry.trace_ratio = settings.traces->ratio;
  telemetry.otlp.endpoint = otlp_endpoint(*settings.traces, settings.region);
  telemetry.otlp.version = options.version;
  telemetry.otlp.resource = {{"service.name", telemetry.service},
                             {"service.version", options.version},
                             {"service.instance.id", options.identity.id}};
  if (!ecs) return;
  for (const auto& [name, value] : {std::pair<const char*, const std::string&>{"cloud.region", ecs->region},
                                    {"cloud.availability_zone", ecs->zone},
                                    {"aws.ecs.task.arn", ecs->arn},
                                    {"aws.ecs.task.family", ecs->family},
                                    {"aws.ecs.task.revision", ecs->revision}}) {
    telemetry.otlp.resource.emplace_back(name, value);
  }
  telemetry.otlp.resource.emplace_back("cloud.provider", "aws");
  telemetry.otlp.resource.emplace_back("cloud.platform", "aws_ecs");
}

}  // namespace

Result<TaskSettings> read_task_settings(const Variables& environment, const Variables& flags) {
  Reader reader(environment, flags);
  TaskSettings settings;
  settings.listen = reader.endpoint("BERTH_LISTEN", settings.listen);
  settings.tls =
      reader.choice("BERTH_TLS", {"off", "self-signed"}) == 1 ? TaskTls::self_signed : TaskTls::clear;
  settings.data_directory = reader.text("BERTH_DATA");
  if (settings.data_directory.empty()) settings.data_directory = "/mnt/data";
  settings.open = reader.flag("BERTH_OPEN");
  settings.hosts = split(reader.text("BERTH_HOSTS"));
  settings.api_key = Secret(reader.text("BERTH_API_KEY"));
  settings.fleet_key = Secret(reader.text("BERTH_FLEET_KEY"));
  if (!reader.text("BERTH_PEER_LISTEN").empty())
    settings.peer_address = net::to_string(reader.endpoint("BERTH_PEER_LISTEN", {}));
  settings.idle_timeout = reader.duration("BERTH_IDLE_TIMEOUT", 1s, 4000s);
  settings.drain_grace = reader.duration("BERTH_DRAIN_GRACE", 0s, 60s);
  settings.metadata_uri = reader.text("ECS_CONTAINER_METADATA_URI_V4");
  settings.service = reader.text("BERTH_SERVICE");
  settings.region = reader.text("AWS_REGION");
  settings.emf = reader.choice("BERTH_METRICS", {"off", "emf"}) == 1;
  settings.emf_period = reader.duration("BERTH_METRICS_PERIOD", 1s, 60s);
  if (reader.choice("BERTH_TRACES", {"off", "otlp", "xray"}) > 0) {
    TaskSettings::Traces traces;
    traces.ratio = reader.number("BERTH_TRACES_RATIO", 0, 1).value_or(traces.ratio);
    traces.endpoint = reader.text("BERTH_OTLP_ENDPOINT");
    traces.sign = reader.flag("BERTH_OTLP_SIGN");
    // Where the SDKs would send what is meant for X-Ray.
    const std::string own = reader.text("AWS_ENDPOINT_URL_XRAY");
    const std::string instead = own.empty() ? reader.text("AWS_ENDPOINT_URL") : own;
    if (traces.endpoint.empty() && !instead.empty()) {
      traces.endpoint = instead + (instead.ends_with('/') ? "v1/traces" : "/v1/traces");
      traces.sign = true;
    }
    settings.traces = std::move(traces);
  }
  if (reader.problem) return Failure(*reader.problem);
  if (settings.traces && otlp_endpoint(*settings.traces, settings.region).empty()) {
    return fail(
        ErrorCode::invalid_argument,
        "BERTH_TRACES is 'otlp', but nothing says where to: set BERTH_OTLP_ENDPOINT, or AWS_REGION for "
        "X-Ray.");
  }
  return settings;
}

Result<void> apply_task_settings(const TaskSettings& settings, const std::optional<EcsTask>& ecs,
                                 RuntimeOptions& options) {
  const bool is_open = settings.open || (ecs && options.spec.aws.open);
  if (!settings.api_key.empty()) options.keys.emplace_back("deploy", settings.api_key);
  if (!is_loopback_address(settings.listen.host) && options.keys.empty() && !is_open) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} can be reached from other machines, but the spec has no auth.keys and "
                            "BERTH_API_KEY is not set. Add a key, listen on 127.0.0.1, or say --open "
                            "(BERTH_OPEN=1).",
                            net::to_string(settings.listen)));
  }
  const bool is_short = !settings.api_key.empty() && settings.api_key.reveal().size() < model::key_bytes_min;
  if (is_short && !is_loopback_address(settings.listen.host)) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("BERTH_API_KEY has fewer than {} characters, and other machines can reach {}; make "
                    "a longer one: openssl rand -hex 32.",
                    model::key_bytes_min, net::to_string(settings.listen)));
  }
  auto identified = take_identity(settings, ecs, options);
  if (!identified) return identified;
  options.listen = settings.listen;
  options.tls = settings.tls;
  options.data_directory = settings.data_directory;
  options.idle_timeout = settings.idle_timeout;
  options.drain_grace = settings.drain_grace;
  if (ecs && !options.drain_grace) options.drain_grace = ecs_drain_grace;
  if (ecs) options.spec.tasks.drain_timeout = std::min(options.spec.tasks.drain_timeout, ecs_drain_max);
  auto& hosts = options.spec.listener.hosts;
  hosts.insert(hosts.end(), settings.hosts.begin(), settings.hosts.end());
  take_telemetry(settings, ecs, options);
  return {};
}

std::string otlp_endpoint(const TaskSettings::Traces& traces, const std::string& region) {
  if (!traces.endpoint.empty()) return traces.endpoint;
  if (region.empty()) return {};
  return aws::find_endpoint(*aws::find_service("xray"), region, {}).url + "/v1/traces";
}

}  // namespace berth::task
