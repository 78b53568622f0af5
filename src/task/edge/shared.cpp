#include "task/edge/shared.h"

#include <algorithm>

namespace berth::task::edge {
namespace {

/// Often enough for the two intervals that ticks serve.
Duration tick_interval(const model::LimitsSpec& limits) {
  const Duration shortest = std::min<Duration>(limits.keep_alive_interval, silent_answer_max);
  return std::max<Duration>(shortest / 5, std::chrono::milliseconds(10));
}

}  // namespace

Shared::Shared(EndpointWorld the_world)
    : world(the_world),
      tools(world),
      ticker(world.clock, tick_interval(world.limits)),
      idle(world.clock.executor()) {}

Task<void> Shared::learn(const mcp::Caller& caller) {
  const auto description = co_await world.host.describe(caller);
  if (description) note(*description, caller.era);
}

Task<Result<mcp::ServerDescription>> Shared::describe(const mcp::Caller& caller) {
  auto description = co_await world.host.describe(caller);
  if (description) note(*description, caller.era);
  co_return description;
}

void Shared::note(const mcp::ServerDescription& description, mcp::Era of_caller) {
  facts.era(of_caller) = description.era;
  facts.server_info = description.server_info;
}

/// What happens in the process of one legacy session happens in no other task.
bool Shared::has_own_process(const mcp::Caller& caller) const {
  return world.spec.isolation == model::Isolation::session && !caller.session.empty();
}

void Shared::watch(const mcp::Caller& caller, const std::string& uri) {
  world.host.watch_resource(caller, uri);
  if (!has_own_process(caller)) world.bus.watch(world.server, caller.principal, uri);
}

void Shared::unwatch(const mcp::Caller& caller, const std::string& uri) {
  world.host.unwatch_resource(caller, uri);
  if (!has_own_process(caller)) world.bus.unwatch(world.server, caller.principal, uri);
}

std::string Shared::without_illegal_tools(std::string result, mcp::Era spoken) {
  constexpr std::size_t left_out_max = 256;
  if (spoken == mcp::Era::legacy) return mcp::repair_header_params(std::move(result));
  std::vector<std::string> left_out;
  result = mcp::leave_out_illegal_tools(std::move(result), left_out);
  for (std::string& reason : left_out) {
    if (left_out_.size() >= left_out_max || left_out_.contains(reason)) continue;
    world.log.warning("tool_left_out", {{"server", world.server}, {"reason", reason}});
    left_out_.insert(std::move(reason));
  }
  return result;
}

mcp::Handle Shared::handle(mcp::HandleKind kind, std::string_view principal) const {
  mcp::Handle handle;
  handle.kind = kind;
  handle.owner = world.identity.id;
  handle.owner_address = world.identity.peer_address;
  handle.generation = world.identity.generation;
  handle.principal = principal;
  return handle;
}

bool Shared::is_own(const mcp::Handle& handle) const {
  return handle.owner == world.identity.id && handle.generation == world.identity.generation;
}

std::int64_t Shared::wall_s_after(Duration duration) const {
  return std::chrono::duration_cast<std::chrono::seconds>((wall() + duration).time_since_epoch()).count() + 1;
}

}  // namespace berth::task::edge
