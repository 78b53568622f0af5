#include "deploy/rollback.h"

#include <fmt/format.h>

#include "deploy/pipeline_image.h"
#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t revisions_max = 30;
constexpr std::string_view dimension = "ecs:service:DesiredCount";

/// The service's stack, standing; not_found with the way to get there.
Task<Result<StackState>> standing_stack(aws::Client& client, std::string name) {
  auto state = co_await describe_stack(client, name);
  if (!state) co_return Failure(explain_fault(state.error()));
  if (state->exists() && state->status != "REVIEW_IN_PROGRESS") co_return *state;
  co_return fail(ErrorCode::not_found,
                 fmt::format("There is no stack {} in {}: `berth deploy` makes it.", name, client.region()));
}

Task<Result<ServiceState>> standing_service(aws::Client& client, const StackState& stack) {
  const auto service =
      co_await describe_service(client, stack.output("ClusterName"), stack.output("ServiceName"));
  if (!service) co_return Failure(explain_fault(service.error()));
  if (service->exists()) co_return *service;
  co_return fail(
      ErrorCode::not_found,
      fmt::format("The stack {} is {} and has no running service; `berth doctor --on aws` says why, `berth "
                  "deploy` makes it anew.",
                  stack.name, stack.status));
}

Task<Result<RolledBack>> cancel_update(StackWorld world, StackState state, bool wait) {
  if (!state.status.starts_with("UPDATE_IN_PROGRESS")) {
    co_return fail(
        ErrorCode::conflict,
        fmt::format("The stack {} is {}, which cannot be cancelled: wait for its end. `berth destroy` ends "
                    "a first deploy.",
                    state.name, state.status));
  }
  const Result<bool> yes = co_await world.progress.confirm(
      fmt::format("An update of {} is in progress. Cancel it, so that what ran before runs on?", state.name));
  if (!yes) co_return Failure(yes.error());
  if (!*yes) co_return fail(ErrorCode::cancelled, "Nothing was changed.");
  json::object input{{"StackName", state.name}};
  const auto asked = co_await world.client.call("cloudformation", "CancelUpdateStack", std::move(input));
  if (!asked) co_return Failure(explain_fault(asked.error()));
  RolledBack out{.from = {}, .to = "what ran before", .cancelled = true};
  if (!wait) co_return out;
  WatchOptions watch{.stack = state.id};
  const Result<StackState> end = co_await watch_whatever(world, std::move(watch));
  if (!end) co_return Failure(end.error());
  if (end->status == "UPDATE_ROLLBACK_COMPLETE") co_return out;
  if (end->status == "UPDATE_COMPLETE") {
    co_return fail(
        ErrorCode::conflict,
        "The update had ended before it could be cancelled. `berth rollback` again goes back from it.");
  }
  co_return fail(ErrorCode::conflict,
                 fmt::format("The stack {} is {} ({}). `berth deploy` finishes the rollback.", end->name,
                             end->status, end->reason));
}

struct Bounds {
  bool there = false;
  std::size_t min = 0;
  std::size_t max = 0;
};

std::string resource_of(const ServiceState& service) {
  const std::string cluster = service.cluster.substr(service.cluster.rfind('/') + 1);
  return fmt::format("service/{}/{}", cluster, service.name);
}

Task<aws::Reply<Bounds>> scaling_bounds(aws::Client& client, std::string resource) {
  json::object input{{"ServiceNamespace", "ecs"}, {"ResourceIds", json::array{json::value(resource)}}};
  const auto targets = co_await client.list("application-autoscaling", "DescribeScalableTargets",
                                            std::move(input), "ScalableTargets");
  if (!targets) co_return std::unexpected(targets.error());
  Bounds bounds;
  for (const json::value& item : *targets) {
    if (!item.is_object()) continue;
    const json::object& target = item.get_object();
    if (aws::text(target, "ResourceId") != resource) continue;
    bounds.there = true;
    if (target.contains("MinCapacity")) bounds.min = target.at("MinCapacity").to_number<std::size_t>();
    if (target.contains("MaxCapacity")) bounds.max = target.at("MaxCapacity").to_number<std::size_t>();
  }
  co_return bounds;
}

}  // namespace

Task<Result<RolledBack>> roll_back(StackWorld world, Names names, bool wait) {
  const Result<StackState> state = co_await standing_stack(world.client, names.service_stack);
  if (!state) co_return Failure(state.error());
  if (in_progress(state->status) && state->status != "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    co_return co_await cancel_update(world, *state, wait);
  if (next_step(state->status) == StackStep::unwind) {
    const Result<void> finished = co_await finish_rollback(world, *state);
    if (!finished) co_return Failure(finished.error());
    co_return RolledBack{.from = {}, .to = "what ran before", .cancelled = true};
  }
  const Result<ServiceState> service = co_await standing_service(world.client, *state);
  if (!service) co_return Failure(service.error());
  const auto revisions = co_await list_revisions(world.client, service->task_definition, revisions_max);
  if (!revisions) co_return Failure(explain_fault(revisions.error()));
  const auto image = state->parameters.find("ImageUri");
  const std::string current = image == state->parameters.end() ? "" : image->second;
  const std::optional<Revision> previous = previous_of(*revisions, current);
  if (!previous) {
    co_return fail(ErrorCode::conflict,
                   fmt::format("There is no earlier image to go back to: {} is the only one that {} ran.",
                               current, state->name));
  }
  const std::size_t at = previous->image.rfind('@');
  const std::string digest = at == std::string::npos ? "" : previous->image.substr(at + 1);
  if (!digest.empty()) {
    const auto there = co_await has_image(world.client, names.repository, digest);
    if (!there) co_return Failure(explain_fault(there.error()));
    if (!*there) {
      co_return fail(
          ErrorCode::conflict,
          fmt::format("The image before, {}, is no longer in the repository (images older than 90 days are "
                      "deleted). Deploy its source again instead.",
                      previous->image));
    }
  }
  const Result<bool> yes = co_await world.progress.confirm(fmt::format(
      "Go back?\n  from {}\n  to   {} (task definition {})\nNew tasks replace the old ones one after "
      "another.",
      current, previous->image, previous->number));
  if (!yes) co_return Failure(yes.error());
  if (!*yes) co_return fail(ErrorCode::cancelled, "Nothing was changed.");
  const auto last = co_await last_event(world.client, state->name);
  if (!last) co_return Failure(explain_fault(last.error()));
  StackTarget target{.name = state->name, .body = {}, .parameters = state->parameters, .tags = state->tags};
  target.parameters["ImageUri"] = previous->image;
  const auto started = co_await update_image(world.client, *state, target);
  if (!started) co_return Failure(explain_fault(started.error()));
  RolledBack out{.from = current, .to = previous->image};
  if (!wait) co_return out;
  WatchOptions watch{.stack = state->id, .since = *last};
  const Result<StackState> end = co_await watch_to_end(world, std::move(watch), 0);
  if (!end) co_return Failure(end.error());
  const auto marked = co_await mark_running_again(world.client, names.repository, previous->image);
  if (!marked) world.progress.notice(marked.error().message());
  co_return out;
}

Task<Result<Scaled>> scale(StackWorld world, Names names, std::size_t count, bool wait) {
  const Result<StackState> state = co_await standing_stack(world.client, names.service_stack);
  if (!state) co_return Failure(state.error());
  const Result<ServiceState> service = co_await standing_service(world.client, *state);
  if (!service) co_return Failure(service.error());
  const std::string resource = resource_of(*service);
  const auto bounds = co_await scaling_bounds(world.client, resource);
  if (!bounds) co_return Failure(explain_fault(bounds.error()));
  Scaled out{.before = service->desired, .plan = {.desired = count}, .scales_itself = bounds->there};
  if (bounds->there) out.plan = plan_scale(count, bounds->min, bounds->max);
  std::string question = fmt::format("Scale {} from {} to {} tasks?", service->name, service->desired, count);
  if (count == 0) question += " Nobody answers then: clients get 503.";
  const Result<bool> yes = co_await world.progress.confirm(std::move(question));
  if (!yes) co_return Failure(yes.error());
  if (!*yes) co_return fail(ErrorCode::cancelled, "Nothing was changed.");
  // Bounds first: with the count outside of them, scaling would put it back at once.
  if (out.plan.changes_target) {
    json::object input{{"ServiceNamespace", "ecs"},
                       {"ResourceId", resource},
                       {"ScalableDimension", dimension},
                       {"MinCapacity", out.plan.min},
                       {"MaxCapacity", out.plan.max}};
    const auto widened =
        co_await world.client.call("application-autoscaling", "RegisterScalableTarget", std::move(input));
    if (!widened) co_return Failure(explain_fault(widened.error()));
  }
  json::object input{{"cluster", service->cluster}, {"service", service->name}, {"desiredCount", count}};
  const auto scaled = co_await world.client.call("ecs", "UpdateService", std::move(input));
  if (!scaled) co_return Failure(explain_fault(scaled.error()));
  if (!wait) co_return out;
  RolloutOptions options{
      .cluster = service->cluster, .service = service->name, .target_group = state->output("TargetGroupArn")};
  Progress& progress = world.progress;
  std::function<void(const std::string&)> tell = [&progress](const std::string& text) {
    progress.detail(text);
  };
  const auto end = co_await watch_rollout(world.client, world.clock, std::move(options), std::move(tell));
  if (!end) co_return Failure(explain_fault(end.error()));
  if (!end->ok) co_return fail(ErrorCode::unavailable, to_text(explain(end->evidence)));
  out.waited = true;
  co_return out;
}

std::string sentence_of(const Scaled& scaled) {
  std::string out = fmt::format("{} from {} to {} task{}", scaled.waited ? "Scaled" : "Scaling",
                                scaled.before, scaled.plan.desired, scaled.plan.desired == 1 ? "" : "s");
  if (!scaled.waited) out += "; `berth status --on aws` shows them";
  out += ".";
  if (scaled.plan.changes_target) {
    out += fmt::format(
        " Scaling by itself keeps between {} and {} tasks from now on. A deploy leaves that, unless it "
        "changes scaling.min or scaling.max of berth.yaml.",
        scaled.plan.min, scaled.plan.max);
  } else if (scaled.scales_itself) {
    out += " Scaling by itself may change that again as load comes and goes.";
  }
  return out;
}

}  // namespace berth::deploy
