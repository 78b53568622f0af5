#pragma once

#include "task/edge/modern_edge.h"

namespace berth::task::edge {

/// Hands the request to the owner of `handle`. True: it has its answer, be it that the owner is slow (503) or
/// was lost after the request had been delivered (502, mcp::unknown_end). False: nobody has its state any
/// more, and it was not run.
Task<bool> forward_to_owner(Shared& shared, const mcp::Handle& handle, const Incoming& incoming);
/// The same: its end is `answered` or tells why nobody has the state.
Task<Forwarded> hand_to_owner(Shared& shared, const mcp::Handle& handle, const Incoming& incoming);

}  // namespace berth::task::edge
