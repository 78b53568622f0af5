#pragma once

#include <string_view>

#include "codec/json.h"
#include "task/edge/modern_edge.h"

/// What was sent to a task or a process that was lost may have run. It may be run again where that
/// does nothing twice: where it reads or lists (mcp::repeat_of), or calls a tool that is listed as one that
/// only reads or is idempotent.
namespace berth::task::edge {

/// As far as is known without asking the server. `params` of the request are those its client sent.
bool is_repeatable(const Shared& shared, mcp::Method method, const std::string& principal,
                   json::Slice params);
/// Of a batch: each of its messages reads or lists.
bool is_repeatable_batch(json::Slice batch);
/// Asks the server for its tools where that decides.
Task<bool> may_run_again(Shared& shared, const Incoming& incoming);

/// 502: a task was lost that may have run it.
Task<void> answer_unknown_end(const Incoming& incoming);

}  // namespace berth::task::edge
