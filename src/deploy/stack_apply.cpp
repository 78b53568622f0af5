#include "deploy/stack_apply.h"

#include <fmt/format.h>

#include <algorithm>

#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t busy_shown_max = 3;
constexpr int steps_max = 8;  // more is a stack that goes in circles

class Teller final : public StackListener {
 public:
  Teller(Progress& progress, std::size_t total) : progress_(progress), total_(total) {}
  void on_event(const StackEvent& event) override {
    if (event.failed() && event.reason.find("cancelled") == std::string::npos)
      progress_.notice(fmt::format("{} {}: {}", event.resource, event.status, event.reason));
  }
  void on_progress(std::size_t done, const std::vector<std::string>& busy) override {
    std::string text = total_ > 0 ? fmt::format("{} of {} resources", std::min(done, total_), total_)
                                  : fmt::format("{} resources", done);
    if (!busy.empty()) {
      std::vector<std::string> shown(
          busy.begin(), busy.begin() + static_cast<std::ptrdiff_t>(std::min(busy.size(), busy_shown_max)));
      text += fmt::format(": {}{}", fmt::join(shown, ", "), busy.size() > shown.size() ? "…" : "");
    }
    progress_.detail(text);
  }
  void on_notice(const std::string& text) override { progress_.notice(text); }

 private:
  Progress& progress_;
  std::size_t total_;
};

Error conflict(const StackState& state) {
  return Error(
      ErrorCode::conflict,
      fmt::format(
          "Another deploy is in progress: the stack {0} is {1}, and not by this command. Wait until it "
          "has ended (`aws cloudformation wait stack-update-complete --stack-name {0}`, `berth status "
          "--on aws`), or end it with `berth rollback`, then deploy again.",
          state.name, state.status));
}

bool is_unwinding(const std::string& status) {
  return status.find("ROLLBACK") != std::string::npos || status.find("CLEANUP") != std::string::npos;
}

}  // namespace

Task<Result<void>> finish_rollback(StackWorld world, StackState state) {
  const Result<bool> yes = co_await world.progress.confirm(fmt::format(
      "The stack {} is UPDATE_ROLLBACK_FAILED: its last rollback did not come to an end ({}).\nFinish the "
      "rollback now (continue-update-rollback), then go on?",
      state.name, state.reason));
  if (!yes) co_return Failure(yes.error());
  if (!*yes) co_return fail(ErrorCode::cancelled, "Nothing was changed.");
  world.progress.notice(fmt::format("Finishing the rollback of the stack {}.", state.name));
  WatchOptions watch{.stack = state.id};
  const auto last = co_await last_event(world.client, state.id);
  if (!last) co_return Failure(explain_fault(last.error()));
  watch.since = *last;
  json::object input{{"StackName", state.name}};
  const auto asked = co_await world.client.call("cloudformation", "ContinueUpdateRollback", std::move(input));
  if (!asked) co_return Failure(explain_fault(asked.error()));
  const Result<StackState> after = co_await watch_whatever(world, std::move(watch));
  if (!after) co_return Failure(after.error());
  if (after->status == "UPDATE_ROLLBACK_COMPLETE") co_return Result<void>();
  co_return fail(
      ErrorCode::conflict,
      fmt::format("The rollback of {0} failed again: {1}. Mend what the message names, or leave the "
                  "resource out: `aws cloudformation continue-update-rollback --stack-name {0} "
                  "--resources-to-skip LOGICAL-ID`; then deploy again.",
                  state.name, after->reason));
}

namespace {

Task<Result<void>> replace(StackWorld world, StackState state) {
  const Result<bool> yes = co_await world.progress.confirm(fmt::format(
      "The stack {} is {}: its creation failed, and CloudFormation can only delete it{}.\nDelete it and make "
      "it anew?",
      state.name, state.status, state.reason.empty() ? "" : fmt::format(" ({})", state.reason)));
  if (!yes) co_return Failure(yes.error());
  if (!*yes) co_return fail(ErrorCode::cancelled, "Nothing was changed.");
  world.progress.notice(fmt::format("Deleting the stack {}, which is {}.", state.name, state.status));
  co_return co_await remove_stack(world, std::move(state));
}

}  // namespace

Task<Result<StackState>> watch_to_end(StackWorld world, WatchOptions options, std::size_t total) {
  Teller teller(world.progress, total);
  const auto end = co_await watch_stack(world.client, world.clock, std::move(options), teller);
  if (!end) co_return Failure(explain_fault(end.error()));
  if (end->ok) co_return end->state;
  if (in_progress(end->state.status)) {
    co_return fail(
        ErrorCode::deadline_exceeded,
        fmt::format("The stack {} is still {}; it goes on by itself. `berth deploy` again watches it.",
                    end->state.name, end->state.status));
  }
  const bool undone = end->state.status.find("ROLLBACK_COMPLETE") != std::string::npos;
  const bool created = end->state.status.starts_with("ROLLBACK");
  std::string rest;
  if (undone && !created)
    rest = "\nThe update was rolled back: what ran before runs on. `berth logs` shows more.";
  if (undone && created) {
    rest =
        "\nThe creation was rolled back, its log with it; `berth deploy` makes the stack anew, `berth "
        "destroy` "
        "removes what is left.";
  }
  if (!undone) rest = fmt::format("\nThe stack {} is {}.", end->state.name, end->state.status);
  co_return fail(ErrorCode::unavailable, to_text(explain(end->evidence)) + rest);
}

Task<Result<StackState>> watch_whatever(StackWorld world, WatchOptions options) {
  Teller teller(world.progress, 0);
  options.through_cleanup = true;
  const auto end = co_await watch_stack(world.client, world.clock, std::move(options), teller);
  if (!end) co_return Failure(explain_fault(end.error()));
  co_return end->state;
}

Task<Result<void>> remove_stack(StackWorld world, StackState state) {
  const auto last = co_await last_event(world.client, state.id);
  if (!last) co_return Failure(explain_fault(last.error()));
  const auto asked = co_await delete_stack(world.client, state.name, "berth-delete");
  if (!asked) co_return Failure(explain_fault(asked.error()));
  WatchOptions watch{.stack = state.id, .since = *last};
  Teller teller(world.progress, 0);
  const auto end = co_await watch_stack(world.client, world.clock, std::move(watch), teller);
  if (!end) co_return Failure(explain_fault(end.error()));
  if (!end->state.exists()) co_return Result<void>();
  const Explanation why = explain(end->evidence);
  co_return fail(ErrorCode::conflict, fmt::format("The stack {} could not be deleted; it is {}.\n{}",
                                                  state.name, end->state.status, to_text(why)));
}

Task<Result<void>> refuse_others(StackWorld world, StackState state, std::string prefix) {
  if (!in_progress(state.status) || is_unwinding(state.status) || state.status == "DELETE_IN_PROGRESS")
    co_return Result<void>();
  const auto token = co_await operation_token(world.client, state.name);
  if (!token) co_return Failure(explain_fault(token.error()));
  if (!prefix.empty() && token->starts_with(prefix)) co_return Result<void>();
  co_return Failure(conflict(state));
}

Task<Result<Settled>> settle(StackWorld world, StackTarget target) {
  Settled settled;
  for (int step = 0; step < steps_max; ++step) {
    auto state = co_await describe_stack(world.client, target.name);
    if (!state) co_return Failure(explain_fault(state.error()));
    settled.state = *state;
    const StackStep next = next_step(state->status);
    if (next == StackStep::create || next == StackStep::update) co_return settled;
    Result<void> done;
    WatchOptions watch{.stack = state->id};
    if (next == StackStep::wait && !is_unwinding(state->status)) {
      const Result<void> ours = co_await refuse_others(world, *state, token_of(target));
      if (!ours) co_return Failure(ours.error());
      world.progress.notice(
          fmt::format("The stack {} is {} by this very deploy; following it.", state->name, state->status));
      const Result<StackState> end = co_await watch_to_end(world, std::move(watch), 0);
      if (!end) co_return Failure(end.error());
      settled.state = *end;
      settled.joined = true;
      co_return settled;
    }
    if (next == StackStep::wait || next == StackStep::leave) {
      world.progress.notice(
          fmt::format("The stack {} is {}; waiting for its end.", state->name, state->status));
      const Result<StackState> end = co_await watch_whatever(world, std::move(watch));
      if (!end) done = Failure(end.error());
    } else if (next == StackStep::unwind) {
      done = co_await finish_rollback(world, *state);
    } else {
      done = co_await replace(world, *state);
    }
    if (!done) co_return Failure(done.error());
  }
  co_return fail(ErrorCode::conflict, fmt::format("The stack {} does not come to rest; it is {}.",
                                                  target.name, settled.state.status));
}

Task<Result<StackState>> put_back(StackWorld world, StackTarget former, StackChange change) {
  const auto state = co_await describe_stack(world.client, former.name);
  if (!state) co_return Failure(explain_fault(state.error()));
  const auto last = co_await last_event(world.client, former.name);
  if (!last) co_return Failure(explain_fault(last.error()));
  aws::Reply<void> started;
  if (change == StackChange::image) {
    started = co_await update_image(world.client, *state, former);
  } else {
    const auto changes =
        co_await make_change_set(world.client, world.clock, former, ChangeKind::update, token_of(former));
    if (!changes) co_return Failure(explain_fault(changes.error()));
    started = co_await execute_change_set(world.client, former.name, changes->name,
                                          operation_of(ChangeKind::update, *changes));
  }
  if (!started) co_return Failure(explain_fault(started.error()));
  WatchOptions watch{.stack = state->id, .since = *last};
  co_return co_await watch_to_end(world, std::move(watch), 0);
}

}  // namespace berth::deploy
