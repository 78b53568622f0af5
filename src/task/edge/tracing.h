#pragma once

#include <string>
#include <string_view>

#include "mcp/message.h"
#include "task/endpoint.h"

namespace berth::task::edge {

/// Tells the log and the trace what the request turned out to be. The trace in the message's own _meta counts
/// only where the client's request arrived: what a sister forwards belongs to the sister's span.
void note(const RequestContext& context, std::string_view method, const mcp::RequestParts& parts);

/// What a server is told as its caller's traceparent: the request's span. Empty when there is none.
std::string own_trace_parent(const RequestContext& context);

}  // namespace berth::task::edge
