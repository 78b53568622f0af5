#include "task/edge/forwarding.h"

#include "mcp/message.h"
#include "task/edge/answers.h"

namespace berth::task::edge {

Task<bool> forward_to_owner(Shared& shared, const mcp::Handle& handle, const Incoming& incoming) {
  const TaskIdentity owner{handle.owner, {}, handle.generation, handle.owner_address};
  const Forwarded forwarded = co_await hand_to_task(shared, owner, incoming, incoming.context);
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
    case Forwarded::End::unknown:
      co_await answer_error(incoming.exchange, 502, incoming.message.id, mcp::unknown_end(forwarded.why));
      break;
  }
  co_return Forwarded{};
}

}  // namespace berth::task::edge
