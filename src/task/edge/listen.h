#pragma once

#include "task/edge/modern_edge.h"

namespace berth::task::edge {

/// Answers a subscriptions/listen: acknowledges, then sends the changes asked for until the client leaves or
/// the endpoint drains (which ends with the complete result). `incoming` and `caller` outlive it.
Task<void> listen(Shared& shared, const Incoming& incoming, const mcp::Caller& caller);

/// 503 when this task has as many open streams as `limits.listen_streams_max`.
Task<bool> admit_stream(Shared& shared, http::Exchange& exchange, std::string_view id);

}  // namespace berth::task::edge
