#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "cli/context.h"
#include "http/client.h"
#include "net/tls.h"

namespace berth::cli {

/// An MCP endpoint as a client sees it.
struct McpAddress {
  std::string url;                       ///< http://127.0.0.1:8080/mcp or https://…
  std::shared_ptr<net::TlsContext> tls;  ///< for https
  Secret key;                            ///< sent as Authorization: Bearer; empty: none
};

/// One request of the modern era (2026-07-28): everything it needs travels with it.
struct McpRequest {
  std::string method;
  std::string params = "{}";  ///< JSON object text without _meta
  std::string name;           ///< Mcp-Name: of the tool, or empty
  http::Headers headers;      ///< Mcp-Param-…
  Duration timeout = std::chrono::seconds(300);
  /// Progress and log messages of the request: method and params as JSON text.
  std::function<void(std::string_view method, std::string_view params)> on_notification;
};

/// A small modern MCP client over Streamable HTTP, what `berth call`, `tools` and `doctor` speak with.
class McpClient {
 public:
  virtual ~McpClient() = default;
  /// The result object as JSON text. A JSON-RPC error is internal with its code and message;
  /// unavailable when nobody
  /// listens, permission_denied on 401 and 403, deadline_exceeded, internal when the answer is no MCP.
  virtual Task<Result<std::string>> request(McpRequest request) = 0;
};

/// `can_ask`: whether this client declares that it can ask the user (elicitation).
enum class Asking : unsigned char { no, yes };
Result<std::unique_ptr<McpClient>> make_mcp_client(Context& context, McpAddress address, Asking asking);

}  // namespace berth::cli
