#include <fmt/format.h>

#include "cli/all_verbs.h"
#include "cli/aws_session.h"
#include "cli/control.h"
#include "cli/spec_file.h"
#include "cli/status_view.h"
#include "cli/talk.h"
#include "cli/text.h"

/// The verbs that ask a running `berth up` for something: status, scale, restart, down.
namespace berth::cli {
namespace {

constexpr Duration poll_interval = std::chrono::milliseconds(100);
constexpr Duration down_timeout = std::chrono::hours(2);
constexpr Duration healthy_timeout = std::chrono::minutes(5);
constexpr Duration restart_timeout = std::chrono::minutes(30);

Result<SpecLocation> locate_service(Context& context, const Arguments& arguments) {
  return find_spec(context, arguments.get("file"), Need::service);
}

/// Polls until every task is healthy (ok) or the deadline passes (unhealthy).
Task<ExitCode> wait_healthy(Context& context, Control& control, std::string_view verb) {
  TimePoint deadline = context.clock.now() + healthy_timeout;
  while (true) {
    co_await context.clock.sleep_for(poll_interval);
    Result<cluster::ServiceStatus> status = co_await control.status();
    if (!status) co_return report(context, verb, status.error(), Cause::service);
    bool late = context.clock.now() >= deadline;
    if (!late && !all_healthy(*status)) continue;
    bool colour = context.terminal.colour();
    context.terminal.out(headline(*status, colour) +
                         task_table(*status, context.clock.wall(), context.terminal.columns(), colour));
    co_return all_answer(*status) ? ExitCode::ok : ExitCode::unhealthy;
  }
}

/// Polls until the restart under way has ended. One that is undone has failed.
Task<ExitCode> wait_replaced(Context& context, Control& control) {
  TimePoint deadline = context.clock.now() + restart_timeout;
  while (context.clock.now() < deadline) {
    co_await context.clock.sleep_for(poll_interval);
    Result<cluster::ServiceStatus> status = co_await control.status();
    if (!status) co_return report(context, "restart", status.error(), Cause::service);
    const cluster::RolloutStatus& rollout = status->rollout;
    if (rollout.state == cluster::RolloutStatus::State::running) continue;
    if (rollout.state == cluster::RolloutStatus::State::undone) {
      const std::string text = fmt::format("berth restart: undone, the tasks of before go on serving. {}\n",
                                           printable(rollout.reason));
      context.terminal.err(fitted(context.terminal, text));
      co_return ExitCode::unhealthy;
    }
    const std::size_t count = status->desired;
    context.terminal.err(fmt::format("Replaced {} task{}.\n", count, count == 1 ? "" : "s"));
    if (!rollout.note.empty())
      context.terminal.err(fitted(context.terminal, fmt::format("berth restart: {}\n", rollout.note)));
    context.terminal.err(silent_servers(*status));
    co_return all_answer(*status) ? ExitCode::ok : ExitCode::unhealthy;
  }
  context.terminal.err(
      "berth restart: not every task is replaced yet; `berth status` shows how far it is.\n");
  co_return ExitCode::unhealthy;
}

}  // namespace

Task<ExitCode> run_status(Context& context, const Arguments& arguments) {
  Result<SpecLocation> location = locate_service(context, arguments);
  if (!location) co_return report(context, "status", location.error(), Cause::spec);
  Control control(context, location->state_directory);
  Result<cluster::ServiceStatus> status = co_await control.status();
  if (!status) co_return report(context, "status", status.error(), Cause::service);
  if (arguments.has("json")) {
    context.terminal.out(pretty_json(cluster::to_json(*status)) + "\n");
  } else {
    bool colour = context.terminal.colour();
    std::string text = headline(*status, colour);
    text += "\n" + task_table(*status, context.clock.wall(), context.terminal.columns(), colour);
    text += "\n" + url_lines(*status, colour);
    text += paint(Paint::dim,
                  fmt::format("  {} requests, {} in flight. {}", status->requests, status->in_flight,
                              status->limits),
                  colour) +
            "\n";
    context.terminal.out(text);
  }
  co_return all_answer(*status) ? ExitCode::ok : ExitCode::unhealthy;
}

Task<ExitCode> run_scale(Context& context, const Arguments& arguments) {
  Result<Place> place = find_place(context, arguments);
  if (!place) {
    co_return report(context, "scale", place.error(), Cause::command_line);
  }
  if (*place == Place::aws) co_return co_await run_scale_on_aws(context, arguments);
  if (arguments.words().empty()) {
    context.terminal.err("berth scale: say how many tasks: berth scale 5\n");
    co_return ExitCode::usage;
  }
  Result<std::size_t> count =
      parse_number("the number of tasks", arguments.words()[0], 1, cluster::tasks_max);
  if (!count) {
    co_return report(context, "scale", count.error(), Cause::command_line);
  }
  Result<SpecLocation> location = locate_service(context, arguments);
  if (!location) co_return report(context, "scale", location.error(), Cause::spec);
  Control control(context, location->state_directory);
  Result<void> scaled = co_await control.post("/scale", fmt::format("{{\"count\":{}}}", *count));
  if (!scaled) co_return report(context, "scale", scaled.error(), Cause::service);
  context.terminal.err(
      fmt::format("Scaling to {} task{}; `berth status` shows them.\n", *count, *count == 1 ? "" : "s"));
  if (!arguments.has("wait")) co_return ExitCode::ok;
  co_return co_await wait_healthy(context, control, "scale");
}

Task<ExitCode> run_restart(Context& context, const Arguments& arguments) {
  Result<SpecLocation> location = locate_service(context, arguments);
  if (!location) co_return report(context, "restart", location.error(), Cause::spec);
  Control control(context, location->state_directory);
  Result<void> restarted = co_await control.post("/restart", "");
  if (!restarted) {
    const bool is_of_file = restarted.error().code() == ErrorCode::invalid_argument;
    co_return report(context, "restart", restarted.error(), is_of_file ? Cause::spec : Cause::service);
  }
  context.terminal.err("Replacing every task, one after another…\n");
  co_return co_await wait_replaced(context, control);
}

Task<ExitCode> run_down(Context& context, const Arguments& arguments) {
  Result<SpecLocation> location = locate_service(context, arguments);
  if (!location) co_return report(context, "down", location.error(), Cause::spec);
  Control control(context, location->state_directory);
  Result<void> asked = co_await control.post("/down", "");
  if (!asked) co_return report(context, "down", asked.error(), Cause::service);
  context.terminal.err("Draining…\n");
  TimePoint deadline = context.clock.now() + down_timeout;
  while (context.clock.now() < deadline) {
    co_await context.clock.sleep_for(poll_interval);
    Result<cluster::ServiceStatus> status = co_await control.status();
    if (status || status.error().code() != ErrorCode::unavailable) continue;
    context.terminal.err("Stopped.\n");
    co_return ExitCode::ok;
  }
  context.terminal.err("berth down: the service is still draining.\n");
  co_return ExitCode::failed;
}

}  // namespace berth::cli
