#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "mcp/core.h"
#include "mcp/message.h"

/// Revisions 2024-11-05 … 2025-11-25 at the client edge. Pure.
namespace berth::mcp {

bool is_legacy_version(std::string_view version);

/// The version an initialize is answered with: the requested one when it is ours, else our newest legacy one.
std::string_view negotiate_version(std::string_view requested);

/// What an initialize says about its client.
struct InitializeRequest {
  std::string version;              ///< negotiated
  std::string capabilities = "{}";  ///< JSON text
  std::string client_info = "{}";   ///< JSON text
};
/// -32602 when protocolVersion is missing or no string, capabilities or clientInfo is no object, or
/// capabilities has more than capabilities_bytes_max bytes.
std::expected<InitializeRequest, RpcError> read_initialize(json::Slice params);

/// InitializeResult of a described server; what only the modern era has (extensions) and tasks are left out.
/// `name`: what the server is called where it does not say; legacy clients refuse an answer without a name
/// and a version.
std::string initialize_result(std::string_view version, const ServerDescription& description,
                              std::string_view name);

/// A result for a legacy client of `version`. From a modern server: an outputSchema has an object at its root
/// (object_schema) or is left out, as is structuredContent that is no object; both are illegal before
/// 2026-07-28. What revisions before 2025-11-25 do not know: see older_result.
std::string legacy_result(Method method, std::string result, Era server_era, std::string_view version);

/// An error for a legacy client: a modern server's -32602 with data.uri on resources/read is -32002 there,
/// and the codes of 2026-07-28 that no legacy client knows become -32603.
RpcError legacy_error(RpcError error, Method method, Era server_era);

/// HTTP status of a JSON-RPC error that ends a dispatched legacy request: 429 or 503 where it asks to be
/// tried again (retry_status), otherwise 200.
int legacy_status(const RpcError& error);

/// Params of a server→client request for a client of this version: 2025-11-25 wants an elicitationId in url
/// mode; what older clients know, see older_input_params.
std::string legacy_input_params(const InputRequest& request, std::string_view version,
                                std::string_view elicitation_id);

/// The key of a result's _meta under which Berth tells a client something, and what it tells one whose server
/// process was lost, with its task or alone.
inline constexpr std::string_view notice_key = "berth/notice";
inline constexpr std::string_view lost_state_notice =
    "The server's process that served this caller is gone, and what it kept in memory is lost; this is a new "
    "one.";
/// `result` with `notice` in its _meta.
std::string with_notice(std::string_view result, std::string_view notice);
/// The same as a notifications/message of level warning, and as the params of one.
std::string notice_message(std::string_view notice);
std::string notice_params(std::string_view notice);

/// The error of a request in a session that is not there (any more): HTTP 404, which tells a client to begin
/// anew, whatever the reason.
RpcError session_not_found();

/// A tools/call result that says why it could not be done; prompts and resources get an error instead.
std::string tool_error_result(std::string_view text);

/// A change as a legacy notification.
std::string legacy_notification(const Change& change);

}  // namespace berth::mcp
