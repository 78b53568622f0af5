#include "task/edge/forwarding.h"

#include <algorithm>

#include "mcp/message.h"
#include "task/edge/answers.h"
#include "task/edge/run_again.h"

namespace berth::task::edge {
namespace {

bool is_there(const Shared& shared, const TaskIdentity& task) {
  return std::ranges::any_of(shared.world.peers.sisters(),
                             [&](const TaskIdentity& sister) { return is_same_life(sister, task); });
}

}  // namespace

Task<bool> forward_to_owner(Shared& shared, const mcp::Handle& handle, const Incoming& incoming) {
  const TaskIdentity owner{handle.owner, {}, handle.generation, handle.owner_address};
  RequestContext as = incoming.context;
  as.is_repeated = true;  // nobody else can go on with it
  const Forwarded forwarded = co_await hand_to_task(shared, owner, incoming, as);
  co_return forwarded.end == Forwarded::End::answered;
}

Task<Forwarded> hand_to_task(Shared& shared, const TaskIdentity& task, const Incoming& incoming,
                             const RequestContext& as) {
  if (incoming.context.forwarded)
    co_return Forwarded{Forwarded::End::another_life, "A sister took this task for the owner."};
  ++shared.counters.forwarded;
  mcp::Handle handle;
  handle.owner = task.id;
  handle.owner_address = task.peer_address;
  handle.generation = task.generation;
  Forwarded forwarded = co_await shared.world.peers.forward(handle, incoming.exchange, incoming.body, as);
  if (forwarded.end == Forwarded::End::unknown) {
    shared.world.log.warning(
        "call_lost", {{"server", shared.world.server}, {"owner", task.id}, {"reason", forwarded.why}});
    bool again = false;
    if (!as.is_repeated) again = co_await may_run_again(shared, incoming);
    if (again && !is_there(shared, task)) co_return Forwarded{Forwarded::End::not_delivered, forwarded.why};
    // It may have lost the connection alone, and has the state; if it has gone, the caller looks on.
    if (again) forwarded = co_await shared.world.peers.forward(handle, incoming.exchange, incoming.body, as);
    if (again && forwarded.end == Forwarded::End::unknown)
      co_return Forwarded{Forwarded::End::not_delivered, forwarded.why};
  }
  switch (forwarded.end) {
    case Forwarded::End::answered: break;
    case Forwarded::End::not_delivered:
    case Forwarded::End::another_life:
    case Forwarded::End::disowned: co_return forwarded;
    case Forwarded::End::slow: {
      ++shared.counters.refused;
      mcp::RpcError error{
          mcp::code::server_error, "The task that has this state is slow; nothing was run, try again.", {}};
      co_await answer_error(incoming.exchange, 503, incoming.message.id, std::move(error));
      break;
    }
    case Forwarded::End::unknown: co_await answer_unknown_end(incoming); break;
  }
  co_return Forwarded{};
}

}  // namespace berth::task::edge
