#include "mcp/modern.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace berth::mcp {
namespace {

using json::Kind;
using json::Slice;

std::unexpected<Refusal> refuse(int status, int code, std::string message, std::string data = {}) {
  return std::unexpected(Refusal{status, {code, std::move(message), std::move(data)}});
}

std::unexpected<Refusal> bad_envelope(std::string_view key, std::string_view what) {
  return refuse(400, code::invalid_params, fmt::format("Invalid params: _meta[\"{}\"] {}.", key, what));
}

std::unexpected<Refusal> mismatch(std::string message) {
  return refuse(400, code::header_mismatch, "Header mismatch: " + std::move(message));
}

std::expected<void, Refusal> check_envelope(const RequestParts& parts) {
  if (!parts.protocol_version.exists()) return bad_envelope(meta_key::protocol_version, "is missing");
  if (!parts.protocol_version.is(Kind::string))
    return bad_envelope(meta_key::protocol_version, "must be a string");
  if (!parts.client_capabilities.exists()) return bad_envelope(meta_key::client_capabilities, "is missing");
  if (!parts.client_capabilities.is(Kind::object)) {
    return bad_envelope(meta_key::client_capabilities, "must be an object");
  }
  if (parts.client_capabilities.text().size() > capabilities_bytes_max) {
    return bad_envelope(meta_key::client_capabilities,
                        fmt::format("has more than {} bytes", capabilities_bytes_max));
  }
  if (parts.client_info.exists() && !parts.client_info.is(Kind::object)) {
    return bad_envelope(meta_key::client_info, "must be an object");
  }
  if (parts.log_level.exists() && !parse_logging_level(parts.log_level.as_string().value_or(""))) {
    return bad_envelope(meta_key::log_level,
                        "must be one of debug, info, notice, warning, error, critical, alert, emergency");
  }
  const Slice token = parts.progress_token;
  if (token.exists() && !token.is(Kind::string) && !token.as_int()) {
    return refuse(400, code::invalid_params,
                  "Invalid params: _meta.progressToken must be a string or an integer.");
  }
  return {};
}

/// What Mcp-Name mirrors for this method; does not exist for the others.
std::pair<std::string_view, Slice> named_value(Method method, const RequestParts& parts) {
  switch (method) {
    case Method::tools_call:
    case Method::prompts_get: return {"params.name", parts.name};
    case Method::resources_read: return {"params.uri", parts.uri};
    case Method::tasks_get:
    case Method::tasks_update:
    case Method::tasks_cancel: return {"params.taskId", parts.task_id};
    default: return {};
  }
}

std::expected<void, Refusal> check_name(Method method, const RequestParts& parts, const McpHeaders& headers) {
  const auto [member, value] = named_value(method, parts);
  const std::optional<std::string> name = value.as_string();
  if (!name) return {};  // params of the wrong shape are the server's to refuse
  if (!headers.name)
    return mismatch(fmt::format("{} is in the body, but the required Mcp-Name header is missing.", member));
  const std::optional<std::string> decoded = decode_header_value(*headers.name);
  if (!decoded) return mismatch("the Mcp-Name header is not canonical base64 inside =?base64?…?=.");
  if (*decoded == *name) return {};
  return mismatch(fmt::format("the Mcp-Name header says '{}', but {} is '{}'.", *decoded, member, *name));
}

/// The methods 2026-07-28 took off the wire; a server of either era would still answer some of them.
bool is_removed(Method method) {
  switch (method) {
    case Method::initialize:
    case Method::ping:
    case Method::logging_set_level:
    case Method::resources_subscribe:
    case Method::resources_unsubscribe: return true;
    default: return false;
  }
}

std::expected<void, Refusal> check_headers(const Message& message, const RequestParts& parts,
                                           const McpHeaders& headers) {
  const std::string version = parts.protocol_version.as_string().value_or("");
  if (!headers.repeated.empty())
    return mismatch(fmt::format("the {} header is given more than once.", headers.repeated));
  if (headers.protocol_version && *headers.protocol_version != version) {
    return mismatch(fmt::format("the MCP-Protocol-Version header says '{}', but the body says '{}'.",
                                *headers.protocol_version, version));
  }
  if (headers.method && *headers.method != message.method) {
    return mismatch(fmt::format("the Mcp-Method header says '{}', but the body's method is '{}'.",
                                *headers.method, message.method));
  }
  if (version != modern_version) {
    return refuse(
        400, code::unsupported_version, fmt::format("Unsupported protocol version: '{}'.", version),
        fmt::format(R"({{"supported":["{}"],"requested":{}}})", modern_version, json_quote(version)));
  }
  if (!headers.protocol_version) return mismatch("the required MCP-Protocol-Version header is missing.");
  if (!headers.method) return mismatch("the required Mcp-Method header is missing.");
  return check_name(message.known, parts, headers);
}

/// `"_meta":{…}` with serverInfo put in front of what is there; theirs wins. Nothing when both are empty.
void append_meta(std::string& out, Slice meta, const std::string& server_info) {
  std::string_view inside;
  if (meta.is(Kind::object)) inside = meta.text().substr(1, meta.text().size() - 2);
  inside.remove_prefix(std::min(inside.find_first_not_of(" \t\r\n"), inside.size()));
  const bool add_info = !server_info.empty() && !meta.find(meta_key::server_info).exists();
  if (!add_info && inside.empty()) return;
  append_member(out, "\"_meta\":{");
  if (add_info) {
    out.push_back('"');
    out.append(meta_key::server_info).append("\":").append(server_info);
  }
  if (!inside.empty()) append_member(out, inside);
  out.push_back('}');
}

bool carries_cache_hint(Method method) {
  switch (method) {
    case Method::discover:
    case Method::tools_list:
    case Method::prompts_list:
    case Method::resources_list:
    case Method::resources_templates_list:
    case Method::resources_read: return true;
    default: return false;
  }
}

void append_cache_hint(std::string& out, const std::optional<CacheHint>& cache) {
  const CacheHint hint = cache.value_or(CacheHint{});
  out.append(fmt::format(R"("ttlMs":{},"cacheScope":"{}")", std::max<std::int64_t>(hint.ttl_ms, 0),
                         hint.is_public ? "public" : "private"));
}

}  // namespace

std::expected<ModernRequest, Refusal> read_modern_request(const Message& message, const RequestParts& parts,
                                                          const McpHeaders& headers) {
  if (auto checked = check_envelope(parts); !checked) return std::unexpected(checked.error());
  if (auto checked = check_headers(message, parts, headers); !checked)
    return std::unexpected(checked.error());
  if (is_removed(message.known)) {
    return refuse(
        404, code::method_not_found,
        fmt::format("Method not found: '{}' does not exist in revision {}.", message.method, modern_version));
  }
  if (parts.input_responses.exists() && !parts.input_responses.is(Kind::object)) {
    return refuse(400, code::invalid_params, "Invalid params: inputResponses must be an object.");
  }
  if (parts.request_state.exists() && !parts.request_state.is(Kind::string)) {
    return refuse(400, code::invalid_params, "Invalid params: requestState must be a string.");
  }
  ModernRequest request;
  request.protocol_version = modern_version;
  request.capabilities = parts.client_capabilities.text();
  if (parts.client_info.exists()) request.client_info = kept_client_info(parts.client_info);
  if (parts.log_level.exists())
    request.log_level = parse_logging_level(parts.log_level.as_string().value_or(""));
  request.progress_token = parts.progress_token.text();
  request.params = strip_params(message.params, parts);
  request.input_responses = parts.input_responses.text();
  request.request_state = parts.request_state.as_string().value_or("");
  request.trace_parent =
      parts.trace_parent.as_string().value_or(std::string(headers.trace_parent.value_or("")));
  return request;
}

std::expected<void, Refusal> check_modern_notification(const Message& message, const RequestParts& parts,
                                                       const McpHeaders& headers) {
  const Slice claim = parts.protocol_version;
  if (claim.exists() && !claim.is(Kind::string))
    return bad_envelope(meta_key::protocol_version, "must be a string");
  if (claim.exists() && headers.protocol_version && claim.as_string() != *headers.protocol_version) {
    return mismatch(fmt::format("the MCP-Protocol-Version header says '{}', but the body says '{}'.",
                                *headers.protocol_version, claim.as_string().value_or("")));
  }
  if (headers.method && *headers.method != message.method) {
    return mismatch(fmt::format("the Mcp-Method header says '{}', but the body's method is '{}'.",
                                *headers.method, message.method));
  }
  return {};
}

int modern_status(const RpcError& error, Method method) {
  switch (error.code) {
    case code::method_not_found: return method == Method::other ? 404 : 200;
    case code::missing_capability: return 400;
    default: return retry_status(error).value_or(200);
  }
}

void append_modern_result(std::string& out, Method method, std::string_view result,
                          const std::string& server_info, const std::optional<CacheHint>& cache) {
  out.reserve(out.size() + result.size() + server_info.size() + 160);
  out.append(R"({"resultType":"complete")");
  if (carries_cache_hint(method)) {
    out.push_back(',');
    append_cache_hint(out, cache);
  }
  Slice meta;
  for (json::Members members(Slice::trusted(result)); members.next();) {
    if (members.key_is("_meta")) {
      meta = members.value();
    } else if (!members.key_is("resultType") && !members.key_is("ttlMs") && !members.key_is("cacheScope")) {
      append_member(out, members.text());
    }
  }
  append_meta(out, meta, server_info);
  out.push_back('}');
}

std::string modern_input_required(const std::vector<InputRequest>& requests, std::string_view request_state,
                                  const std::string& server_info) {
  std::string out = R"({"resultType":"input_required")";
  if (!requests.empty()) {
    out.append(",\"inputRequests\":{");
    for (const InputRequest& request : requests) {
      append_member(out, json_quote(request.key));
      out.append(":{\"method\":").append(json_quote(request.method));
      if (!request.params.empty()) out.append(",\"params\":").append(request.params);
      out.push_back('}');
    }
    out.push_back('}');
  }
  if (!request_state.empty()) out.append(",\"requestState\":").append(json_quote(request_state));
  append_meta(out, {}, server_info);
  out.push_back('}');
  return out;
}

std::string discover_result(const ServerDescription& description) {
  std::string out =
      fmt::format(R"({{"resultType":"complete","supportedVersions":["{}"],"capabilities":)", modern_version);
  out.append(json::edit(Slice::trusted(description.capabilities), {{"tasks", std::nullopt}}));
  if (!description.instructions.empty())
    out.append(",\"instructions\":").append(json_quote(description.instructions));
  out.push_back(',');
  append_cache_hint(out, description.cache);
  append_meta(out, {}, description.server_info);
  out.push_back('}');
  return out;
}

RpcError modern_error(RpcError error, Method method, const RequestParts& parts) {
  if (method != Method::resources_read) return error;
  const bool unexplained = error.code == code::invalid_params && error.data.empty();
  if (error.code != code::resource_not_found && !unexplained) return error;
  error.code = code::invalid_params;
  const Slice data = Slice::trusted(error.data);
  if (!data.find("uri").exists() && parts.uri.exists()) {
    const std::string uri(parts.uri.text());
    error.data = data.is(Kind::object) ? json::edit(data, {{"uri", uri}}) : "{\"uri\":" + uri + "}";
  }
  return error;
}

bool is_missing_resource(Method method, std::string_view result) {
  if (method != Method::resources_read) return false;
  const Slice contents = Slice::trusted(result).find("contents");
  return contents.is(Kind::array) && !json::Elements(contents).next();
}

RpcError missing_resource_error(const RequestParts& parts) {
  RpcError error{code::invalid_params, "Resource not found: the server has no contents for this uri.", {}};
  if (parts.uri.exists()) error.data = "{\"uri\":" + std::string(parts.uri.text()) + "}";
  return error;
}

std::string missing_capability(const InputRequest& request, std::string_view capabilities) {
  const Slice declared = Slice::trusted(capabilities);
  const Slice params = Slice::trusted(request.params);
  if (request.method == "sampling/createMessage") {
    const Slice sampling = declared.find("sampling");
    if (!sampling.is(Kind::object)) return R"({"sampling":{}})";
    const bool with_tools = params.find("tools").exists() || params.find("toolChoice").exists();
    return with_tools && !sampling.find("tools").is(Kind::object) ? R"({"sampling":{"tools":{}}})" : "";
  }
  if (request.method == "roots/list") return declared.find("roots").is(Kind::object) ? "" : R"({"roots":{}})";
  if (request.method != "elicitation/create") return {};
  const Slice elicitation = declared.find("elicitation");
  if (params.find("mode").as_string() == "url") {
    return elicitation.find("url").is(Kind::object) ? "" : R"({"elicitation":{"url":{}}})";
  }
  if (!elicitation.is(Kind::object)) return R"({"elicitation":{}})";
  const bool only_url = elicitation.find("url").exists() && !elicitation.find("form").exists();
  return only_url ? R"({"elicitation":{"form":{}}})" : "";
}

RpcError missing_capability_error(std::string_view required_capabilities) {
  return {
      code::missing_capability,
      fmt::format("Missing required client capability: the server needs to ask the client for something this "
                  "request did not declare ({}).",
                  required_capabilities),
      fmt::format(R"({{"requiredCapabilities":{}}})", required_capabilities)};
}

std::string progress_params(std::string_view params, std::string_view progress_token) {
  return json::edit(Slice::trusted(params), {{"progressToken", progress_token}});
}

}  // namespace berth::mcp
