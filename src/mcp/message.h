#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "codec/json.h"
#include "mcp/core.h"

/// JSON-RPC 2.0 messages as MCP restricts them: ids are strings or integers, params are objects.
namespace berth::mcp {

/// The methods of any revision that Berth itself knows; everything else is handed on untouched.
enum class Method : std::uint8_t {
  other,
  initialize,
  ping,
  discover,
  listen,
  tools_list,
  tools_call,
  prompts_list,
  prompts_get,
  resources_list,
  resources_templates_list,
  resources_read,
  resources_subscribe,
  resources_unsubscribe,
  completion_complete,
  logging_set_level,
  tasks_get,
  tasks_update,
  tasks_cancel,
  initialized,
  cancelled,
  progress,
  roots_list_changed,
};
Method parse_method(std::string_view name);
/// Whether a request may be run again of which nobody knows how its first run ended.
enum class Repeat : std::uint8_t {
  always,        ///< it reads or lists, or leads to the same state
  as_annotated,  ///< a tool's, if its annotations say that it only reads or is idempotent
  never,
};
Repeat repeat_of(Method method);
/// Whether a notification is none of MCP's own (of any revision), so that it is handed on as it is.
bool is_custom_notification(std::string_view method);

/// One message. Views borrow the text it was read from; cheap to copy.
struct Message {
  enum class Kind : std::uint8_t { request, notification, response };
  Kind kind = Kind::request;
  std::string_view id;      ///< JSON text as received, e.g. `7` or `"a"`; empty for notifications
  std::string_view method;  ///< decoded; empty for responses
  Method known = Method::other;
  json::Slice params;                                 ///< an object, or does not exist
  json::Slice result;                                 ///< responses
  json::Slice error;                                  ///< responses
  std::shared_ptr<const std::string> decoded_method;  ///< keeps `method` when it was written with escapes
};

/// Why a value is not a message. `id` is its id as far as one could be made out, else empty.
struct MessageProblem {
  RpcError error;
  std::string_view id;
};

/// Refused with -32600: not an object, another version than "2.0", an id that is null, a fraction, a boolean
/// or a container, a method that is not a string, params that are not an object, a response with both or
/// neither of result and error. `params: null` counts as absent.
std::expected<Message, MessageProblem> read_message(json::Slice value);

/// -32700 for a text that json::parse has refused.
RpcError parse_error(const Error& error);

/// Seconds after which to try again, for the way a server host reports a reached limit: -32000 with data
/// {"retryAfter": seconds}. Edges answer it with HTTP 429 and Retry-After.
std::optional<std::int64_t> retry_after_s(const RpcError& error);

/// `id` is JSON text; empty is written as null.
void append_result(std::string& out, std::string_view id, std::string_view result);
std::string write_result(std::string_view id, std::string_view result);
std::string write_error(std::string_view id, const RpcError& error);
/// -32602; `message` says what is wrong.
std::unexpected<RpcError> invalid_params(std::string_view message);
/// Appends a member to an object that is being written: `text` is the member, or where it begins.
void append_member(std::string& out, std::string_view text);
/// The error of a call that was handed over and whose end nobody saw; `what` is the sentence that says why.
/// Always in the same words, so that whoever reads them knows not to call again unlooked.
RpcError unknown_end(std::string_view what);
/// The error of a call that was not run, because what its caller had in the server's process was lost.
RpcError state_lost();
/// The error of a call that was not run because its server is down or is stopping; HTTP 503.
RpcError unavailable(std::string message, std::int64_t retry_after_s = 1);
/// HTTP status of an error that asks to be tried again (retry_after_s): 503 when its server is not there
/// (unavailable), 429 for a reached limit. Nothing for any other.
std::optional<int> retry_status(const RpcError& error);
/// The error of an answer to a server's question whose call has ended, or was answered before.
RpcError undeliverable_answer();
/// `params` is JSON text, or empty: left out.
std::string write_notification(std::string_view method, std::string_view params);
std::string write_request(std::string_view id, std::string_view method, std::string_view params);

/// The members of a request's params that Berth looks at, found in one pass. Slices that do not exist:
/// absent.
struct RequestParts {
  json::Slice meta;  ///< params._meta when it is an object
  json::Slice name;
  json::Slice uri;
  json::Slice arguments;
  json::Slice task_id;
  json::Slice input_responses;
  json::Slice request_state;
  // members of _meta
  json::Slice protocol_version;
  json::Slice client_capabilities;
  json::Slice client_info;
  json::Slice log_level;
  json::Slice progress_token;
  json::Slice trace_parent;
  bool has_other_meta = false;  ///< _meta holds keys besides the reserved ones (traceparent counts as other)
};
RequestParts split_params(json::Slice params);

/// `params` as a server gets them: without inputResponses and requestState, and without the members of _meta
/// that belong to the hop (io.modelcontextprotocol/*, progressToken). Empty text stays empty.
std::string strip_params(json::Slice params, const RequestParts& parts);

/// Keys of params._meta (2026-07-28, basic: _meta).
namespace meta_key {
inline constexpr std::string_view reserved_prefix = "io.modelcontextprotocol/";
inline constexpr std::string_view protocol_version = "io.modelcontextprotocol/protocolVersion";
inline constexpr std::string_view client_capabilities = "io.modelcontextprotocol/clientCapabilities";
inline constexpr std::string_view client_info = "io.modelcontextprotocol/clientInfo";
inline constexpr std::string_view log_level = "io.modelcontextprotocol/logLevel";
inline constexpr std::string_view server_info = "io.modelcontextprotocol/serverInfo";
inline constexpr std::string_view subscription_id = "io.modelcontextprotocol/subscriptionId";
}  // namespace meta_key

/// What is kept of a client: small, because sessions and streams keep it for hours.
inline constexpr std::size_t capabilities_bytes_max = 16 * 1024;  ///< longer ones are refused with -32602
inline constexpr std::size_t client_info_bytes_max = 4 * 1024;
inline constexpr std::size_t watched_uri_bytes_max = 8 * 1024;     ///< one URI of a subscription
inline constexpr std::size_t watched_uris_bytes_max = 256 * 1024;  ///< of one session or stream, together

/// A client's Implementation (an object) as it is kept: above client_info_bytes_max only name, title and
/// version are, each cut to 256 bytes; icons and descriptions are left out.
std::string kept_client_info(json::Slice client_info);

}  // namespace berth::mcp
