#include "task/runtime/ecs_task.h"

#include <utility>

#include "codec/json.h"
#include "http/client.h"
#include "http/url.h"
#include "task/runtime/member.h"

namespace berth::task {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t answer_bytes_max = 1u << 20;
constexpr Duration attempt_timeout = 2s;
constexpr Duration rest = 250ms;

std::string text_of(json::Slice object, std::string_view name) {
  return object.find(name).as_string().value_or(std::string());
}

/// What follows the last '/', or all of it.
std::string last_part(const std::string& text) { return text.substr(text.rfind('/') + 1); }

/// Part number `index` of "arn:aws:ecs:us-west-2:111122223333:task/default/158d…".
std::string arn_part(std::string_view arn, std::size_t index) {
  for (; index > 0 && !arn.empty(); --index) {
    const std::size_t colon = arn.find(':');
    arn.remove_prefix(colon == std::string_view::npos ? arn.size() : colon + 1);
  }
  return std::string(arn.substr(0, arn.find(':')));
}

/// In the awsvpc mode all containers have the task's one address, so the first that is told is it.
std::string address_of(json::Slice task) {
  for (json::Elements containers(task.find("Containers")); containers.next();) {
    for (json::Elements networks(containers.value().find("Networks")); networks.next();) {
      for (json::Elements each(networks.value().find("IPv4Addresses")); each.next();) {
        auto address = each.value().as_string();
        if (address && !address->empty()) return *std::move(address);
      }
    }
  }
  return {};
}

}  // namespace

Result<EcsTask> parse_ecs_task(std::string_view json) {
  const auto parsed = json::parse(json);
  EcsTask task;
  if (parsed) task.arn = text_of(*parsed, "TaskARN");
  task.id = last_part(task.arn);
  if (!task.arn.starts_with("arn:") || !is_member_id(task.id)) {
    return fail(
        ErrorCode::invalid_argument,
        "The answer of the ECS metadata endpoint names no task; ECS_CONTAINER_METADATA_URI_V4 must be "
        "as ECS set it.");
  }
  task.region = arn_part(task.arn, 3);
  task.cluster = last_part(text_of(*parsed, "Cluster"));
  task.service = text_of(*parsed, "ServiceName");
  task.family = text_of(*parsed, "Family");
  task.revision = text_of(*parsed, "Revision");
  task.zone = text_of(*parsed, "AvailabilityZone");
  task.address = address_of(*parsed);
  if (!task.address.empty()) return task;
  return fail(ErrorCode::unavailable,
              "ECS gives the task no IPv4 address; the task definition must use the awsvpc network mode.");
}

Task<Result<EcsTask>> ask_ecs(net::Network& network, std::string uri, TimePoint deadline) {
  const auto where = http::parse_url(uri + "/task");
  if (!where) co_return Failure(where.error().within("ECS_CONTAINER_METADATA_URI_V4"));
  Clock& clock = network.clock();
  const auto endpoint = co_await http::resolve(clock.executor(), where->host, where->port);
  if (!endpoint) co_return Failure(endpoint.error().within("ECS_CONTAINER_METADATA_URI_V4"));
  http::ClientOptions options;
  options.endpoint = *endpoint;
  options.host_header = where->host_header();
  options.connect_timeout = attempt_timeout;
  const auto client = http::make_client(network, std::move(options));
  while (true) {
    http::ClientRequest request;
    request.target = where->target;
    request.deadline = std::min(deadline, clock.now() + attempt_timeout);
    const auto answer = co_await client->fetch(std::move(request), answer_bytes_max);
    Result<EcsTask> task = fail(ErrorCode::unavailable, "");
    if (!answer) {
      task = Failure(answer.error());
    } else if (answer->status != 200) {
      task = fail(ErrorCode::unavailable, "it answered HTTP " + std::to_string(answer->status));
    } else {
      task = parse_ecs_task(answer->body);
    }
    if (task || task.error().code() == ErrorCode::invalid_argument) co_return task;
    if (clock.now() + rest >= deadline) {
      co_return Failure(task.error().within("The ECS metadata endpoint at " + uri));
    }
    co_await clock.sleep_for(rest);
  }
}

}  // namespace berth::task
