#include "deploy/diagram_live.h"

#include <fmt/format.h>

#include <algorithm>

#include "deploy/audit_readers.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;
using aws::text;

constexpr std::size_t tasks_described_max = 100;  // of one DescribeTasks

/// "2026-11-22 20:15 UTC".
std::string minute(WallTime time) {
  std::string text = to_rfc3339(time);
  text.replace(10, 1, " ");
  return text.substr(0, 16) + " UTC";
}

/// The tag, or the first eight digits of the digest.
std::string short_image(std::string_view image) {
  std::size_t digest = image.find("@sha256:");
  if (digest != std::string_view::npos) return std::string(image.substr(digest + 8, 8));
  std::size_t colon = image.rfind(':');
  return colon == std::string_view::npos ? std::string(image) : std::string(image.substr(colon + 1));
}

std::string health_of(const json::object& task) {
  std::string status = text(task, "lastStatus");
  if (status == "PROVISIONING" || status == "PENDING" || status == "ACTIVATING") return "starting";
  if (status != "RUNNING") return "draining";
  std::string health = text(task, "healthStatus");
  if (health == "HEALTHY") return "healthy";
  return health == "UNHEALTHY" ? "unhealthy" : "starting";
}

Task<Result<std::string>> find_url(aws::Client& client, std::string stack) {
  json::object input{{"StackName", stack}};
  aws::Reply<json::object> answer =
      co_await client.call("cloudformation", "DescribeStacks", std::move(input));
  if (!answer && answer.error().is("ValidationError")) {
    co_return fail(ErrorCode::not_found,
                   fmt::format("There is no stack {} in {}: the service is not deployed there.", stack,
                               client.region()));
  }
  if (!answer) co_return Failure(answer.error().error());
  for (const json::object* output : objects(first(*answer, "Stacks"), "Outputs")) {
    if (text(*output, "OutputKey") == "Url") co_return text(*output, "OutputValue");
  }
  co_return "";
}

Task<Result<void>> read_tasks(aws::Client& client, std::string name, LiveState& live) {
  json::object which{{"cluster", name}, {"serviceName", name}};
  aws::Reply<json::array> arns = co_await client.list("ecs", "ListTasks", std::move(which), "taskArns");
  if (!arns) co_return Failure(arns.error().error());
  for (std::size_t from = 0; from < arns->size(); from += tasks_described_max) {
    std::size_t count = std::min(tasks_described_max, arns->size() - from);
    json::array some(arns->begin() + static_cast<std::ptrdiff_t>(from),
                     arns->begin() + static_cast<std::ptrdiff_t>(from + count));
    json::object input{{"cluster", name}, {"tasks", std::move(some)}};
    aws::Reply<json::object> answer = co_await client.call("ecs", "DescribeTasks", std::move(input));
    if (!answer) co_return Failure(answer.error().error());
    for (const json::object* task : objects(*answer, "tasks")) {
      live.tasks.push_back({.zone = text(*task, "availabilityZone"),
                            .spot = text(*task, "capacityProviderName") == "FARGATE_SPOT",
                            .health = health_of(*task)});
      if (live.image.empty()) live.image = short_image(text(first(*task, "containers"), "image"));
    }
  }
  co_return Result<void>();
}

/// Alarms that only scale are no news.
bool tells_somebody(const json::object& alarm) {
  return std::ranges::any_of(aws::array(alarm, "AlarmActions"), [](const json::value& action) {
    return action.is_string() && action.get_string().find(":sns:") != json::string::npos;
  });
}

}  // namespace

Task<Result<LiveState>> read_live_state(aws::Client& client, Names names, WallTime now) {
  LiveState live{.as_of = minute(now)};
  Result<std::string> url = co_await find_url(client, names.service_stack);
  if (!url) co_return Failure(url.error());
  live.url = std::move(*url);
  const std::string& name = names.service_stack;
  json::object input{{"cluster", name}, {"services", json::array{json::value(name)}}};
  aws::Reply<json::object> service = co_await client.call("ecs", "DescribeServices", std::move(input));
  if (!service) co_return Failure(service.error().error());
  const json::value* desired = first(*service, "services").if_contains("desiredCount");
  if (desired != nullptr && desired->is_number()) live.desired = desired->to_number<std::size_t>();
  Result<void> tasks = co_await read_tasks(client, name, live);
  if (!tasks) co_return Failure(tasks.error());
  json::object ringing{{"StateValue", "ALARM"}, {"AlarmNamePrefix", name + "-"}};
  aws::Reply<json::array> alarms =
      co_await client.list("monitoring", "DescribeAlarms", std::move(ringing), "MetricAlarms");
  if (!alarms) co_return Failure(alarms.error().error());
  for (const json::value& alarm : *alarms) {
    if (alarm.is_object() && tells_somebody(alarm.get_object())) ++live.alarms_ringing;
  }
  co_return live;
}

}  // namespace berth::deploy
