#include "task/host/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/log.h"
#include "base/version.h"
#include "mcp/client_meta.h"
#include "mcp/modern.h"

namespace berth::task::host {

namespace {

std::string own_info() {
  return fmt::format(R"({{"name":"berth","title":"Berth","version":"{}"}})", version());
}

void append_int(std::string& out, std::int64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

bool is_empty_container(std::string_view text) {
  return text.substr(1, text.size() - 2).find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// `object` with `members` put in front of its own.
void append_with_members(std::string& out, std::string_view object, std::string_view members) {
  out += '{';
  out += members;
  if (!members.empty() && !is_empty_container(object)) out += ',';
  json::append_single_line(out, object.substr(1));
}

void append_params(std::string& out, std::string_view params, std::string_view meta_members,
                   std::string_view param_members) {
  if (params.empty()) params = "{}";
  if (meta_members.empty()) return append_with_members(out, params, param_members);
  const json::Slice meta = json::Slice::trusted(params).find("_meta");
  if (!meta.is(json::Kind::object)) {
    std::string rest;
    if (meta.exists()) {
      rest = json::edit(json::Slice::trusted(params), {{"_meta", std::nullopt}});
      params = rest;
    }
    out += R"({"_meta":{)";
    out += meta_members;
    out += '}';
    if (!param_members.empty()) out += ',';
    out += param_members;
    if (!is_empty_container(params)) out += ',';
    return json::append_single_line(out, params.substr(1));
  }
  const auto meta_at = static_cast<std::size_t>(meta.text().data() - params.data());
  // The object's own opening brace and what stands before _meta, then _meta's members behind ours.
  append_with_members(out, params.substr(0, meta_at), param_members);
  append_with_members(out, meta.text(), meta_members);
  json::append_single_line(out, params.substr(meta_at + meta.text().size()));
}

void append_separated(std::string& members, std::string_view key, std::string_view value) {
  if (!members.empty()) members += ',';
  members += '"';
  members += key;
  members += "\":";
  json::append_single_line(members, value);
}

void append_progress_and_trace(std::string& members, const mcp::Call& call, std::int64_t id) {
  if (call.wants_progress) {
    members += members.empty() ? R"("progressToken":)" : R"(,"progressToken":)";
    append_int(members, id);
  }
  if (call.trace_parent.empty()) return;
  const json::Slice meta = json::Slice::trusted(call.params.empty() ? "{}" : call.params).find("_meta");
  if (meta.find("traceparent").exists()) return;
  append_separated(members, "traceparent", json_quote(call.trace_parent));
}

std::string text_or(json::Slice slice, std::string_view otherwise) {
  return slice.is(json::Kind::object) ? std::string(slice.text()) : std::string(otherwise);
}

mcp::Outcome invalid_result(std::string_view what) {
  return mcp::Outcome::failure(mcp::code::internal_error,
                               fmt::format("The server's result is not valid: {}.", what));
}

mcp::Outcome read_input_required(json::Slice requests, json::Slice state) {
  mcp::InputRequired input;
  input.state = state.as_string().value_or("");
  for (json::Members each(requests); each.next();) {
    const std::optional<std::string> method = each.value().find("method").as_string();
    if (!method) return invalid_result(fmt::format("input request '{}' has no method", each.key()));
    const json::Slice params = each.value().find("params");
    input.requests.push_back({each.key(), *method, std::string(params.text())});
  }
  if (input.requests.empty() && !state.exists()) {
    return invalid_result("input_required with neither inputRequests nor requestState");
  }
  return mcp::Outcome::ask(std::move(input));
}

void read_method(json::Slice method, Message& message) {
  if (const auto plain = method.as_plain_string()) {
    message.method = *plain;
  } else if (auto decoded = method.as_string()) {
    message.decoded_method = std::make_shared<const std::string>(*std::move(decoded));
    message.method = *message.decoded_method;
  }
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

/// Where the string ends whose inside starts at `at`: its closing quote, or the end of the line.
std::size_t end_of_string(std::string_view line, std::size_t at) {
  while (at < line.size() && line[at] != '"') at += line[at] == '\\' ? 2 : 1;
  return std::min(at, line.size());
}

/// `rest` is what follows the colon behind `key`.
void note_member(BrokenLine& found, std::string_view key, std::string_view rest) {
  if (key == "method") found.asks = true;
  if (key == "result" || key == "error" || key == "jsonrpc") found.answers = true;
  if (key != "id") return;
  rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(" \t")));
  const std::size_t end = rest.starts_with('"') ? end_of_string(rest, 1) : rest.find_first_of(" \t,}");
  if (rest.starts_with('"')) {
    found.number = whole_number(rest.substr(1, end - 1));
  } else {
    found.number = whole_number(rest.substr(0, end));
  }
}

}  // namespace

Message read_message(json::Slice object) {
  Message message;
  json::Slice method;
  json::Slice result;
  json::Slice error;
  for (json::Members members(object); members.next();) {
    if (members.key_is("id")) {
      message.id = members.value();
    } else if (members.key_is("result")) {
      result = members.value();
    } else if (members.key_is("error")) {
      error = members.value();
    } else if (members.key_is("method")) {
      method = members.value();
    } else if (members.key_is("params")) {
      message.params = members.value();
    }
  }
  if (method.exists()) {
    read_method(method, message);
    const bool has_id = message.id.exists() && !message.id.is(json::Kind::null);
    if (!message.method.empty()) message.kind = has_id ? Message::Kind::request : Message::Kind::notification;
    return message;
  }
  if (result.exists() && error.is(json::Kind::null)) error = {};
  if (error.exists() && result.is(json::Kind::null)) result = {};
  if (result.exists() == error.exists() || !message.id.exists()) return message;
  message.kind = result.exists() ? Message::Kind::result : Message::Kind::error;
  message.body = result.exists() ? result : error;
  return message;
}

BrokenLine read_broken_line(std::string_view line) {
  BrokenLine found;
  std::size_t depth = 0;
  std::string_view key;
  for (std::size_t at = 0; at < line.size(); ++at) {
    switch (line[at]) {
      case '{':
      case '[': ++depth; break;
      case '}':
      case ']': depth -= depth > 0 ? 1 : 0; break;
      case ':':
        if (depth == 1) note_member(found, std::exchange(key, {}), line.substr(at + 1));
        break;
      case '"': {
        const std::size_t end = end_of_string(line, at + 1);
        if (depth == 1) key = line.substr(at + 1, end - at - 1);
        at = end;
        break;
      }
      default: break;
    }
  }
  return found;
}

std::optional<std::int64_t> own_number(json::Slice value) {
  if (const auto number = value.as_int()) return number;
  const std::optional<std::string> text = value.as_string();
  return text ? whole_number(*text) : std::nullopt;
}

bool is_same_id(json::Slice one, json::Slice other) {
  if (one.text() == other.text()) return one.exists();
  const auto meaning = [](json::Slice id) { return id.as_string().value_or(std::string(id.text())); };
  return one.exists() && other.exists() && meaning(one) == meaning(other);
}

void append_request(std::string& out, std::int64_t id, std::string_view method, std::string_view params,
                    std::string_view meta_members, std::string_view param_members) {
  out.reserve(out.size() + 80 + method.size() + params.size() + meta_members.size() + param_members.size());
  out += R"({"jsonrpc":"2.0","id":)";
  append_int(out, id);
  out += R"(,"method":")";
  append_json_escaped(out, method);
  out += '"';
  if (!params.empty() || !meta_members.empty() || !param_members.empty()) {
    out += R"(,"params":)";
    append_params(out, params, meta_members, param_members);
  }
  out += '}';
}

void append_notification(std::string& out, std::string_view method, std::string_view params) {
  out += R"({"jsonrpc":"2.0","method":")";
  append_json_escaped(out, method);
  out += '"';
  if (!params.empty()) {
    out += R"(,"params":)";
    json::append_single_line(out, params);
  }
  out += '}';
}

void append_result(std::string& out, std::string_view id, std::string_view result) {
  out += R"({"jsonrpc":"2.0","id":)";
  out += id;
  out += R"(,"result":)";
  json::append_single_line(out, result);
  out += '}';
}

void append_error(std::string& out, std::string_view id, const mcp::RpcError& error) {
  out += R"({"jsonrpc":"2.0","id":)";
  out += id;
  out += R"(,"error":{"code":)";
  append_int(out, error.code);
  out += R"(,"message":")";
  append_json_escaped(out, error.message);
  out += '"';
  if (!error.data.empty()) {
    out += R"(,"data":)";
    json::append_single_line(out, error.data);
  }
  out += "}}";
}

void append_cancelled(std::string& out, std::int64_t id, std::string_view reason) {
  append_notification(out, "notifications/cancelled",
                      fmt::format(R"({{"requestId":{},"reason":{}}})", id, json_quote(reason)));
}

void append_legacy_meta(std::string& members, const mcp::Call& call, std::int64_t id) {
  append_progress_and_trace(members, call, id);
}

void append_modern_meta(std::string& members, const mcp::Call& call, std::int64_t id) {
  append_separated(members, "io.modelcontextprotocol/protocolVersion", "\"2026-07-28\"");
  const std::string& capabilities = call.caller->capabilities;
  if (capabilities.find(tasks_extension) == std::string::npos) {
    append_separated(members, "io.modelcontextprotocol/clientCapabilities", capabilities);
  } else {
    const json::Slice whole = json::Slice::trusted(capabilities);
    const json::Slice extensions = whole.find("extensions");
    const std::string kept = extensions.is(json::Kind::object)
                                 ? json::edit(extensions, {{tasks_extension, std::nullopt}})
                                 : std::string("{}");
    append_separated(members, "io.modelcontextprotocol/clientCapabilities",
                     json::edit(whole, {{"extensions", kept}}));
  }
  if (call.caller->client_info.size() > 2) {
    append_separated(members, "io.modelcontextprotocol/clientInfo", call.caller->client_info);
  }
  if (call.log_level) {
    append_separated(members, "io.modelcontextprotocol/logLevel",
                     json_quote(mcp::to_string(*call.log_level)));
  }
  append_progress_and_trace(members, call, id);
}

std::string own_modern_meta() { return mcp::client_meta(own_info()); }

std::string input_members(const mcp::Call& call) {
  std::string members;
  if (!call.input_responses.empty()) append_separated(members, "inputResponses", call.input_responses);
  if (!call.request_state.empty()) append_separated(members, "requestState", json_quote(call.request_state));
  return members;
}

std::string initialize_params(const CapabilitySet& capabilities, std::string_view client_info) {
  return fmt::format(R"({{"protocolVersion":"{}","capabilities":{},"clientInfo":{}}})",
                     mcp::latest_legacy_version, capabilities.to_json(),
                     client_info.empty() ? own_info() : std::string(client_info));
}

std::string listen_filter(std::string_view capabilities, const std::set<std::string>& uris) {
  constexpr std::pair<std::string_view, std::string_view> lists[] = {
      {"tools", R"("toolsListChanged":true)"},
      {"prompts", R"("promptsListChanged":true)"},
      {"resources", R"("resourcesListChanged":true)"}};
  const json::Slice declared = json::Slice::trusted(capabilities);
  std::string filter;
  for (const auto& [list, member] : lists) {
    if (!declared.find(list).find("listChanged").as_bool().value_or(false)) continue;
    if (!filter.empty()) filter += ',';
    filter += member;
  }
  if (uris.empty()) return filter;
  if (!filter.empty()) filter += ',';
  filter += R"("resourceSubscriptions":[)";
  for (const std::string& uri : uris) filter.append(json_quote(uri)) += ',';
  filter.back() = ']';
  return filter;
}

bool may_ask(std::string_view method) {
  return method == "tools/call" || method == "prompts/get" || method == "resources/read";
}

mcp::RpcError read_error(json::Slice error) {
  mcp::RpcError read;
  read.code = static_cast<int>(error.find("code").as_int().value_or(mcp::code::internal_error));
  read.message =
      error.find("message").as_string().value_or("The server answered an error without a message.");
  if (auto bare = error.as_string()) read.message = *std::move(bare);
  read.data = std::string(error.find("data").text());
  return read;
}

std::string refusal_sentence(std::string_view method, const mcp::RpcError& error) {
  return fmt::format("The server refused {}: {}{}", method, error.message,
                     error.message.ends_with('.') ? "" : ".");
}

mcp::Outcome read_legacy_result(json::Slice result) {
  if (!result.is(json::Kind::object)) return invalid_result("it is not an object");
  return mcp::Outcome::success(std::string(result.text()));
}

mcp::Outcome read_legacy_error(json::Slice error, const CapabilitySet& capabilities) {
  mcp::RpcError read = read_error(error);
  if (read.code != mcp::code::url_elicitation_required) return mcp::Outcome::failure(std::move(read));
  if (!capabilities.elicitation_url) {
    return mcp::Outcome::failure(mcp::code::missing_capability, std::move(read.message),
                                 R"({"requiredCapabilities":{"elicitation":{"url":{}}}})");
  }
  mcp::InputRequired input;
  input.state = state_again;
  for (json::Elements each(error.find("data").find("elicitations")); each.next();) {
    input.requests.push_back(
        input_request(fmt::format("url-{}", input.requests.size() + 1), "elicitation/create", each.value()));
  }
  if (input.requests.empty()) return mcp::Outcome::failure(std::move(read));
  return mcp::Outcome::ask(std::move(input));
}

mcp::Outcome read_modern_result(json::Slice result) {
  if (!result.is(json::Kind::object)) return invalid_result("it is not an object");
  std::string kept = "{";
  kept.reserve(result.text().size());
  std::string type = "complete";
  std::optional<std::int64_t> ttl_ms;
  bool is_public = false;
  json::Slice requests;
  json::Slice state;
  for (json::Members members(result); members.next();) {
    if (members.key_is("resultType")) {
      type = members.value().as_string().value_or("");
    } else if (members.key_is("ttlMs")) {
      ttl_ms = members.value().as_int();
    } else if (members.key_is("cacheScope")) {
      is_public = members.value().as_string() == "public";
    } else {
      if (members.key_is("inputRequests")) requests = members.value();
      if (members.key_is("requestState")) state = members.value();
      if (kept.size() > 1) kept += ',';
      kept += members.text();
    }
  }
  if (type == "input_required") return read_input_required(requests, state);
  if (type != "complete") return invalid_result(fmt::format("Berth does not know resultType '{}'", type));
  kept += '}';
  mcp::Outcome outcome = mcp::Outcome::success(std::move(kept));
  if (ttl_ms) outcome.cache = mcp::CacheHint{std::max<std::int64_t>(0, *ttl_ms), is_public};
  return outcome;
}

bool names_modern(json::Slice error) {
  for (json::Elements each(error.find("data").find("supported")); each.next();) {
    if (each.value().as_string() == mcp::modern_version) return true;
  }
  return false;
}

Result<mcp::ServerDescription> read_initialize_result(json::Slice result) {
  const std::optional<std::string> version = result.find("protocolVersion").as_string();
  if (!version) {
    return fail(ErrorCode::invalid_argument, "The server's answer to initialize has no protocolVersion.");
  }
  bool known = false;
  for (const std::string_view each : mcp::legacy_versions) known = known || each == *version;
  if (!known) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("The server wants protocol version '{}', which Berth does not speak.", *version));
  }
  mcp::ServerDescription description;
  description.era = mcp::Era::legacy;
  description.capabilities = text_or(result.find("capabilities"), "{}");
  description.server_info = text_or(result.find("serverInfo"), "{}");
  description.instructions = result.find("instructions").as_string().value_or("");
  return description;
}

Result<mcp::ServerDescription> read_discover_result(json::Slice result) {
  bool supported = false;
  for (json::Elements each(result.find("supportedVersions")); each.next();) {
    supported = supported || each.value().as_string() == mcp::modern_version;
  }
  if (!supported) {
    return fail(ErrorCode::invalid_argument,
                "The server's answer to server/discover does not list version 2026-07-28.");
  }
  mcp::ServerDescription description;
  description.era = mcp::Era::modern;
  description.capabilities = text_or(result.find("capabilities"), "{}");
  description.server_info = text_or(result.find("_meta").find("io.modelcontextprotocol/serverInfo"), "{}");
  description.instructions = result.find("instructions").as_string().value_or("");
  if (const auto ttl = result.find("ttlMs").as_int()) {
    description.cache =
        mcp::CacheHint{std::max<std::int64_t>(0, *ttl), result.find("cacheScope").as_string() == "public"};
  }
  return description;
}

mcp::InputRequest input_request(std::string key, std::string_view method, json::Slice params) {
  mcp::InputRequest request{std::move(key), std::string(method), {}};
  if (params.is(json::Kind::object)) {
    request.params = json::edit(params, {{"task", std::nullopt}, {"elicitationId", std::nullopt}});
  }
  return request;
}

bool is_question(std::string_view method) {
  return method == "elicitation/create" || method == "sampling/createMessage" || method == "roots/list";
}

void append_unasked_answer(std::string& out, const Message& request) {
  const std::string_view id = request.id.text();
  if (request.method == "ping") return append_result(out, id, "{}");
  if (request.method == "roots/list") {
    return append_error(out, id,
                        {mcp::code::internal_error, "No client can be asked for its roots now.", {}});
  }
  if (request.method == "elicitation/create") return append_result(out, id, R"({"action":"cancel"})");
  if (request.method == "sampling/createMessage") {
    return append_error(
        out, id, {mcp::code::internal_error, "No client is waiting whose model could be sampled.", {}});
  }
  append_error(out, id, {mcp::code::method_not_found, "Method not found", {}});
}

void append_undeclared_answer(std::string& out, std::string_view id, std::string_view capabilities) {
  append_error(out, id,
               {mcp::code::method_not_found,
                fmt::format("Method not found: the client has not declared {}.", capabilities),
                {}});
}

void blame_undeclared(mcp::Outcome& outcome, std::string_view capabilities) {
  using Kind = mcp::Outcome::Kind;
  const bool has_failed = outcome.kind == Kind::error ||
                          (outcome.kind == Kind::result &&
                           json::Slice::trusted(outcome.result).find("isError").as_bool().value_or(false));
  if (has_failed) outcome = mcp::Outcome::failure(mcp::missing_capability_error(capabilities));
}

void append_input_response(std::string& out, std::string_view id, json::Slice response) {
  const json::Slice error = response.find("error");
  if (error.is(json::Kind::object) && error.find("code").as_int()) {
    return append_error(out, id, read_error(error));
  }
  append_result(out, id, response.text());
}

std::optional<mcp::Change> read_change(const Message& notification) {
  using Kind = mcp::Change::Kind;
  for (const Kind kind : {Kind::tools_list, Kind::prompts_list, Kind::resources_list}) {
    if (notification.method == mcp::notification_method(kind)) return mcp::Change{kind, {}, {}};
  }
  if (notification.method != mcp::notification_method(Kind::resource_updated)) return std::nullopt;
  auto uri = notification.params.find("uri").as_string();
  if (!uri) return std::nullopt;
  return mcp::Change{Kind::resource_updated, std::move(*uri), {}};
}

std::optional<std::int64_t> progress_token(json::Slice params) {
  return own_number(params.find("progressToken"));
}

mcp::Notification progress_notification(json::Slice params) {
  return {"notifications/progress", json::edit(params, {{"progressToken", std::nullopt}})};
}

std::optional<mcp::LoggingLevel> log_level(json::Slice params) {
  const auto level = params.find("level").as_string();
  return level ? mcp::parse_logging_level(*level) : std::nullopt;
}

}  // namespace berth::task::host
