#pragma once

#include <expected>

#include "codec/json.h"
#include "mcp/headers.h"
#include "mcp/message.h"

/// Which era a request belongs to, from its body first (the header is a cross-check only).
namespace berth::mcp {

/// A request that is answered at the edge: the error and the HTTP status it travels with.
struct Refusal {
  int http_status = 400;
  RpcError error;
};

/// Whether a revision is of the modern era: 2026-07-28 or a later date.
bool is_modern_version(std::string_view version);

/// `initialize` is legacy unless it carries a whole modern envelope; a protocolVersion key in params._meta is
/// a modern claim and never falls back; without a claim a request is legacy, except that a modern
/// MCP-Protocol-Version header without a claim is refused with -32602. A notification without a claim follows
/// its header; a response is legacy.
std::expected<Era, Refusal> classify(const Message& message, const RequestParts& parts,
                                     const McpHeaders& headers);

/// JSON-RPC batches existed in 2025-03-26 only. Refused with -32600: an empty one, one with an element that
/// is not a message, and one with an element of the modern era.
std::expected<void, Refusal> check_batch(json::Slice array);

}  // namespace berth::mcp
