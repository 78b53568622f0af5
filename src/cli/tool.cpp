#include "cli/tool.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/log.h"
#include "codec/json.h"
#include "mcp/x_mcp_header.h"
#include "model/units.h"

namespace berth::cli {
namespace {

namespace json = boost::json;

json::value parse(std::string_view text) {
  json::error_code error;
  json::value value = json::parse(text, error);
  return error ? json::value() : value;
}

const json::object empty_object;

const json::object& object_at(const json::value& value) {
  return value.is_object() ? value.get_object() : empty_object;
}
const json::object& object_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? empty_object : object_at(*value);
}
std::string text_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
std::vector<std::string> texts_at(const json::object& object, std::string_view name) {
  std::vector<std::string> out;
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_array()) return out;
  for (const json::value& element : value->get_array()) {
    if (element.is_string()) out.emplace_back(element.get_string());
  }
  return out;
}

std::string content_text(const json::object& part) {
  std::string type = text_at(part, "type");
  if (type == "text") return text_at(part, "text");
  if (type == "resource_link") return fmt::format("[link {}]", text_at(part, "uri"));
  if (type == "resource") {
    const json::object& resource = object_at(part, "resource");
    std::string text = text_at(resource, "text");
    return text.empty() ? fmt::format("[resource {}]", text_at(resource, "uri")) : text;
  }
  return fmt::format("[{} {}, {} bytes of base64; --json prints it]", type, text_at(part, "mimeType"),
                     text_at(part, "data").size());
}

Question read_question(std::string_view key, const json::object& request) {
  const json::object& params = object_at(request, "params");
  Question question{.key = std::string(key),
                    .method = text_at(request, "method"),
                    .message = text_at(params, "message"),
                    .url = text_at(params, "url"),
                    .fields = {}};
  const json::object& schema = object_at(params, "requestedSchema");
  std::vector<std::string> required = texts_at(schema, "required");
  for (const auto& property : object_at(schema, "properties")) {
    const json::object& inner = object_at(property.value());
    Question::Field field;
    field.name = std::string(property.key());
    field.label = text_at(inner, "title");
    if (field.label.empty()) field.label = text_at(inner, "description");
    field.type = text_at(inner, "type");
    field.choices = texts_at(inner, "enum");
    if (const json::value* value = inner.if_contains("default"))
      field.default_value = json::serialize(*value);
    field.required = std::ranges::find(required, field.name) != required.end();
    question.fields.push_back(std::move(field));
  }
  return question;
}

/// `text` as JSON where it is JSON, unless its schema takes a text and nothing that this JSON is: an id of
/// digits stays a text.
json::value typed_value(const std::string& text, const json::object& schema) {
  std::vector<std::string> types = texts_at(schema, "type");
  if (types.empty()) types.push_back(text_at(schema, "type"));
  auto takes = [&types](std::string_view type) { return std::ranges::find(types, type) != types.end(); };
  json::error_code error;
  json::value value = json::parse(text, error);
  if (error) return json::value(text);
  const bool is_taken = (value.is_number() && (takes("number") || takes("integer"))) ||
                        (value.is_bool() && takes("boolean")) || (value.is_null() && takes("null")) ||
                        (value.is_object() && takes("object")) || (value.is_array() && takes("array"));
  // In quotes a text is what the quotes hold, as it always was.
  const bool is_text = takes("string") && !is_taken && !value.is_string();
  return is_text ? json::value(text) : value;
}

}  // namespace

Result<ToolPage> read_tool_page(std::string_view result) {
  json::value value = parse(result);
  const json::value* tools = object_at(value).if_contains("tools");
  if (tools == nullptr || !tools->is_array()) {
    return fail(ErrorCode::internal, "The server's answer to tools/list has no \"tools\".");
  }
  ToolPage page;
  for (const json::value& element : tools->get_array()) {
    const json::object& tool = object_at(element);
    page.tools.push_back({.name = text_at(tool, "name"),
                          .description = text_at(tool, "description"),
                          .input_schema = json::serialize(object_at(tool, "inputSchema"))});
  }
  std::string cursor = text_at(object_at(value), "nextCursor");
  if (!cursor.empty()) page.next_cursor = std::move(cursor);
  return page;
}

std::string signature(const Tool& tool) {
  json::value schema = parse(tool.input_schema);
  std::vector<std::string> required = texts_at(object_at(schema), "required");
  std::string out = tool.name + "(";
  bool first = true;
  for (const auto& property : object_at(object_at(schema), "properties")) {
    std::string name(property.key());
    bool needed = std::ranges::find(required, name) != required.end();
    out += fmt::format("{}{}{}", first ? "" : ", ", name, needed ? "" : "?");
    first = false;
  }
  return out + ")";
}

Result<std::string> read_tool_arguments(const std::vector<std::string>& words,
                                        std::string_view input_schema) {
  if (words.empty()) return "{}";
  if (words.size() == 1 && !words[0].contains('=')) {
    json::value value = parse(words[0]);
    if (value.is_object()) return json::serialize(value);
    return fail(ErrorCode::invalid_argument,
                fmt::format("The arguments {} are not a JSON object; write '{{\"name\": \"value\"}}' in "
                            "single quotes, or name=value.",
                            json_quote(words[0])));
  }
  if (words.size() == 1 && words[0].starts_with('{')) {
    json::value value = parse(words[0]);
    if (value.is_object()) return json::serialize(value);
  }
  json::object out;
  const json::value schema = parse(input_schema);
  const json::object& properties = object_at(object_at(schema), "properties");
  for (const std::string& word : words) {
    std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{} is not name=value; give one JSON object in single quotes, or several "
                              "name=value.",
                              json_quote(word)));
    }
    const std::string name = word.substr(0, equals);
    out[name] = typed_value(word.substr(equals + 1), object_at(properties, name));
  }
  return json::serialize(out);
}

http::Headers parameter_headers(const Tool& tool, std::string_view arguments) {
  http::Headers out;
  Result<berth::json::Slice> schema = berth::json::parse(tool.input_schema);
  Result<berth::json::Slice> values = berth::json::parse(arguments);
  if (!schema || !values) return out;
  Result<std::vector<mcp::HeaderParam>> params = mcp::read_header_params(*schema);
  if (params) mcp::add_header_params(*params, *values, out);
  return out;
}

std::string notification_text(std::string_view method, std::string_view params) {
  json::value value = parse(params);
  const json::object& object = object_at(value);
  auto member = [&](std::string_view name) {
    const json::value* found = object.if_contains(name);
    if (found == nullptr) return std::string();
    return found->is_string() ? std::string(found->get_string()) : json::serialize(*found);
  };
  if (method == "notifications/progress") {
    std::string total = member("total");
    std::string message = member("message");
    return fmt::format("{}{}{}", member("progress"), total.empty() ? "" : " of " + total,
                       message.empty() ? "" : " – " + message);
  }
  if (method == "notifications/message") return fmt::format("{}: {}", member("level"), member("data"));
  return fmt::format("{} {}", method, params);
}

ToolResult read_tool_result(std::string_view result) {
  json::value value = parse(result);
  const json::object& object = object_at(value);
  ToolResult out;
  const json::value* is_error = object.if_contains("isError");
  out.is_error = is_error != nullptr && is_error->is_bool() && is_error->get_bool();
  const json::value* content = object.if_contains("content");
  if (content != nullptr && content->is_array()) {
    for (const json::value& part : content->get_array()) {
      out.text += content_text(object_at(part));
      if (!out.text.ends_with('\n')) out.text += '\n';
    }
  }
  const json::value* structured = object.if_contains("structuredContent");
  if (out.text.empty() && structured != nullptr) out.text = json::serialize(*structured) + "\n";
  return out;
}

std::string prompt_text(std::string_view result) {
  const json::value value = parse(result);
  const json::value* const messages = object_at(value).if_contains("messages");
  std::string out;
  if (messages == nullptr || !messages->is_array()) return out;
  for (const json::value& message : messages->get_array()) {
    const json::object& object = object_at(message);
    out += fmt::format("{}: {}\n", text_at(object, "role"), content_text(object_at(object, "content")));
  }
  return out;
}

std::string resource_text(std::string_view result) {
  const json::value value = parse(result);
  const json::value* const contents = object_at(value).if_contains("contents");
  std::string out;
  if (contents == nullptr || !contents->is_array()) return out;
  for (const json::value& content : contents->get_array()) {
    const json::object& object = object_at(content);
    const json::value* const text = object.if_contains("text");
    if (text != nullptr && text->is_string()) {
      out += std::string(text->get_string());
    } else {
      out += fmt::format("[{} {}, {} bytes of base64; --json prints it]", text_at(object, "uri"),
                         text_at(object, "mimeType"), text_at(object, "blob").size());
    }
    if (!out.ends_with('\n')) out += '\n';
  }
  return out;
}

std::optional<InputRound> read_input_round(std::string_view result) {
  json::value value = parse(result);
  const json::object& object = object_at(value);
  if (text_at(object, "resultType") != "input_required") return std::nullopt;
  InputRound round;
  if (const json::value* state = object.if_contains("requestState")) round.state = json::serialize(*state);
  for (const auto& request : object_at(object, "inputRequests")) {
    round.questions.push_back(read_question(request.key(), object_at(request.value())));
  }
  return round;
}

Result<std::string> read_answer(const Question::Field& field, const std::string& typed) {
  auto bad = [](std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); };
  if (!field.choices.empty() && std::ranges::find(field.choices, typed) == field.choices.end()) {
    return bad(fmt::format("write one of {}", fmt::join(field.choices, ", ")));
  }
  if (field.type == "boolean") {
    if (typed == "y" || typed == "yes" || typed == "true") return "true";
    if (typed == "n" || typed == "no" || typed == "false") return "false";
    return bad("write yes or no");
  }
  if (field.type == "integer" || field.type == "number") {
    json::value value = parse(typed);
    bool whole = value.is_int64() || value.is_uint64();
    if (whole || (field.type == "number" && value.is_double())) return typed;
    return bad(field.type == "integer" ? "write a whole number" : "write a number");
  }
  return json_quote(typed);
}

}  // namespace berth::cli
