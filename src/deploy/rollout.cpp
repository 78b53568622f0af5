#include "deploy/rollout.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t log_lines_max = 30;
constexpr std::size_t described_tasks_max = 100;
constexpr Duration outage_max = std::chrono::minutes(15);

std::size_t count_of(const json::object& object, std::string_view name) {
  const std::string text = aws::text(object, name);
  std::size_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

double seconds_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_number()) return 0;
  return value->to_number<double>();
}

ServiceDeployment deployment_of(const json::object& object) {
  return ServiceDeployment{.id = aws::text(object, "id"),
                           .status = aws::text(object, "status"),
                           .rollout = aws::text(object, "rolloutState"),
                           .reason = aws::text(object, "rolloutStateReason"),
                           .task_definition = aws::text(object, "taskDefinition"),
                           .desired = count_of(object, "desiredCount"),
                           .running = count_of(object, "runningCount"),
                           .failed = count_of(object, "failedTasks"),
                           .created_at = seconds_of(object, "createdAt")};
}

ServiceState service_of(const json::object& object, const std::string& cluster) {
  ServiceState state{.cluster = cluster,
                     .name = aws::text(object, "serviceName"),
                     .arn = aws::text(object, "serviceArn"),
                     .status = aws::text(object, "status"),
                     .desired = count_of(object, "desiredCount"),
                     .running = count_of(object, "runningCount"),
                     .pending = count_of(object, "pendingCount"),
                     .task_definition = aws::text(object, "taskDefinition"),
                     .deployments = {},
                     .events = {},
                     .event_times = {},
                     .target_groups = {}};
  for (const json::value& item : aws::array(object, "deployments")) {
    if (item.is_object()) state.deployments.push_back(deployment_of(item.get_object()));
  }
  std::ranges::stable_sort(state.deployments, [](const ServiceDeployment& a, const ServiceDeployment& b) {
    return (a.status == "PRIMARY") > (b.status == "PRIMARY");
  });
  for (const json::value& item : aws::array(object, "events")) {
    if (!item.is_object()) continue;
    state.events.push_back(aws::text(item.get_object(), "message"));
    state.event_times.push_back(seconds_of(item.get_object(), "createdAt"));
  }
  std::ranges::reverse(state.events);
  std::ranges::reverse(state.event_times);
  for (const json::value& item : aws::array(object, "loadBalancers")) {
    if (item.is_object()) state.target_groups.push_back(aws::text(item.get_object(), "targetGroupArn"));
  }
  return state;
}

/// "arn:aws:ecs:r:a:task-definition/name:7" → {"name", 7}.
std::pair<std::string, std::size_t> family_of(const std::string& arn) {
  const std::size_t slash = arn.rfind('/');
  const std::string tail = slash == std::string::npos ? arn : arn.substr(slash + 1);
  const std::size_t colon = tail.rfind(':');
  if (colon == std::string::npos) return {tail, 0};
  std::size_t number = 0;
  std::from_chars(tail.data() + colon + 1, tail.data() + tail.size(), number);
  return {tail.substr(0, colon), number};
}

std::string last_part(const std::string& arn) { return arn.substr(arn.rfind('/') + 1); }

/// Where the container's log goes; empty when the definition does not say.
struct LogPlace {
  std::string group;
  std::string stream;  ///< "prefix/container/", before the task's id
};

Task<aws::Reply<LogPlace>> log_place(aws::Client& client, std::string task_definition) {
  json::object input{{"taskDefinition", task_definition}};
  const auto reply = co_await client.call("ecs", "DescribeTaskDefinition", std::move(input));
  if (!reply) co_return std::unexpected(reply.error());
  const json::array& containers = aws::array(aws::object(*reply, "taskDefinition"), "containerDefinitions");
  LogPlace place;
  if (containers.empty() || !containers.front().is_object()) co_return place;
  const json::object& container = containers.front().get_object();
  const json::object& options = aws::object(aws::object(container, "logConfiguration"), "options");
  place.group = aws::text(options, "awslogs-group");
  place.stream =
      fmt::format("{}/{}/", aws::text(options, "awslogs-stream-prefix"), aws::text(container, "name"));
  co_return place;
}

/// Best effort: without its log a task is still told of.
Task<std::vector<std::string>> last_lines(aws::Client& client, LogPlace place, std::string task) {
  std::vector<std::string> out;
  if (place.group.empty()) co_return out;
  json::object input{{"logGroupName", place.group},
                     {"logStreamName", place.stream + task},
                     {"limit", log_lines_max},
                     {"startFromHead", false}};
  const auto reply = co_await client.call("logs", "GetLogEvents", std::move(input));
  if (!reply) co_return out;
  for (const json::value& item : aws::array(*reply, "events")) {
    if (!item.is_object()) continue;
    std::string line = aws::text(item.get_object(), "message");
    // Metrics in CloudWatch's embedded format tell nobody why a task ended.
    if (!line.starts_with(R"({"_aws")")) out.push_back(std::move(line));
  }
  co_return out;
}

TaskEnd task_of(const json::object& object) {
  TaskEnd task{.id = last_part(aws::text(object, "taskArn")),
               .zone = aws::text(object, "availabilityZone"),
               .reason = aws::text(object, "stoppedReason"),
               .container_reason = {},
               .exit_code = {},
               .lines = {}};
  for (const json::value& item : aws::array(object, "containers")) {
    if (!item.is_object()) continue;
    const json::object& container = item.get_object();
    if (task.container_reason.empty()) task.container_reason = aws::text(container, "reason");
    const json::value* code = container.if_contains("exitCode");
    if (!task.exit_code && code != nullptr && code->is_number()) task.exit_code = code->to_number<int>();
  }
  return task;
}

std::string progress_of(const ServiceState& state, const std::optional<TargetHealth>& targets) {
  if (state.deployments.empty()) return "waiting for the service";
  const ServiceDeployment& newest = state.deployments.front();
  std::string out = fmt::format("{} of {} new tasks run", newest.running, newest.desired);
  if (targets) out += fmt::format(", {} healthy at the load balancer", targets->healthy);
  std::size_t old = 0;
  for (const ServiceDeployment& deployment : state.deployments) old += deployment.running;
  if (old > newest.running) out += fmt::format(", {} old ones drain", old - newest.running);
  return out;
}

}  // namespace

Rollout judge(const ServiceState& state, std::optional<std::size_t> healthy_targets) {
  if (state.deployments.empty()) return Rollout::going;
  const ServiceDeployment& newest = state.deployments.front();
  if (newest.rollout == "FAILED") return Rollout::failed;
  if (newest.rollout == "IN_PROGRESS") return Rollout::going;
  if (newest.running < newest.desired) return Rollout::going;
  if (healthy_targets && *healthy_targets < newest.desired) return Rollout::going;
  return Rollout::healthy;
}

std::optional<Revision> previous_of(const std::vector<Revision>& revisions, const std::string& current) {
  // Revisions after the one that runs were tried and given up: what is sought ran before.
  std::size_t running = 0;
  for (const Revision& revision : revisions) {
    if (revision.image == current) running = std::max(running, revision.number);
  }
  const Revision* best = nullptr;
  for (const Revision& revision : revisions) {
    if (revision.image == current || revision.image.empty()) continue;
    if (running != 0 && revision.number > running) continue;
    if (best == nullptr || revision.number > best->number) best = &revision;
  }
  if (best == nullptr) return std::nullopt;
  return *best;
}

std::vector<std::string> events_since(const ServiceState& state, double since) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < state.events.size(); ++i) {
    if (i >= state.event_times.size() || state.event_times[i] >= since) out.push_back(state.events[i]);
  }
  return out;
}

ScalePlan plan_scale(std::size_t count, std::size_t min, std::size_t max) {
  ScalePlan plan{.desired = count, .min = count, .max = std::max(max, count)};
  plan.changes_target = plan.min != min || plan.max != max;
  return plan;
}

Task<aws::Reply<ServiceState>> describe_service(aws::Client& client, std::string cluster,
                                                std::string service) {
  json::object input{{"cluster", cluster}, {"services", json::array{json::value(service)}}};
  const auto reply = co_await client.call("ecs", "DescribeServices", std::move(input));
  ServiceState state;
  state.cluster = cluster;
  state.name = service;
  if (!reply) {
    if (reply.error().is("ClusterNotFoundException")) co_return state;
    co_return std::unexpected(reply.error());
  }
  const json::array& services = aws::array(*reply, "services");
  if (services.empty() || !services.front().is_object()) co_return state;
  co_return service_of(services.front().get_object(), cluster);
}

Task<aws::Reply<std::vector<Revision>>> list_revisions(aws::Client& client, std::string task_definition,
                                                       std::size_t count_max) {
  const std::string family = family_of(task_definition).first;
  std::vector<std::string> arns;
  // CloudFormation deregisters the revision that it replaces; such a one can still be described.
  for (const std::string status : {"ACTIVE", "INACTIVE"}) {
    json::object input{{"familyPrefix", family}, {"status", status}, {"sort", "DESC"}};
    const auto reply =
        co_await client.list("ecs", "ListTaskDefinitions", std::move(input), "taskDefinitionArns");
    if (!reply) co_return std::unexpected(reply.error());
    for (const json::value& arn : *reply) {
      if (!arn.is_string()) continue;
      std::string text(arn.get_string());
      // The prefix also finds families whose names go on.
      if (family_of(text).first == family) arns.push_back(std::move(text));
    }
  }
  std::ranges::sort(arns, std::greater(), [](const std::string& arn) { return family_of(arn).second; });
  arns.erase(std::unique(arns.begin(), arns.end()), arns.end());
  if (arns.size() > count_max) arns.resize(count_max);
  std::vector<Revision> out;
  for (const std::string& arn : arns) {
    json::object input{{"taskDefinition", arn}};
    const auto reply = co_await client.call("ecs", "DescribeTaskDefinition", std::move(input));
    if (!reply) co_return std::unexpected(reply.error());
    const json::object& definition = aws::object(*reply, "taskDefinition");
    Revision revision{.task_definition = arn,
                      .number = family_of(arn).second,
                      .image = {},
                      .registered_at = seconds_of(definition, "registeredAt")};
    for (const json::value& container : aws::array(definition, "containerDefinitions")) {
      if (container.is_object() && revision.image.empty())
        revision.image = aws::text(container.get_object(), "image");
    }
    out.push_back(std::move(revision));
  }
  co_return out;
}

Task<aws::Reply<std::vector<TaskEnd>>> stopped_tasks(aws::Client& client, std::string cluster,
                                                     std::string service, StoppedFilter filter) {
  std::vector<TaskEnd> out;
  json::object input{{"cluster", cluster}, {"serviceName", service}, {"desiredStatus", "STOPPED"}};
  const auto listed = co_await client.list("ecs", "ListTasks", std::move(input), "taskArns");
  if (!listed) {
    const bool gone =
        listed.error().is("ServiceNotFoundException") || listed.error().is("ClusterNotFoundException");
    if (gone) co_return out;
    co_return std::unexpected(listed.error());
  }
  json::array arns;
  for (const json::value& arn : *listed) {
    const bool seen =
        arn.is_string() &&
        std::ranges::find(filter.known, last_part(std::string(arn.get_string()))) != filter.known.end();
    if (arn.is_string() && !seen && arns.size() < described_tasks_max) arns.push_back(arn);
  }
  if (arns.empty()) co_return out;
  json::object ask{{"cluster", cluster}, {"tasks", std::move(arns)}};
  const auto reply = co_await client.call("ecs", "DescribeTasks", std::move(ask));
  if (!reply) co_return std::unexpected(reply.error());
  LogPlace place;
  for (const json::value& item : aws::array(*reply, "tasks")) {
    if (!item.is_object()) continue;
    const double stopped_at = seconds_of(item.get_object(), "stoppedAt");
    if (stopped_at > 0 && stopped_at < filter.since) continue;
    TaskEnd task = task_of(item.get_object());
    if (place.group.empty()) {
      const auto found = co_await log_place(client, aws::text(item.get_object(), "taskDefinitionArn"));
      if (found) place = *found;
    }
    task.lines = co_await last_lines(client, place, task.id);
    out.push_back(std::move(task));
  }
  co_return out;
}

Task<aws::Reply<TargetHealth>> target_health(aws::Client& client, std::string target_group) {
  json::object input{{"TargetGroupArn", target_group}};
  const auto reply = co_await client.call("elasticloadbalancing", "DescribeTargetHealth", std::move(input));
  if (!reply) co_return std::unexpected(reply.error());
  TargetHealth out;
  for (const json::value& item : aws::array(*reply, "TargetHealthDescriptions")) {
    if (!item.is_object()) continue;
    const json::object& health = aws::object(item.get_object(), "TargetHealth");
    const std::string state = aws::text(health, "State");
    if (state == "draining") continue;
    ++out.total;
    if (state == "healthy") {
      ++out.healthy;
    } else if (out.reason.empty()) {
      out.reason = fmt::format("{} {}", aws::text(health, "Reason"), aws::text(health, "Description"));
    }
  }
  co_return out;
}

Task<aws::Reply<void>> restart_tasks(aws::Client& client, std::string cluster, std::string service) {
  json::object input{{"cluster", cluster}, {"service", service}, {"forceNewDeployment", true}};
  const auto reply = co_await client.call("ecs", "UpdateService", std::move(input));
  if (!reply) co_return std::unexpected(reply.error());
  co_return aws::Reply<void>();
}

Task<aws::Reply<RolloutEnd>> watch_rollout(aws::Client& client, Clock& clock, RolloutOptions options,
                                           std::function<void(const std::string&)> on_progress) {
  const TimePoint begin = clock.now();
  TimePoint answered = begin;
  std::string said;
  RolloutEnd end;
  double since = 0;
  while (true) {
    auto service = co_await describe_service(client, options.cluster, options.service);
    std::optional<TargetHealth> targets;
    if (service && !options.target_group.empty()) {
      const auto health = co_await target_health(client, options.target_group);
      if (health) targets = *health;
      if (!health) service = std::unexpected(health.error());
    }
    const bool passing = !service && is_passing(service.error());
    if (!service && (!passing || clock.now() - answered > outage_max))
      co_return std::unexpected(service.error());
    Rollout verdict = Rollout::going;
    if (service) {
      answered = clock.now();
      for (const ServiceDeployment& deployment : service->deployments)
        since = std::max(since, deployment.created_at);
      end.service = *service;
      end.targets = targets.value_or(TargetHealth{});
      std::optional<std::size_t> healthy;
      if (targets) healthy = targets->healthy;
      verdict = judge(*service, healthy);
    }
    const std::string progress =
        service ? progress_of(*service, targets) : "no answer from AWS; asking again";
    if (progress != said) on_progress(progress);
    said = progress;
    end.ok = verdict == Rollout::healthy;
    if (end.ok) co_return end;
    if (verdict == Rollout::failed || clock.now() - begin > options.timeout) break;
    co_await clock.sleep_for(options.poll);
  }
  end.evidence.service_events = events_since(end.service, since);
  end.evidence.target_reason = end.targets.reason;
  StoppedFilter filter{.known = {}, .since = since};
  const auto stopped = co_await stopped_tasks(client, options.cluster, options.service, std::move(filter));
  if (stopped) end.evidence.tasks = *stopped;
  co_return end;
}

}  // namespace berth::deploy
