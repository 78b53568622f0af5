#include "mcp/legacy.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/log.h"
#include "mcp/older.h"

namespace berth::mcp {
namespace {

using json::Kind;
using json::Slice;

/// The tools array with output schemas that a legacy client takes, and without those that it would refuse.
std::string repair_output_schemas(Slice tools) {
  std::string out = "[";
  for (json::Elements elements(tools); elements.next();) {
    if (out.size() > 1) out.push_back(',');
    const Slice tool = elements.value();
    const Slice schema = tool.find("outputSchema");
    if (!schema.exists()) {
      out.append(tool.text());
    } else if (const auto repaired = object_schema(schema)) {
      out.append(json::edit(tool, {{"outputSchema", *repaired}}));
    } else {
      out.append(json::edit(tool, {{"outputSchema", std::nullopt}}));
    }
  }
  out.push_back(']');
  return out;
}

/// What 2026-07-28 allows and no revision before it.
std::string from_modern(Method method, std::string result) {
  const Slice object = Slice::trusted(result);
  if (method == Method::tools_call) {
    const Slice structured = object.find("structuredContent");
    if (!structured.exists() || structured.is(Kind::object)) return result;
    return without_structured_content(object);
  }
  if (method != Method::tools_list || result.find("outputSchema") == std::string::npos) return result;
  const std::string tools = repair_output_schemas(object.find("tools"));
  return json::edit(object, {{"tools", tools}});
}

/// An Implementation with the name and version that it must have.
std::string named(Slice info, std::string_view name) {
  std::vector<json::Edit> edits;
  const std::string quoted = json_quote(name);
  if (!info.find("name").is(Kind::string)) edits.push_back({"name", quoted});
  if (!info.find("version").is(Kind::string)) edits.push_back({"version", R"("unknown")"});
  return json::edit(info, edits);
}

}  // namespace

bool is_legacy_version(std::string_view version) {
  return std::find(std::begin(legacy_versions), std::end(legacy_versions), version) !=
         std::end(legacy_versions);
}

std::string_view negotiate_version(std::string_view requested) {
  const auto* const found = std::find(std::begin(legacy_versions), std::end(legacy_versions), requested);
  return found == std::end(legacy_versions) ? latest_legacy_version : *found;
}

std::expected<InitializeRequest, RpcError> read_initialize(Slice params) {
  const std::optional<std::string> version = params.find("protocolVersion").as_string();
  if (!version) return invalid_params("protocolVersion must be a string.");
  InitializeRequest request;
  request.version = negotiate_version(*version);
  const std::pair<std::string_view, std::string*> objects[] = {{"capabilities", &request.capabilities},
                                                               {"clientInfo", &request.client_info}};
  for (const auto& [name, text] : objects) {
    const Slice value = params.find(name);
    if (!value.exists()) continue;
    if (!value.is(Kind::object)) return invalid_params(fmt::format("{} must be an object.", name));
    *text = value.text();
  }
  if (request.capabilities.size() > capabilities_bytes_max) {
    return invalid_params(fmt::format("capabilities has {} bytes; at most {} are taken.",
                                      request.capabilities.size(), capabilities_bytes_max));
  }
  request.client_info = kept_client_info(Slice::trusted(request.client_info));
  return request;
}

std::string initialize_result(std::string_view version, const ServerDescription& description,
                              std::string_view name) {
  std::string out = fmt::format(R"({{"protocolVersion":"{}","capabilities":)", version);
  out.append(json::edit(Slice::trusted(description.capabilities),
                        {{"extensions", std::nullopt}, {"tasks", std::nullopt}}));
  out.append(",\"serverInfo\":").append(named(Slice::trusted(description.server_info), name));
  if (!description.instructions.empty())
    out.append(",\"instructions\":").append(json_quote(description.instructions));
  out.push_back('}');
  return out;
}

std::string legacy_result(Method method, std::string result, Era server_era, std::string_view version) {
  if (server_era == Era::modern) result = from_modern(method, std::move(result));
  return older_result(method, std::move(result), version);
}

RpcError legacy_error(RpcError error, Method method, Era server_era) {
  if (server_era == Era::modern && method == Method::resources_read && error.code == code::invalid_params &&
      Slice::trusted(error.data).find("uri").exists()) {
    error.code = code::resource_not_found;
  }
  if (error.code <= code::header_mismatch && error.code >= code::unsupported_version)
    error.code = code::internal_error;
  return error;
}

int legacy_status(const RpcError& error) { return retry_status(error).value_or(200); }

std::string legacy_input_params(const InputRequest& request, std::string_view version,
                                std::string_view elicitation_id) {
  const Slice params = Slice::trusted(request.params);
  const bool is_url = request.method == "elicitation/create" && params.find("mode").as_string() == "url";
  if (!is_url) return older_input_params(request.method, request.params, version);
  if (params.find("elicitationId").exists()) return request.params;
  const std::string quoted = json_quote(elicitation_id);
  return json::edit(params, {{"elicitationId", quoted}});
}

std::string with_notice(std::string_view result, std::string_view notice) {
  const Slice object = Slice::trusted(result);
  const Slice meta = object.find("_meta");
  const std::string noted =
      json::edit(meta.is(Kind::object) ? meta : Slice::trusted("{}"), {{notice_key, json_quote(notice)}});
  return json::edit(object, {{"_meta", noted}});
}

std::string notice_message(std::string_view notice) {
  return write_notification("notifications/message", notice_params(notice));
}

std::string notice_params(std::string_view notice) {
  return fmt::format(R"({{"level":"warning","logger":"berth","data":{}}})", json_quote(notice));
}

RpcError session_not_found() {
  return {code::session_not_found,
          "Session not found: it has ended or belongs to another caller; initialize anew.",
          {}};
}

std::string tool_error_result(std::string_view text) {
  return fmt::format(R"({{"content":[{{"type":"text","text":{}}}],"isError":true}})", json_quote(text));
}

std::string legacy_notification(const Change& change) {
  if (change.kind == Change::Kind::message) {
    return write_notification(change.message.method, change.message.params);
  }
  std::string params;
  if (change.kind == Change::Kind::resource_updated) params = "{\"uri\":" + json_quote(change.uri) + "}";
  return write_notification(notification_method(change.kind), params);
}

}  // namespace berth::mcp
