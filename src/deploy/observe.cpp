#include "deploy/observe.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t tasks_max = 100;  // DescribeTasks takes no more at once
constexpr std::size_t alarms_max = 100;

std::string last_part(const std::string& arn) { return arn.substr(arn.rfind('/') + 1); }

std::vector<const json::object*> objects(const json::array& list) {
  std::vector<const json::object*> out;
  for (const json::value& item : list) {
    if (item.is_object()) out.push_back(&item.get_object());
  }
  return out;
}

double number(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

/// The address of the task's network interface.
std::string address_of(const json::object& task) {
  for (const json::object* attachment : objects(aws::array(task, "attachments"))) {
    for (const json::object* detail : objects(aws::array(*attachment, "details"))) {
      if (aws::text(*detail, "name") == "privateIPv4Address") return aws::text(*detail, "value");
    }
  }
  for (const json::object* container : objects(aws::array(task, "containers"))) {
    for (const json::object* interface : objects(aws::array(*container, "networkInterfaces"))) {
      const std::string address = aws::text(*interface, "privateIpv4Address");
      if (!address.empty()) return address;
    }
  }
  return {};
}

/// Whether each action of an alarm is a scaling policy.
bool only_scales(const json::object& alarm) {
  const json::array& actions = aws::array(alarm, "AlarmActions");
  return !actions.empty() && std::ranges::all_of(actions, [](const json::value& action) {
    return action.is_string() && action.get_string().find(":scalingPolicy:") != json::string::npos;
  });
}

LiveTask task_of(const json::object& object) {
  LiveTask task;
  task.id = last_part(aws::text(object, "taskArn"));
  task.zone = aws::text(object, "availabilityZone");
  task.status = aws::text(object, "lastStatus");
  task.health = aws::text(object, "healthStatus");
  task.address = address_of(object);
  task.capacity = aws::text(object, "capacityProviderName");
  task.task_definition = aws::text(object, "taskDefinitionArn");
  task.started_at = number(object, "startedAt");
  const auto containers = objects(aws::array(object, "containers"));
  if (!containers.empty()) task.image = aws::text(*containers.front(), "image");
  return task;
}

/// Asks one thing after another; what the caller may not see becomes a gap.
class Observer {
 public:
  Observer(aws::Client& client, std::string stack) : client_(client), stack_(std::move(stack)) {}

  Task<aws::Reply<LiveService>> run() {
    live_.region = client_.region();
    auto stack = co_await describe_stack(client_, stack_);
    if (!stack) co_return std::unexpected(stack.error());
    live_.stack = std::move(*stack);
    const std::string cluster = live_.stack.output("ClusterName");
    const std::string name = live_.stack.output("ServiceName");
    if (!live_.stack.exists() || cluster.empty() || name.empty()) co_return std::move(live_);
    auto service = co_await describe_service(client_, cluster, name);
    if (!service) co_return std::unexpected(service.error());
    live_.service = std::move(*service);
    co_await ask_tasks(cluster, name);
    co_await ask_targets();
    co_await ask_alarms();
    co_await ask_scaling(cluster, name);
    std::ranges::sort(live_.tasks, [](const LiveTask& a, const LiveTask& b) {
      return std::tie(a.zone, a.id) < std::tie(b.zone, b.id);
    });
    co_return std::move(live_);
  }

 private:
  void gap(std::string_view what, const aws::Fault& fault) {
    live_.gaps.push_back(fmt::format(
        "{}: {}", what, fault.denied() ? fault.denied_action() + " is not allowed" : fault.message));
  }

  Task<void> ask_tasks(std::string cluster, std::string name) {
    json::object input{{"cluster", cluster}, {"serviceName", name}};
    const auto listed = co_await client_.list("ecs", "ListTasks", std::move(input), "taskArns");
    if (!listed) co_return gap("tasks", listed.error());
    for (std::size_t at = 0; at < listed->size(); at += tasks_max) {
      json::array some(
          listed->begin() + static_cast<std::ptrdiff_t>(at),
          listed->begin() + static_cast<std::ptrdiff_t>(std::min(at + tasks_max, listed->size())));
      json::object ask{{"cluster", cluster}, {"tasks", std::move(some)}};
      const auto reply = co_await client_.call("ecs", "DescribeTasks", std::move(ask));
      if (!reply) co_return gap("tasks", reply.error());
      for (const json::object* task : objects(aws::array(*reply, "tasks")))
        live_.tasks.push_back(task_of(*task));
    }
  }

  Task<void> ask_targets() {
    const std::string group = live_.stack.output("TargetGroupArn");
    if (group.empty()) co_return;
    json::object input{{"TargetGroupArn", group}};
    const auto reply =
        co_await client_.call("elasticloadbalancing", "DescribeTargetHealth", std::move(input));
    if (!reply) co_return gap("targets", reply.error());
    for (const json::object* item : objects(aws::array(*reply, "TargetHealthDescriptions"))) {
      const std::string address = aws::text(aws::object(*item, "Target"), "Id");
      const json::object& health = aws::object(*item, "TargetHealth");
      const auto task = std::ranges::find(live_.tasks, address, &LiveTask::address);
      if (task == live_.tasks.end()) continue;
      task->target = aws::text(health, "State");
      const std::string reason = aws::text(health, "Reason");
      const std::string description = aws::text(health, "Description");
      task->target_reason =
          description.empty() || reason.empty() ? reason + description : reason + ": " + description;
    }
  }

  Task<void> ask_alarms() {
    const auto resources = co_await stack_resources(client_, stack_);
    if (!resources) co_return gap("alarms", resources.error());
    json::array names;
    for (const StackResource& resource : *resources) {
      const bool is_alarm = resource.type == "AWS::CloudWatch::Alarm" && !resource.physical.empty();
      if (is_alarm && names.size() < alarms_max) names.push_back(json::value(resource.physical));
    }
    if (names.empty()) co_return;
    json::object input{{"AlarmNames", std::move(names)}};
    const auto alarms =
        co_await client_.list("monitoring", "DescribeAlarms", std::move(input), "MetricAlarms");
    if (!alarms) co_return gap("alarms", alarms.error());
    for (const json::object* alarm : objects(*alarms)) {
      live_.alarms.push_back({aws::text(*alarm, "AlarmName"), aws::text(*alarm, "StateValue"),
                              aws::text(*alarm, "StateReason"), aws::text(*alarm, "AlarmDescription"),
                              only_scales(*alarm)});
    }
  }

  Task<void> ask_scaling(std::string cluster, std::string name) {
    const std::string id = fmt::format("service/{}/{}", last_part(cluster), last_part(name));
    json::object input{{"ServiceNamespace", "ecs"}, {"ResourceIds", json::array{json::value(id)}}};
    const auto targets =
        co_await client_.call("application-autoscaling", "DescribeScalableTargets", std::move(input));
    if (!targets) co_return gap("scaling", targets.error());
    const auto found = objects(aws::array(*targets, "ScalableTargets"));
    if (found.empty()) co_return;
    LiveScaling scaling;
    scaling.min = static_cast<std::size_t>(number(*found.front(), "MinCapacity"));
    scaling.max = static_cast<std::size_t>(number(*found.front(), "MaxCapacity"));
    const json::object& suspended = aws::object(*found.front(), "SuspendedState");
    scaling.suspended = aws::text(suspended, "DynamicScalingInSuspended") == "true" ||
                        aws::text(suspended, "DynamicScalingOutSuspended") == "true";
    json::object ask{{"ServiceNamespace", "ecs"}, {"ResourceId", id}};
    const auto actions = co_await client_.list("application-autoscaling", "DescribeScheduledActions",
                                               std::move(ask), "ScheduledActions");
    if (actions) {
      for (const json::object* action : objects(*actions)) {
        const json::object& bounds = aws::object(*action, "ScalableTargetAction");
        scaling.schedules.push_back(
            fmt::format("{} {}: {} to {}", aws::text(*action, "Schedule"), aws::text(*action, "Timezone"),
                        aws::text(bounds, "MinCapacity"), aws::text(bounds, "MaxCapacity")));
      }
    }
    live_.scaling = std::move(scaling);
  }

  aws::Client& client_;
  std::string stack_;
  LiveService live_;
};

json::array strings(const std::vector<std::string>& list) {
  json::array out;
  for (const std::string& text : list) out.push_back(json::value(text));
  return out;
}

json::object to_json(const LiveTask& task) {
  return {{"id", task.id},
          {"zone", task.zone},
          {"status", task.status},
          {"health", task.health},
          {"address", task.address},
          {"target", task.target},
          {"target_reason", task.target_reason},
          {"image", task.image},
          {"capacity", task.capacity},
          {"task_definition", task.task_definition},
          {"started_at", task.started_at}};
}

json::object to_json(const ServiceDeployment& deployment) {
  return {{"id", deployment.id},
          {"status", deployment.status},
          {"rollout", deployment.rollout},
          {"reason", deployment.reason},
          {"task_definition", deployment.task_definition},
          {"desired", deployment.desired},
          {"running", deployment.running},
          {"failed", deployment.failed},
          {"created_at", deployment.created_at}};
}

}  // namespace

std::size_t LiveService::healthy() const {
  return static_cast<std::size_t>(std::ranges::count(tasks, "healthy", &LiveTask::target));
}

Task<aws::Reply<LiveService>> observe(aws::Client& client, std::string service_stack) {
  Observer observer(client, std::move(service_stack));
  auto live = co_await observer.run();
  co_return live;
}

bool is_healthy(const LiveService& live) {
  return live.service.exists() && live.service.running >= live.service.desired &&
         live.healthy() >= live.service.desired;
}

json::object to_json(const LiveService& live) {
  json::array tasks;
  for (const LiveTask& task : live.tasks) tasks.push_back(to_json(task));
  json::array deployments;
  for (const ServiceDeployment& deployment : live.service.deployments)
    deployments.push_back(to_json(deployment));
  json::array alarms;
  for (const LiveAlarm& alarm : live.alarms) {
    alarms.push_back(json::object{{"name", alarm.name},
                                  {"state", alarm.state},
                                  {"reason", alarm.reason},
                                  {"description", alarm.description},
                                  {"scales", alarm.scales}});
  }
  json::object out{{"region", live.region},
                   {"stack", json::object{{"name", live.stack.name}, {"status", live.stack.status}}},
                   {"url", live.url()},
                   {"service", json::object{{"name", live.service.name},
                                            {"cluster", live.service.cluster},
                                            {"status", live.service.status},
                                            {"desired", live.service.desired},
                                            {"running", live.service.running},
                                            {"pending", live.service.pending},
                                            {"healthy", live.healthy()},
                                            {"deployments", std::move(deployments)}}},
                   {"tasks", std::move(tasks)},
                   {"alarms", std::move(alarms)},
                   {"gaps", strings(live.gaps)}};
  if (live.scaling) {
    out["scaling"] = json::object{{"min", live.scaling->min},
                                  {"max", live.scaling->max},
                                  {"suspended", live.scaling->suspended},
                                  {"schedules", strings(live.scaling->schedules)}};
  }
  return out;
}

}  // namespace berth::deploy
