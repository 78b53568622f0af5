#include "task/host/url_wire.h"

#include <fmt/format.h>

#include <charconv>

#include "base/utf8.h"
#include "mcp/headers.h"
#include "monitoring/trace.h"

namespace berth::task::host {

namespace {

bool is_modern_error(int code) {
  return code <= mcp::code::header_mismatch && code >= mcp::code::unsupported_version;
}

bool lists_modern(json::Slice versions) {
  for (json::Elements each(versions); each.next();) {
    if (each.value().as_plain_string() == mcp::modern_version) return true;
  }
  return false;
}

std::optional<std::int64_t> retry_after(const http::Headers& headers) {
  const auto value = headers.get("Retry-After");
  if (!value) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), seconds);
  if (error != std::errc{} || seconds < 0) return std::nullopt;
  return seconds;
}

constexpr std::size_t words_bytes_max = 300;

/// What the body of a refusal says, as a sentence to append; empty for pages and for what is no text.
std::string own_words(std::string_view body) {
  std::string text;
  if (const auto error = body_error(body)) {
    text = error->message;
  } else if (const auto parsed = json::parse(body); parsed && parsed->is(json::Kind::object)) {
    // OAuth (RFC 6750) and most APIs put it under one of these.
    for (const char* const name : {"error_description", "message", "error", "detail"}) {
      if (text.empty()) text = parsed->find(name).as_string().value_or("");
    }
  } else if (!body.starts_with('<')) {
    text = body;
  }
  text = replace_invalid_utf8(cut_utf8(text.substr(0, text.find_first_of("\r\n")), words_bytes_max));
  return text.empty() ? "" : fmt::format(" It said: {}", text);
}

}  // namespace

void add_post_headers(http::Headers& headers) {
  headers.set("Content-Type", "application/json");
  headers.set("Accept", "application/json, text/event-stream");
}

void add_modern_headers(http::Headers& headers, std::string_view method, std::string_view params) {
  headers.set("MCP-Protocol-Version", mcp::modern_version);
  headers.set("Mcp-Method", mcp::encode_header_value(method));
  std::string_view member;
  if (method == "tools/call" || method == "prompts/get") member = "name";
  if (method == "resources/read") member = "uri";
  if (member.empty() || params.empty()) return;
  const auto name = json::Slice::trusted(params).find(member).as_string();
  if (name) headers.set("Mcp-Name", mcp::encode_header_value(*name));
}

void add_trace_header(http::Headers& headers, std::string_view trace_parent) {
  if (const auto context = monitoring::parse_traceparent(trace_parent)) {
    headers.set("traceparent",
                monitoring::to_traceparent(context->trace, context->span, context->sampled.value_or(false)));
  }
}

Result<mcp::Era> judge_discover(int status, std::string_view body) {
  if (status == 401 || status == 403) {
    return fail(ErrorCode::permission_denied,
                fmt::format("The upstream refused Berth with HTTP {}; set its credentials under `headers`.{}",
                            status, own_words(body)));
  }
  if (status == 408 || status == 429 || status >= 500) {
    return fail(ErrorCode::unavailable,
                fmt::format("The upstream answered HTTP {}.{}", status, own_words(body)));
  }
  const Result<json::Slice> parsed = json::parse(body);
  const Message message = parsed ? read_message(*parsed) : Message{};
  if (status == 200 && message.kind == Message::Kind::result) {
    return read_discover_result(message.body) ? mcp::Era::modern : mcp::Era::legacy;
  }
  if (message.kind != Message::Kind::error) return mcp::Era::legacy;
  const mcp::RpcError error = read_error(message.body);
  if (!is_modern_error(error.code)) return mcp::Era::legacy;
  if (error.code != mcp::code::unsupported_version) return mcp::Era::modern;
  return lists_modern(message.body.find("data").find("supported")) ? mcp::Era::modern : mcp::Era::legacy;
}

bool offers_own_version(const mcp::RpcError& error) {
  return error.code == mcp::code::unsupported_version &&
         lists_modern(json::Slice::trusted(error.data).find("supported"));
}

std::optional<mcp::RpcError> body_error(std::string_view body) {
  const Result<json::Slice> parsed = json::parse(body);
  if (!parsed) return std::nullopt;
  const json::Slice error = parsed->find("error");
  if (!error.is(json::Kind::object) || !error.find("code").as_int()) return std::nullopt;
  return read_error(error);
}

mcp::Outcome status_outcome(int status, const http::Headers& headers, std::string_view body,
                            std::string_view upstream) {
  if (auto error = body_error(body); error && status < 500) return mcp::Outcome::failure(std::move(*error));
  if (status == 429 || status == 503) {
    return mcp::Outcome::failure(
        mcp::code::server_error,
        fmt::format("The upstream {} is busy (HTTP {}); try again later.", upstream, status),
        fmt::format(R"({{"retryAfter":{}}})", retry_after(headers).value_or(1)));
  }
  if (status == 401 || status == 403) {
    return mcp::Outcome::failure(
        mcp::code::internal_error,
        fmt::format("The upstream {} refused Berth with HTTP {}; set its credentials under `headers`.{}",
                    upstream, status, own_words(body)));
  }
  return mcp::Outcome::failure(mcp::code::internal_error,
                               fmt::format("The upstream {} answered HTTP {} where a result was due.{}",
                                           upstream, status, own_words(body)));
}

bool is_session_lost(int status, std::string_view body) {
  const auto error = body_error(body);
  if (status == 404) return !error || error->code != mcp::code::method_not_found;
  if (status != 400) return false;
  // Servers made after the SDK's examples answer 400 in text: "Invalid or missing session ID".
  return !error || error->code == mcp::code::server_error || error->code == mcp::code::session_not_found;
}

bool may_speak_http_sse(int status) { return status == 400 || status == 404 || status == 405; }

bool may_stream_later(int status) { return status == 408 || status == 429 || status >= 500; }

std::vector<ToolHeaderParams> read_tool_header_params(json::Slice tools_list_result) {
  std::vector<ToolHeaderParams> all;
  for (json::Elements tools(tools_list_result.find("tools")); tools.next();) {
    const auto name = tools.value().find("name").as_string();
    auto params = mcp::read_header_params(tools.value().find("inputSchema"));
    if (name && params && !params->empty()) all.push_back({*name, std::move(*params)});
  }
  return all;
}

}  // namespace berth::task::host
