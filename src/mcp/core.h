#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

/// The one message model inside Berth: the modern (2026-07-28) one. Client edges turn either era's requests
/// into a Call, server edges turn a Call into what their server speaks; any client works with any server as
/// the composition of two adapters.
namespace berth::mcp {

inline constexpr std::string_view modern_version = "2026-07-28";
inline constexpr std::string_view latest_legacy_version = "2025-11-25";
/// Newest first.
inline constexpr std::string_view legacy_versions[] = {"2025-11-25", "2025-06-18", "2025-03-26",
                                                       "2024-11-05"};

enum class Era : std::uint8_t { legacy, modern };

/// JSON-RPC error object; `data` is JSON text or empty.
struct RpcError {
  int code = -32603;
  std::string message;
  std::string data;
  bool operator==(const RpcError&) const = default;
};

/// Codes of JSON-RPC 2.0 §5.1 and MCP 2026-07-28 (-32020…-32022).
namespace code {
inline constexpr int parse_error = -32700;
inline constexpr int invalid_request = -32600;
inline constexpr int method_not_found = -32601;
inline constexpr int invalid_params = -32602;
inline constexpr int internal_error = -32603;
inline constexpr int server_error = -32000;
inline constexpr int session_not_found = -32001;
inline constexpr int resource_not_found = -32002;  ///< legacy only
inline constexpr int header_mismatch = -32020;
inline constexpr int missing_capability = -32021;
inline constexpr int unsupported_version = -32022;
inline constexpr int url_elicitation_required = -32042;  ///< 2025-11-25 only
}  // namespace code

/// Severity of RFC 5424 as MCP names it, least to most severe.
enum class LoggingLevel : std::uint8_t { debug, info, notice, warning, error, critical, alert, emergency };
std::optional<LoggingLevel> parse_logging_level(std::string_view text);
std::string_view to_string(LoggingLevel level);

/// Who calls, and what its client can do. A value; compares so that children can be pooled by it.
struct Caller {
  std::string principal = "anonymous";  ///< authenticated subject
  std::string session;                  ///< key of the legacy session; empty for modern callers
  Era era = Era::modern;
  std::string protocol_version{modern_version};
  std::string capabilities = "{}";  ///< ClientCapabilities, JSON text
  std::string client_info = "{}";   ///< Implementation, JSON text
};

/// What a server asks of the user through the client (MRTR `inputRequests`, or a legacy server→client
/// request).
struct InputRequest {
  std::string key;     ///< unique within the round
  std::string method;  ///< elicitation/create, sampling/createMessage or roots/list
  std::string params;  ///< JSON text, or empty
  bool operator==(const InputRequest&) const = default;
};

/// One request on its way to a server. The views are valid until the outcome has been observed.
struct Call {
  const Caller* caller = nullptr;
  std::string_view method;
  /// JSON object text, or empty. `_meta` holds vendor keys only: the reserved io.modelcontextprotocol/* keys,
  /// progressToken, and the members inputResponses and requestState are taken out into the fields below.
  std::string_view params;
  bool wants_progress = false;
  std::optional<LoggingLevel> log_level;  ///< least severe wanted; nullopt: no log messages
  std::string_view input_responses;       ///< JSON object text, or empty: a first round
  std::string_view request_state;         ///< what the host gave as InputRequired::state (already unsealed)
  std::string_view trace_parent;          ///< W3C traceparent of the request, or empty
  TimePoint deadline{};
};

/// A message about a running call, toward its client.
struct Notification {
  std::string method;  ///< notifications/progress or notifications/message (or a vendor's)
  std::string params;  ///< JSON object text; for progress without progressToken (the client edge adds it)
  bool operator==(const Notification&) const = default;
};

struct InputRequired {
  std::vector<InputRequest> requests;  ///< may be empty when only `state` asks for another round
  std::string state;                   ///< opaque; the client edge seals it before it leaves
  /// True: the call is parked in this task and only this task can go on with it.
  bool owned = false;
};

struct CacheHint {
  std::int64_t ttl_ms = 0;
  bool is_public = false;
};

/// How a call ended, era-neutral: resultType, ttlMs and cacheScope are fields here, not members of `result`.
struct Outcome {
  enum class Kind : std::uint8_t { result, error, input_required };
  Kind kind = Kind::result;
  std::string result = "{}";  ///< JSON object text
  RpcError error;
  InputRequired input;
  std::optional<CacheHint> cache;  ///< as the server said; nullopt: it did not say
  /// Which of the host's processes ran it; 0: none, or it makes no difference.
  std::uint64_t process = 0;
  /// An error because that process was lost under the call, which may have run.
  bool is_lost = false;

  static Outcome success(std::string result);
  static Outcome failure(RpcError error);
  static Outcome failure(int code, std::string message, std::string data = {});
  static Outcome lost(RpcError error);  ///< a failure with is_lost
  static Outcome ask(InputRequired input);
};

/// Receives what happens to one call, on the event loop. on_notification any number of times, then on_outcome
/// exactly once; both may already happen inside ServerHost::start. After destroying the ActiveCall neither
/// does.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void on_notification(Notification notification) = 0;
  virtual void on_outcome(Outcome outcome) = 0;
};

/// A call under way. Destroying it before its outcome cancels it (notifications/cancelled to the server).
class ActiveCall {
 public:
  virtual ~ActiveCall() = default;
  /// The client's own words for cancelling it, which the server is told when this is destroyed.
  virtual void set_cancel_reason(std::string_view) {}
};

/// What a server is: its DiscoverResult or InitializeResult in era-neutral form.
struct ServerDescription {
  Era era = Era::legacy;            ///< what the hosted server speaks
  std::string capabilities = "{}";  ///< ServerCapabilities, JSON text
  std::string server_info = "{}";   ///< Implementation, JSON text
  std::string instructions;         ///< empty: none
  std::optional<CacheHint> cache;
};

/// Something that changed at the server, for subscriptions/listen and legacy streams; or, as `message`, what
/// it says of itself outside every call, for the legacy sessions on this task that it serves.
struct Change {
  enum class Kind : std::uint8_t { tools_list, prompts_list, resources_list, resource_updated, message };
  Kind kind = Kind::tools_list;
  std::string uri;         ///< resource_updated only
  std::string principal;   ///< only for callers with this principal; empty: for all
  std::string session{};   ///< only for this legacy session (Caller::session); empty: for all
  Notification message{};  ///< `message` only: notifications/message, or none of MCP's own
  bool operator==(const Change&) const = default;
};

/// The legacy notification method of a change, e.g. "notifications/tools/list_changed"; not of a `message`.
std::string_view notification_method(Change::Kind kind);

}  // namespace berth::mcp
