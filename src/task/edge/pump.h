#pragma once

#include <memory>

#include "task/edge/event_stream.h"
#include "task/edge/modern_edge.h"
#include "task/edge/session.h"

namespace berth::task::edge {

/// Answers a legacy request with what `stream` brings: as plain JSON when nothing but answers came of it,
/// else as server-sent events. `session` is the stream's; null: its client has none. Returns when the
/// stream has ended, the client has left (a stream with ids goes on without it; one without is closed),
/// another reader took over, or the endpoint drains.
Task<void> pump(Shared& shared, http::Exchange& exchange, std::shared_ptr<EventStream> stream,
                StreamReader& reader, const Session* session, bool is_batch);

}  // namespace berth::task::edge
