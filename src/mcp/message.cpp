#include "mcp/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/utf8.h"

namespace berth::mcp {
namespace {

constexpr std::pair<std::string_view, Method> known_methods[] = {
    {"tools/call", Method::tools_call},
    {"tools/list", Method::tools_list},
    {"prompts/get", Method::prompts_get},
    {"prompts/list", Method::prompts_list},
    {"resources/read", Method::resources_read},
    {"resources/list", Method::resources_list},
    {"resources/templates/list", Method::resources_templates_list},
    {"resources/subscribe", Method::resources_subscribe},
    {"resources/unsubscribe", Method::resources_unsubscribe},
    {"completion/complete", Method::completion_complete},
    {"server/discover", Method::discover},
    {"subscriptions/listen", Method::listen},
    {"initialize", Method::initialize},
    {"ping", Method::ping},
    {"logging/setLevel", Method::logging_set_level},
    {"tasks/get", Method::tasks_get},
    {"tasks/update", Method::tasks_update},
    {"tasks/cancel", Method::tasks_cancel},
    {"notifications/initialized", Method::initialized},
    {"notifications/cancelled", Method::cancelled},
    {"notifications/progress", Method::progress},
    {"notifications/roots/list_changed", Method::roots_list_changed},
};

bool is_integer_text(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_valid_id(json::Slice id) {
  if (id.is(json::Kind::string)) return true;
  return id.is(json::Kind::number) && (is_integer_text(id.text()) || id.as_int().has_value());
}

struct Members {
  json::Slice version;
  json::Slice id;
  json::Slice method;
  json::Slice params;
  json::Slice result;
  json::Slice error;
};

Members read_members(json::Slice object) {
  Members found;
  for (json::Members members(object); members.next();) {
    if (members.key_is("jsonrpc"))
      found.version = members.value();
    else if (members.key_is("id"))
      found.id = members.value();
    else if (members.key_is("method"))
      found.method = members.value();
    else if (members.key_is("params"))
      found.params = members.value();
    else if (members.key_is("result"))
      found.result = members.value();
    else if (members.key_is("error"))
      found.error = members.value();
  }
  return found;
}

std::unexpected<MessageProblem> problem(const Members& members, std::string message) {
  MessageProblem out;
  out.error = {code::invalid_request, "Invalid Request: " + std::move(message), {}};
  if (members.id.exists() && is_valid_id(members.id)) out.id = members.id.text();
  return std::unexpected(std::move(out));
}

std::expected<Message, MessageProblem> read_response(const Members& members) {
  Message message;
  message.kind = Message::Kind::response;
  if (!members.result.exists() && !members.error.exists()) {
    return problem(members, "a message needs a 'method', a 'result' or an 'error'.");
  }
  if (members.result.exists() && members.error.exists()) {
    return problem(members, "a response has either 'result' or 'error', not both.");
  }
  if (members.error.exists() && !members.error.is(json::Kind::object)) {
    return problem(members, "'error' must be an object.");
  }
  if (members.result.exists() && !is_valid_id(members.id)) {
    return problem(members, "a response needs the 'id' of its request.");
  }
  message.id = members.id.exists() ? members.id.text() : std::string_view("null");
  message.result = members.result;
  message.error = members.error;
  return message;
}

}  // namespace

Method parse_method(std::string_view name) {
  for (const auto& [known, method] : known_methods) {
    if (known == name) return method;
  }
  return Method::other;
}

Repeat repeat_of(Method method) {
  switch (method) {
    case Method::tools_call: return Repeat::as_annotated;
    case Method::other:
    case Method::tasks_update:
    case Method::tasks_cancel: return Repeat::never;
    default: return Repeat::always;
  }
}

bool is_custom_notification(std::string_view method) {
  constexpr std::string_view servers_own[] = {"notifications/message",
                                              "notifications/tools/list_changed",
                                              "notifications/prompts/list_changed",
                                              "notifications/resources/list_changed",
                                              "notifications/resources/updated",
                                              "notifications/elicitation/complete"};
  if (parse_method(method) != Method::other) return false;
  for (const std::string_view own : servers_own) {
    if (method == own) return false;
  }
  // Tasks are hidden from clients and servers; a listen stream is Berth's own.
  return !method.starts_with("notifications/tasks") && !method.starts_with("notifications/subscriptions/");
}

std::expected<Message, MessageProblem> read_message(json::Slice value) {
  if (!value.is(json::Kind::object)) return problem({}, "a message must be a JSON object.");
  const Members members = read_members(value);
  if (members.version.as_plain_string() != "2.0") return problem(members, "'jsonrpc' must be \"2.0\".");
  if (!members.method.exists()) return read_response(members);
  Message message;
  if (const auto plain = members.method.as_plain_string()) {
    message.method = *plain;
  } else if (auto decoded = members.method.as_string()) {
    message.decoded_method = std::make_shared<const std::string>(*std::move(decoded));
    message.method = *message.decoded_method;
  } else {
    return problem(members, "'method' must be a string.");
  }
  message.known = parse_method(message.method);
  if (members.params.exists() && !members.params.is(json::Kind::null)) {
    if (!members.params.is(json::Kind::object)) return problem(members, "'params' must be an object.");
    message.params = members.params;
  }
  if (!members.id.exists()) {
    message.kind = Message::Kind::notification;
    return message;
  }
  if (!is_valid_id(members.id)) return problem(members, "'id' must be a string or an integer.");
  message.id = members.id.text();
  return message;
}

RpcError parse_error(const Error& error) {
  return {code::parse_error, "Parse error: " + error.message(), {}};
}

std::optional<std::int64_t> retry_after_s(const RpcError& error) {
  const bool may_ask = error.code == code::server_error || error.code == code::internal_error;
  if (!may_ask || error.data.empty()) return std::nullopt;
  return json::Slice::trusted(error.data).find("retryAfter").as_int();
}

void append_result(std::string& out, std::string_view id, std::string_view result) {
  out.append(R"({"jsonrpc":"2.0","id":)").append(id.empty() ? "null" : id);
  out.append(R"(,"result":)").append(result).push_back('}');
}

std::string write_result(std::string_view id, std::string_view result) {
  std::string out;
  out.reserve(id.size() + result.size() + 40);
  append_result(out, id, result);
  return out;
}

std::string write_error(std::string_view id, const RpcError& error) {
  std::string out = R"({"jsonrpc":"2.0","id":)";
  out.append(id.empty() ? "null" : id);
  out.append(fmt::format(R"(,"error":{{"code":{},"message":")", error.code));
  append_json_escaped(out, error.message);
  out.push_back('"');
  if (!error.data.empty()) out.append(",\"data\":").append(error.data);
  out.append("}}");
  return out;
}

void append_member(std::string& out, std::string_view text) {
  if (out.back() != '{') out.push_back(',');
  out.append(text);
}

std::unexpected<RpcError> invalid_params(std::string_view message) {
  return std::unexpected(RpcError{code::invalid_params, fmt::format("Invalid params: {}", message), {}});
}

RpcError unknown_end(std::string_view what) {
  return {code::internal_error, fmt::format("The call may have run; its end is unknown. {}", what), {}};
}

RpcError state_lost() {
  return {code::internal_error,
          "The call was not run: the server's process and its state were lost; call again to begin anew.",
          {}};
}

RpcError unavailable(std::string message, std::int64_t retry_after_s) {
  return {code::internal_error, std::move(message), fmt::format(R"({{"retryAfter":{}}})", retry_after_s)};
}

std::optional<int> retry_status(const RpcError& error) {
  if (!retry_after_s(error)) return std::nullopt;
  return error.code == code::internal_error ? 503 : 429;
}

RpcError undeliverable_answer() {
  return unknown_end(
      "This answer can no longer be delivered: the call it belongs to has ended, or was answered before.");
}

std::string write_notification(std::string_view method, std::string_view params) {
  std::string out = R"({"jsonrpc":"2.0","method":)";
  out.append(json_quote(method));
  if (!params.empty()) out.append(",\"params\":").append(params);
  out.push_back('}');
  return out;
}

std::string write_request(std::string_view id, std::string_view method, std::string_view params) {
  std::string out = R"({"jsonrpc":"2.0","id":)";
  out.append(id).append(",\"method\":").append(json_quote(method));
  if (!params.empty()) out.append(",\"params\":").append(params);
  out.push_back('}');
  return out;
}

namespace {

/// Notes a member of _meta; false when it belongs to no hop and is for the server.
bool take_meta(const json::Members& member, RequestParts& parts) {
  if (member.key_is("progressToken")) {
    parts.progress_token = member.value();
    return true;
  }
  if (member.key_is("traceparent")) parts.trace_parent = member.value();
  const bool has_escape = member.raw_key().find('\\') != std::string_view::npos;
  const std::string decoded = has_escape ? member.key() : std::string();
  const std::string_view key = has_escape ? std::string_view(decoded) : member.raw_key();
  if (!key.starts_with(meta_key::reserved_prefix)) return false;
  if (key == meta_key::protocol_version)
    parts.protocol_version = member.value();
  else if (key == meta_key::client_capabilities)
    parts.client_capabilities = member.value();
  else if (key == meta_key::client_info)
    parts.client_info = member.value();
  else if (key == meta_key::log_level)
    parts.log_level = member.value();
  return true;
}

}  // namespace

RequestParts split_params(json::Slice params) {
  RequestParts parts;
  for (json::Members members(params); members.next();) {
    if (members.key_is("_meta")) {
      if (members.value().is(json::Kind::object)) parts.meta = members.value();
    } else if (members.key_is("name")) {
      parts.name = members.value();
    } else if (members.key_is("uri")) {
      parts.uri = members.value();
    } else if (members.key_is("arguments")) {
      parts.arguments = members.value();
    } else if (members.key_is("taskId")) {
      parts.task_id = members.value();
    } else if (members.key_is("inputResponses")) {
      parts.input_responses = members.value();
    } else if (members.key_is("requestState")) {
      parts.request_state = members.value();
    }
  }
  for (json::Members members(parts.meta); members.next();) {
    if (!take_meta(members, parts)) parts.has_other_meta = true;
  }
  return parts;
}

std::string strip_params(json::Slice params, const RequestParts& parts) {
  if (!params.exists()) return {};
  std::string out;
  out.reserve(params.text().size());
  out.push_back('{');
  for (json::Members members(params); members.next();) {
    const bool is_retry = members.key_is("inputResponses") || members.key_is("requestState");
    if (is_retry || members.key_is("_meta")) continue;
    append_member(out, members.text());
  }
  if (parts.has_other_meta) {
    append_member(out, "\"_meta\":{");
    RequestParts ignored;
    for (json::Members members(parts.meta); members.next();) {
      if (!take_meta(members, ignored)) append_member(out, members.text());
    }
    out.push_back('}');
  }
  out.push_back('}');
  return out;
}

std::string kept_client_info(json::Slice client_info) {
  constexpr std::size_t text_bytes_max = 256;
  if (client_info.text().size() <= client_info_bytes_max) return std::string(client_info.text());
  std::string out = "{";
  for (const std::string_view name : {"name", "title", "version"}) {
    const auto text = client_info.find(name).as_string();
    if (!text) continue;
    if (out.size() > 1) out.push_back(',');
    out.append(json_quote(name)).append(":").append(json_quote(cut_utf8(*text, text_bytes_max)));
  }
  return out + "}";
}

}  // namespace berth::mcp
