#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "mcp/classify.h"
#include "mcp/core.h"
#include "mcp/headers.h"
#include "mcp/message.h"

/// Revision 2026-07-28 at the client edge: checking requests and writing answers. Pure.
namespace berth::mcp {

/// A modern request that passed every check that needs no server. Owns what a Call borrows.
struct ModernRequest {
  std::string protocol_version;
  std::string capabilities;
  std::string client_info = "{}";
  std::optional<LoggingLevel> log_level;
  std::string progress_token;   ///< JSON text, or empty
  std::string params;           ///< stripped (see strip_params)
  std::string input_responses;  ///< JSON object text, or empty
  std::string request_state;    ///< still sealed, or empty
  std::string trace_parent;
};

/// The strict ladder, in this order: envelope keys and types (-32602), MCP-Protocol-Version against the body
/// (-32020), Mcp-Method against the body (-32020), the version itself (-32022), required headers (-32020),
/// Mcp-Name against the body (-32020), methods that 2026-07-28 removed (-32601 with 404), the retry members'
/// types (-32602).
std::expected<ModernRequest, Refusal> read_modern_request(const Message& message, const RequestParts& parts,
                                                          const McpHeaders& headers);

/// The same for a posted notification: only what is there is compared.
std::expected<void, Refusal> check_modern_notification(const Message& message, const RequestParts& parts,
                                                       const McpHeaders& headers);

/// HTTP status of a JSON-RPC error that ends a dispatched modern request: 404 for -32601 to a method nobody
/// knows, 400 for -32021, 429 or 503 where it asks to be tried again (retry_status), otherwise 200: the error
/// is the payload.
/// A server's -32601 to tools/call means a tool it has not; clients take a 404 there for a lost endpoint.
int modern_status(const RpcError& error, Method method);

/// Appends a complete result: with resultType, the caching hints where the method carries them (default 0 and
/// private), and _meta.serverInfo; what the server put into _meta stays. `server_info` is JSON text, or
/// empty: unknown.
void append_modern_result(std::string& out, Method method, std::string_view result,
                          const std::string& server_info, const std::optional<CacheHint>& cache);

/// An input_required result. `request_state` is the sealed state; empty: none.
std::string modern_input_required(const std::vector<InputRequest>& requests, std::string_view request_state,
                                  const std::string& server_info);

/// The DiscoverResult of a described server: 2026-07-28 alone is supported (older revisions are reached
/// through initialize); the legacy tasks capability is left out.
std::string discover_result(const ServerDescription& description);

/// A server's error in modern terms: on resources/read, -32002 becomes -32602, and a -32602 without data gets
/// data.uri.
RpcError modern_error(RpcError error, Method method, const RequestParts& parts);

/// resources/read of something that is not there: some servers answer with empty contents, which 2026-07-28
/// forbids.
bool is_missing_resource(Method method, std::string_view result);
RpcError missing_resource_error(const RequestParts& parts);

/// What a client must have declared to be asked `request`, as a ClientCapabilities object, e.g.
/// {"sampling":{}}. Empty when `capabilities` (JSON text) already covers it.
std::string missing_capability(const InputRequest& request, std::string_view capabilities);
RpcError missing_capability_error(std::string_view required_capabilities);

/// What a subscriptions/listen asks for.
struct ListenFilter {
  bool tools = false;
  bool prompts = false;
  bool resources = false;
  std::vector<std::string> uris;
  bool wants(const Change& change) const;
};
/// -32602 when `notifications` is missing or of a wrong type, or names more than `uris_max` resources.
std::expected<ListenFilter, RpcError> read_listen_filter(json::Slice params, std::size_t uris_max);
/// The part of `asked` that a server with these capabilities (JSON text) can honour.
ListenFilter honoured(const ListenFilter& asked, std::string_view capabilities);

/// Messages of a listen stream; each carries `subscription_id` (the JSON text of the request's id).
std::string listen_acknowledged(const ListenFilter& filter, std::string_view subscription_id);
std::string listen_notification(const Change& change, std::string_view subscription_id);
std::string listen_complete(std::string_view subscription_id);

/// notifications/progress with the caller's own token put back.
std::string progress_params(std::string_view params, std::string_view progress_token);

}  // namespace berth::mcp
