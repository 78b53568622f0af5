#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "codec/json.h"
#include "mcp/core.h"
#include "task/host/capabilities.h"

/// The mapping between Berth's message model and what servers speak, shared by every transport: requests are
/// spliced from slices, answers are read by slices. Both eras.
namespace berth::task::host {

/// One JSON-RPC 2.0 message, as slices of the text it came in.
struct Message {
  enum class Kind : std::uint8_t { request, notification, result, error, invalid };
  Kind kind = Kind::invalid;
  json::Slice id;
  std::string_view method;  ///< decoded; requests and notifications
  json::Slice params;
  json::Slice body;                                   ///< `result` or `error`
  std::shared_ptr<const std::string> decoded_method;  ///< keeps `method` when it was written with escapes
};
/// Reads an object in one pass. `invalid`: not a JSON-RPC message. Of a `result` and an `error` one may be
/// null, which then counts as absent.
Message read_message(json::Slice object);

/// What a line that is no message still tells of itself, read without trust in its grammar.
struct BrokenLine {
  std::optional<std::int64_t> number;  ///< the request of ours that its `id` names
  bool answers = false;                ///< has other marks of an answer
  bool asks = false;                   ///< has a `method`, so that its id is none of ours
};
BrokenLine read_broken_line(std::string_view line);

/// The number of ours that an id or a token means: servers return numbers as text too.
std::optional<std::int64_t> own_number(json::Slice value);
/// Whether two ids mean the same, however they are written.
bool is_same_id(json::Slice one, json::Slice other);

/// Appends one request, without a line end. `params` is JSON object text or empty; `meta_members` and
/// `param_members` are members as text ("\"a\":1,\"b\":2") put into params._meta and into params. Line breaks
/// between tokens become spaces, so that one message is one line.
void append_request(std::string& out, std::int64_t id, std::string_view method, std::string_view params,
                    std::string_view meta_members, std::string_view param_members);
/// Appends one notification; `params` may be empty.
void append_notification(std::string& out, std::string_view method, std::string_view params);
/// Appends the answer to a request of the server's with that id (as it was written).
void append_result(std::string& out, std::string_view id, std::string_view result);
void append_error(std::string& out, std::string_view id, const mcp::RpcError& error);
/// The reason of a cancellation whose client gave none.
inline constexpr std::string_view client_left = "The client went away";
/// Appends notifications/cancelled for our request `id`.
void append_cancelled(std::string& out, std::int64_t id, std::string_view reason);

/// Members of `_meta` for a call to a legacy server: progressToken when progress is wanted, traceparent.
void append_legacy_meta(std::string& members, const mcp::Call& call, std::int64_t id);
/// The envelope of 2026-07-28: version, client, capabilities, and logLevel, progressToken, traceparent when
/// wanted.
void append_modern_meta(std::string& members, const mcp::Call& call, std::int64_t id);
/// The same for requests of Berth's own (server/discover, subscriptions/listen).
std::string own_modern_meta();
/// `inputResponses` and `requestState` of a further round, as members; empty on a first round.
std::string input_members(const mcp::Call& call);
/// Params of initialize for the client of a pool.
std::string initialize_params(const CapabilitySet& capabilities, std::string_view client_info);

/// The members of `notifications` in subscriptions/listen: the lists that the server announces, and those
/// resources; empty when there is nothing to listen for.
std::string listen_filter(std::string_view capabilities, const std::set<std::string>& uris);

/// Whether the server may ask the user while it works on such a request.
bool may_ask(std::string_view method);

mcp::RpcError read_error(json::Slice error);
/// "The server refused METHOD: …", as one sentence.
std::string refusal_sentence(std::string_view method, const mcp::RpcError& error);
/// How a legacy server's answer ends a call.
mcp::Outcome read_legacy_result(json::Slice result);
/// -32042 of 2025-11-25 becomes input_required with `state` state_again (the call is sent anew after it).
mcp::Outcome read_legacy_error(json::Slice error, const CapabilitySet& capabilities);
/// Lifts resultType, ttlMs and cacheScope out; input_required is relayed with its requestState as `state`.
mcp::Outcome read_modern_result(json::Slice result);
inline constexpr std::string_view state_again = "again";

/// Whether an error refuses a version and lists 2026-07-28 among those the server speaks.
bool names_modern(json::Slice error);
/// InitializeResult; invalid_argument when it is not one or names a revision unknown to Berth.
Result<mcp::ServerDescription> read_initialize_result(json::Slice result);
/// DiscoverResult; invalid_argument when it is not one or does not support 2026-07-28.
Result<mcp::ServerDescription> read_discover_result(json::Slice result);

/// An ask of a legacy server in the form of a modern InputRequest: without `task` and `elicitationId`.
mcp::InputRequest input_request(std::string key, std::string_view method, json::Slice params);
/// Whether it asks the user, or the client, for something.
bool is_question(std::string_view method);
/// The answer a server gets when nobody can be asked: a cancelled elicitation, an error for sampling, roots
/// and unknown methods, an empty result for ping.
void append_unasked_answer(std::string& out, const Message& request);
/// The answer to a question that the client has not declared the capability for (ClientCapabilities, JSON
/// text).
void append_undeclared_answer(std::string& out, std::string_view id, std::string_view capabilities);
/// A call that failed after such an answer failed for want of the capabilities: -32021.
void blame_undeclared(mcp::Outcome& outcome, std::string_view capabilities);
/// An answer of the client: `response` is a result, or {"error": {code, message}} when the client refused.
void append_input_response(std::string& out, std::string_view id, json::Slice response);

/// The change a notification announces, if it announces one (principal left empty).
std::optional<mcp::Change> read_change(const Message& notification);
/// progressToken of notifications/progress, when it is one of ours.
std::optional<std::int64_t> progress_token(json::Slice params);
mcp::Notification progress_notification(json::Slice params);
/// The level of notifications/message.
std::optional<mcp::LoggingLevel> log_level(json::Slice params);

}  // namespace berth::task::host
