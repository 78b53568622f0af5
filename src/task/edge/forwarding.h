#pragma once

#include "task/edge/modern_edge.h"

namespace berth::task::edge {

/// Hands the request to the owner of `handle`. True: it has its answer, be it that the owner is slow (503) or
/// was lost after the request had been delivered (502, mcp::unknown_end). False: nobody has its state any
/// more, and it was not run.
Task<bool> forward_to_owner(Shared& shared, const mcp::Handle& handle, const Incoming& incoming);
/// The same for a task that the state is looked for at, which is told `as` of the request. Its end is
/// `answered` or tells why that task does not have the state. A request that was lost there is handed over
/// once more where it may be (may_run_again) and was not yet (RequestContext::is_repeated).
Task<Forwarded> hand_to_task(Shared& shared, const TaskIdentity& task, const Incoming& incoming,
                             const RequestContext& as);

}  // namespace berth::task::edge
