#include "cli/mcp_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/log.h"
#include "base/version.h"
#include "cli/verbs.h"
#include "codec/sse.h"
#include "http/outbound.h"
#include "mcp/core.h"
#include "mcp/headers.h"

namespace berth::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t result_bytes_max = 64u << 20;
constexpr Duration connect_timeout = std::chrono::seconds(5);

Error error_of(const json::object& error) {
  const json::value* message = error.if_contains("message");
  const json::value* code = error.if_contains("code");
  std::string text =
      message != nullptr && message->is_string() ? std::string(message->get_string()) : "no message";
  std::string number = code != nullptr ? json::serialize(*code) : "?";
  return Error(ErrorCode::internal, fmt::format("The server answered with error {}: {}", number, text));
}

class Client final : public McpClient {
 public:
  Client(Context& context, McpAddress address, http::UrlAddress url, Asking asking)
      : context_(context),
        address_(std::move(address)),
        url_(std::move(url)),
        asking_(asking),
        outbound_(context.network, {.environment = context.environment, .tls = address_.tls}) {}

  Task<Result<std::string>> request(McpRequest request) override {
    const Result<void> found = co_await find_host();
    if (!found) co_return Failure(found.error());
    ++id_;
    http::ClientRequest message = write(request);
    TimePoint deadline = message.deadline;
    Result<std::unique_ptr<http::ClientResponse>> sent = co_await client_->send(std::move(message));
    if (!sent) co_return Failure(sent.error().within(fmt::format("{} does not answer", address_.url)));
    http::ClientResponse& response = **sent;
    response.set_deadline(deadline);
    std::string_view type = response.head().headers.get("Content-Type").value_or("");
    if (type.starts_with("text/event-stream")) co_return co_await read_stream(response, request);
    Result<std::string> body = co_await response.read_all(result_bytes_max);
    if (!body) co_return Failure(body.error());
    co_return read_answer(response.head().status, *body);
  }

 private:
  /// Once, and again after a failure: a new name may not be known yet.
  Task<Result<void>> find_host() {
    if (client_) co_return Result<void>();
    auto client = co_await outbound_.client_of(url_, connect_timeout);
    if (!client) co_return Failure(client.error());
    client_ = std::move(*client);
    co_return Result<void>();
  }

  http::ClientRequest write(const McpRequest& request) const {
    json::object params = json::parse(request.params).as_object();
    json::object& meta =
        params["_meta"].is_object() ? params["_meta"].get_object() : params["_meta"].emplace_object();
    json::object capabilities;
    if (asking_ == Asking::yes)
      capabilities["elicitation"] = {{"form", json::object()}, {"url", json::object()}};
    meta["io.modelcontextprotocol/protocolVersion"] = mcp::modern_version;
    meta["io.modelcontextprotocol/clientInfo"] = {{"name", "berth"}, {"version", version()}};
    meta["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    if (request.on_notification) meta["progressToken"] = id_;
    http::ClientRequest out;
    out.method = "POST";
    out.target = url_.target;
    out.headers.add("Content-Type", "application/json");
    out.headers.add("Accept", "application/json, text/event-stream");
    out.headers.add("MCP-Protocol-Version", mcp::modern_version);
    out.headers.add("Mcp-Method", request.method);
    if (!request.name.empty()) out.headers.add("Mcp-Name", mcp::encode_header_value(request.name));
    for (const http::Headers::Field& field : request.headers.fields())
      out.headers.add(field.name, field.value);
    if (!address_.key.empty())
      out.headers.add("Authorization", fmt::format("Bearer {}", address_.key.reveal()));
    json::object body{
        {"jsonrpc", "2.0"}, {"id", id_}, {"method", request.method}, {"params", std::move(params)}};
    out.body = json::serialize(body);
    out.deadline = context_.clock.now() + request.timeout;
    return out;
  }

  Task<Result<std::string>> read_stream(http::ClientResponse& response, const McpRequest& request) {
    sse::Parser parser(result_bytes_max);
    std::string buffer(16 * 1024, '\0');
    while (true) {
      Result<std::size_t> got = co_await response.read_some(buffer);
      if (!got) co_return Failure(got.error());
      if (*got == 0) break;
      Result<void> fed = parser.feed(std::string_view(buffer).substr(0, *got));
      if (!fed) co_return Failure(fed.error());
      while (std::optional<sse::Event> event = parser.next()) {
        if (event->data.empty()) continue;
        json::error_code error;
        json::value message = json::parse(event->data, error);
        if (error || !message.is_object())
          co_return fail(ErrorCode::internal, "An event of the answer is no JSON-RPC message.");
        const json::value* method = message.get_object().if_contains("method");
        if (method == nullptr) co_return read_answer(response.head().status, event->data);
        const json::value* params = message.get_object().if_contains("params");
        if (request.on_notification && method->is_string()) {
          request.on_notification(method->get_string(), params == nullptr ? "{}" : json::serialize(*params));
        }
      }
    }
    co_return fail(ErrorCode::internal,
                   "The connection ended before the call was answered; the task that ran it may be gone. "
                   "Whether the call took effect is not known.");
  }

  Result<std::string> read_answer(int status, const std::string& body) const {
    json::error_code parse_error;
    json::value value = json::parse(body, parse_error);
    const json::object* message = parse_error ? nullptr : value.if_object();
    const json::value* error = message == nullptr ? nullptr : message->if_contains("error");
    if (error != nullptr && error->is_object()) return Failure(error_of(error->get_object()));
    if (status == 401 || status == 403) {
      return fail(ErrorCode::permission_denied,
                  fmt::format("{} answered {} {}; call with a key of auth.keys.", address_.url, status,
                              http::reason_phrase(status)));
    }
    const json::value* result = message == nullptr ? nullptr : message->if_contains("result");
    if (result != nullptr && result->is_object()) return json::serialize(*result);
    return fail(ErrorCode::internal, fmt::format("{} answered {} {} and no MCP message.", address_.url,
                                                 status, http::reason_phrase(status)));
  }

  Context& context_;
  McpAddress address_;
  http::UrlAddress url_;
  Asking asking_;
  std::int64_t id_ = 0;
  http::Outbound outbound_;
  std::shared_ptr<http::Client> client_;
};

}  // namespace

Result<std::unique_ptr<McpClient>> make_mcp_client(Context& context, McpAddress address, Asking asking) {
  Result<http::UrlAddress> url = http::parse_url(address.url);
  if (!url) return Failure(url.error());
  return std::make_unique<Client>(context, std::move(address), std::move(*url), asking);
}

}  // namespace berth::cli
