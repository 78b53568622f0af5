#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "mcp/core.h"
#include "mcp/x_mcp_header.h"
#include "task/host/wire.h"

/// What Streamable HTTP adds to the messages, pure: headers, statuses, era verdicts.
namespace berth::task::host {

/// Fields every POST has.
void add_post_headers(http::Headers& headers);
/// MCP-Protocol-Version, Mcp-Method, and Mcp-Name where the method has one (2026-07-28, Streamable HTTP).
void add_modern_headers(http::Headers& headers, std::string_view method, std::string_view params);
/// traceparent (W3C Trace Context), when the text is one: it may be a client's.
void add_trace_header(http::Headers& headers, std::string_view trace_parent);

/// What an answer to server/discover says about the upstream's era. unavailable: no evidence (401, 403, 429,
/// 5xx); the error says why. `body` may be anything.
Result<mcp::Era> judge_discover(int status, std::string_view body);

/// How a call ends whose POST was answered with this status (not 200) and body: a JSON-RPC error in the body
/// is passed on, 429 and 503 with Retry-After become -32000 with retryAfter, the rest is -32603 with a
/// sentence.
mcp::Outcome status_outcome(int status, const http::Headers& headers, std::string_view body,
                            std::string_view upstream);
/// -32022 of a server that lists 2026-07-28 all the same: it has run nothing, and is asked once more.
bool offers_own_version(const mcp::RpcError& error);
/// The JSON-RPC error in a body, if there is one.
std::optional<mcp::RpcError> body_error(std::string_view body);
/// Whether a request may have been refused because its session is gone: 404, or the 400 that many servers
/// send instead, with -32000, -32001 or no JSON-RPC error at all. It was not executed.
bool is_session_lost(int status, std::string_view body);
/// Whether who answers initialize so may speak HTTP+SSE (2025-03-26, Backwards Compatibility).
bool may_speak_http_sse(int status);
/// Whether a GET that was answered so may be answered with a stream when it is asked again.
bool may_stream_later(int status);

/// Tools whose arguments must be mirrored in headers, learned from a tools/list result.
struct ToolHeaderParams {
  std::string tool;
  std::vector<mcp::HeaderParam> params;
};
std::vector<ToolHeaderParams> read_tool_header_params(json::Slice tools_list_result);

}  // namespace berth::task::host
