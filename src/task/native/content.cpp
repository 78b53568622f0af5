#include "berth/content.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/log.h"
#include "berth/detail/handler.h"
#include "codec/base64.h"

namespace berth {

namespace {

void append_string(std::string& out, std::string_view name, std::string_view value) {
  out += '"';
  out += name;
  out += R"(":")";
  append_json_escaped(out, value);
  out += '"';
}

std::string media_block(std::string_view type, const Blob& blob) {
  BERTH_CHECK(!blob.media_type.empty(), "image and audio content name their media type");
  std::string json = R"({"type":")";
  json += type;
  json += R"(","data":")";
  base64::append(json, blob.bytes);
  json += R"(",)";
  append_string(json, "mimeType", blob.media_type);
  json += '}';
  return json;
}

std::string_view to_string(Role role) { return role == Role::user ? "user" : "assistant"; }

}  // namespace

Content Content::text(std::string_view text) {
  std::string json;
  json.reserve(text.size() + 32);
  json += R"({"type":"text",)";
  append_string(json, "text", text);
  json += '}';
  return Content(std::move(json));
}

Content Content::image(const Blob& image) { return Content(media_block("image", image)); }
Content Content::audio(const Blob& audio) { return Content(media_block("audio", audio)); }

Content Content::resource(const ResourceContents& contents) {
  BERTH_CHECK(!contents.uri.empty(), "an embedded resource has a URI");
  std::string json = R"({"type":"resource","resource":)";
  detail::append_contents(json, contents, contents.uri, contents.media_type);
  json += '}';
  return Content(std::move(json));
}

Content Content::link(std::string_view uri, std::string_view name, std::string_view media_type) {
  std::string json = R"({"type":"resource_link",)";
  append_string(json, "uri", uri);
  json += ',';
  append_string(json, "name", name);
  if (!media_type.empty()) {
    json += ',';
    append_string(json, "mimeType", media_type);
  }
  json += '}';
  return Content(std::move(json));
}

Content Content::annotated(std::optional<Audience> audience, std::optional<double> priority) && {
  std::string notes;
  if (audience) {
    const std::string_view name = *audience == Audience::user ? "user" : "assistant";
    notes += fmt::format(R"("audience":["{}"])", name);
  }
  if (priority) {
    if (!notes.empty()) notes += ',';
    notes += fmt::format(R"("priority":{})", *priority);
  }
  json_.pop_back();
  json_ += fmt::format(R"(,"annotations":{{{}}}}})", notes);
  return std::move(*this);
}

ToolResult::ToolResult(std::string_view text) {
  content_.reserve(text.size() + 32);
  content_ += R"({"type":"text",)";
  append_string(content_, "text", text);
  content_ += '}';
}

ToolResult::ToolResult(const Content& content) : content_(content.json()) {}

ToolResult::ToolResult(const std::vector<Content>& contents) {
  for (const Content& content : contents) add(content);
}

ToolResult::ToolResult(std::initializer_list<Content> contents) {
  for (const Content& content : contents) add(content);
}

ToolResult ToolResult::error(std::string_view text) {
  ToolResult result(text);
  result.is_error_ = true;
  return result;
}

ToolResult ToolResult::structured_json(std::string json) {
  ToolResult result{std::string_view(json)};
  result.structured_ = std::move(json);
  return result;
}

ToolResult& ToolResult::add(const Content& content) {
  if (!content_.empty()) content_ += ',';
  content_ += content.json();
  return *this;
}

std::string ToolResult::json() && {
  std::string json;
  json.reserve(content_.size() + structured_.size() + 64);
  json += R"({"content":[)";
  json += content_;
  json += ']';
  if (!structured_.empty()) {
    json += R"(,"structuredContent":)";
    json += structured_;
  }
  if (is_error_) json += R"(,"isError":true)";
  json += '}';
  return json;
}

PromptMessage user(Content content) { return {Role::user, std::move(content)}; }
PromptMessage assistant(Content content) { return {Role::assistant, std::move(content)}; }
PromptMessage user(std::string_view text) { return user(Content::text(text)); }
PromptMessage assistant(std::string_view text) { return assistant(Content::text(text)); }

ResourceResult::ResourceResult(std::string text) {
  contents_.push_back(ResourceContents{.text = std::move(text)});
}

ResourceResult::ResourceResult(Blob blob) {
  ResourceContents contents{.media_type = std::move(blob.media_type), .bytes = std::move(blob.bytes)};
  contents_.push_back(std::move(contents));
}

ResourceResult::ResourceResult(ResourceContents contents) { contents_.push_back(std::move(contents)); }

namespace detail {

void append_contents(std::string& out, const ResourceContents& contents, std::string_view uri,
                     std::string_view media_type) {
  out += '{';
  append_string(out, "uri", contents.uri.empty() ? uri : contents.uri);
  const std::string_view type = contents.media_type.empty() ? media_type : contents.media_type;
  if (!type.empty()) {
    out += ',';
    append_string(out, "mimeType", type);
  }
  if (contents.bytes) {
    out += R"(,"blob":")";
    base64::append(out, *contents.bytes);
    out += '"';
  } else {
    out += ',';
    append_string(out, "text", contents.text);
  }
  out += '}';
}

mcp::Outcome finish_tool(ToolResult result) { return mcp::Outcome::success(std::move(result).json()); }

mcp::Outcome finish_prompt(const PromptResult& result) {
  std::string json = "{";
  if (!result.description.empty()) {
    append_string(json, "description", result.description);
    json += ',';
  }
  json += R"("messages":[)";
  for (const PromptMessage& message : result.messages) {
    if (json.back() != '[') json += ',';
    json += fmt::format(R"({{"role":"{}","content":{}}})", to_string(message.role), message.content.json());
  }
  json += "]}";
  return mcp::Outcome::success(std::move(json));
}

mcp::Outcome resource_not_found(std::string_view uri) {
  return mcp::Outcome::failure(mcp::code::invalid_params, fmt::format("There is no resource '{}'.", uri),
                               fmt::format(R"({{"uri":{}}})", json_quote(uri)));
}

mcp::Outcome finish_resource(const ResourceResult& result, std::string_view uri, std::string_view media_type,
                             const Caching& caching) {
  if (!result.found() || result.contents().empty()) return resource_not_found(uri);
  std::string json = R"({"contents":[)";
  for (const ResourceContents& contents : result.contents()) {
    if (json.back() != '[') json += ',';
    append_contents(json, contents, uri, media_type);
  }
  json += "]}";
  mcp::Outcome outcome = mcp::Outcome::success(std::move(json));
  outcome.cache = mcp::CacheHint{.ttl_ms = caching.time_to_live.count(), .is_public = caching.shared};
  return outcome;
}

mcp::Outcome tool_failed(const Error& error) { return finish_tool(ToolResult::error(error.message())); }

mcp::Outcome request_failed(const Error& error) {
  const bool of_caller = error.code() == ErrorCode::invalid_argument || error.code() == ErrorCode::not_found;
  const int code = of_caller ? mcp::code::invalid_params : mcp::code::internal_error;
  return mcp::Outcome::failure(code, error.message());
}

mcp::Outcome tool_arguments_refused(const HandlerInput& input, const Reader& reader) {
  const std::string problems = fmt::format("{}", fmt::join(reader.problems(), "\n"));
  return finish_tool(
      ToolResult::error(fmt::format("The arguments of {} do not fit its schema:\n{}", input.name, problems)));
}

mcp::Outcome arguments_refused(const HandlerInput& input, const Reader& reader) {
  return mcp::Outcome::failure(
      mcp::code::invalid_params,
      fmt::format("The arguments of {} do not fit: {}", input.name, fmt::join(reader.problems(), " ")));
}

}  // namespace detail
}  // namespace berth
