#pragma once

#include <string>
#include <string_view>

#include "base/memory_account.h"
#include "base/result.h"
#include "http/service.h"
#include "mcp/classify.h"

namespace berth::task::edge {

/// A JSON-RPC answer as a whole HTTP answer.
Task<void> answer_json(http::Exchange& exchange, int status, std::string body);
/// An error with its status; adds Retry-After where the error or the status asks for it. `id` is JSON text,
/// or empty: null.
Task<void> answer_error(http::Exchange& exchange, int status, std::string_view id, mcp::RpcError error);
Task<void> answer_refusal(http::Exchange& exchange, std::string_view id, mcp::Refusal refusal);
/// A status with no body (202, 204).
Task<void> answer_empty(http::Exchange& exchange, int status);
/// 405 naming what is allowed.
Task<void> answer_not_allowed(http::Exchange& exchange, std::string_view allowed);

/// A failure of the host or of reading a body as an HTTP answer: resource_exhausted 429, everything else 503.
mcp::Refusal refusal_of_host(const Error& error);
/// 413, 408 or 400.
mcp::Refusal refusal_of_body(const Error& error);

/// 429: this caller holds as much of the task's memory as it may.
mcp::Refusal refusal_of_memory(const MemoryAccount::Charge& memory);
/// The end of a call whose answer of `bytes` cannot be kept until its client has read it.
mcp::RpcError unkept_answer(std::size_t bytes, const MemoryAccount::Charge& memory);

/// Head of an event stream: never cached, never buffered by a proxy.
http::ResponseHead event_stream_head();

}  // namespace berth::task::edge
