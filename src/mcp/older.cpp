#include "mcp/older.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <vector>

#include "base/log.h"

namespace berth::mcp {
namespace {

using json::Kind;
using json::Slice;

/// The first revisions with structured content and links to resources; with sound.
constexpr std::string_view structured_since = "2025-06-18";
constexpr std::string_view audio_since = "2025-03-26";
constexpr int references_max = 8;

bool has_type(Slice value, std::string_view type) { return value.find("type").as_string() == type; }

/// To an array that is being written.
void append_element(std::string& out, std::string_view text) {
  if (out.size() > 1) out.push_back(',');
  out.append(text);
}

std::string text_block(std::string_view text) {
  return fmt::format(R"({{"type":"text","text":{}}})", json_quote(text));
}

/// nullopt: the revision knows it.
std::optional<std::string> older_content(Slice block, std::string_view version) {
  if (has_type(block, "resource_link") && version < structured_since) {
    const std::string name =
        block.find("title").as_string().value_or(block.find("name").as_string().value_or(std::string()));
    const std::string uri = block.find("uri").as_string().value_or("");
    return text_block(name.empty() ? uri : name + ": " + uri);
  }
  if (has_type(block, "audio") && version < audio_since) {
    return fmt::format(
        R"({{"type":"resource","resource":{{"uri":"content:audio","mimeType":{},"blob":{}}}}})",
        block.find("mimeType").text(), block.find("data").text());
  }
  return std::nullopt;
}

/// nullopt: there is nothing to change.
std::optional<std::string> older_blocks(Slice blocks, std::string_view version) {
  std::string out = "[";
  bool is_changed = false;
  for (json::Elements each(blocks); each.next();) {
    const auto changed = older_content(each.value(), version);
    is_changed = is_changed || changed;
    append_element(out, changed ? *changed : each.value().text());
  }
  out.push_back(']');
  return is_changed ? std::optional(std::move(out)) : std::nullopt;
}

std::string older_call_result(std::string result, std::string_view version) {
  if (Slice::trusted(result).find("structuredContent").exists())
    result = without_structured_content(Slice::trusted(result));
  const Slice object = Slice::trusted(result);
  const auto blocks = older_blocks(object.find("content"), version);
  return blocks ? json::edit(object, {{"content", *blocks}}) : result;
}

std::string older_prompt(std::string result, std::string_view version) {
  std::string messages = "[";
  bool is_changed = false;
  for (json::Elements each(Slice::trusted(result).find("messages")); each.next();) {
    const auto content = older_content(each.value().find("content"), version);
    is_changed = is_changed || content;
    append_element(messages, content ? json::edit(each.value(), {{"content", *content}})
                                     : std::string(each.value().text()));
  }
  messages.push_back(']');
  return is_changed ? json::edit(Slice::trusted(result), {{"messages", messages}}) : result;
}

std::string older_tools(std::string result) {
  std::string tools = "[";
  for (json::Elements each(Slice::trusted(result).find("tools")); each.next();) {
    append_element(tools, json::edit(each.value(), {{"outputSchema", std::nullopt}}));
  }
  tools.push_back(']');
  return json::edit(Slice::trusted(result), {{"tools", tools}});
}

/// `oneOf: [{const, title}…]` as enum and enumNames; nullopt: it is something else.
std::optional<std::string> named_choices(Slice property) {
  const Slice choices = property.find("oneOf");
  if (!choices.is(Kind::array)) return std::nullopt;
  std::string values = "[";
  std::string names = "[";
  for (json::Elements each(choices); each.next();) {
    const Slice value = each.value().find("const");
    if (!value.exists()) return std::nullopt;
    const Slice title = each.value().find("title");
    append_element(values, value.text());
    append_element(names, title.exists() ? title.text() : value.text());
  }
  values.push_back(']');
  names.push_back(']');
  return json::edit(property, {{"oneOf", std::nullopt}, {"enum", values}, {"enumNames", names}});
}

std::string older_property(Slice property) {
  std::string text = named_choices(property).value_or(std::string(property.text()));
  if (has_type(property, "boolean")) return text;
  return json::edit(Slice::trusted(text), {{"default", std::nullopt}});
}

std::string older_form(Slice schema) {
  std::set<std::string> required;
  for (json::Elements each(schema.find("required")); each.next();)
    required.insert(each.value().as_string().value_or(""));
  std::string properties = "{";
  for (json::Members each(schema.find("properties")); each.next();) {
    if (has_type(each.value(), "array") && !required.contains(each.key())) continue;
    append_member(properties, fmt::format("\"{}\":{}", each.raw_key(), older_property(each.value())));
  }
  properties.push_back('}');
  return json::edit(schema, {{"$schema", std::nullopt}, {"properties", properties}});
}

std::string older_sampling(Slice params) {
  std::string messages = "[";
  for (json::Elements each(params.find("messages")); each.next();) {
    const Slice content = each.value().find("content");
    if (!content.is(Kind::array)) append_element(messages, each.value().text());
    for (json::Elements blocks(content); blocks.next();)
      append_element(messages, json::edit(each.value(), {{"content", blocks.value().text()}}));
  }
  messages.push_back(']');
  return json::edit(params, {{"messages", messages}});
}

/// One part of a JSON pointer in a fragment (RFC 6901, section 6).
std::string pointer_part(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    unsigned char byte = 0;
    if (text.substr(at).starts_with("~1")) {
      out.push_back('/');
      ++at;
    } else if (text.substr(at).starts_with("~0")) {
      out.push_back('~');
      ++at;
    } else if (text[at] == '%' && at + 2 < text.size() &&
               std::from_chars(text.data() + at + 1, text.data() + at + 3, byte, 16).ec == std::errc{}) {
      out.push_back(static_cast<char>(byte));
      at += 2;
    } else {
      out.push_back(text[at]);
    }
  }
  return out;
}

/// What a reference within `root` names.
Slice referred(Slice root, std::string_view reference) {
  if (!reference.starts_with("#/")) return {};
  reference.remove_prefix(2);
  Slice found = root;
  while (true) {
    const std::size_t end = std::min(reference.find('/'), reference.size());
    found = found.find(pointer_part(reference.substr(0, end)));
    if (end == reference.size() || !found.exists()) return found;
    reference.remove_prefix(end + 1);
  }
}

}  // namespace

std::string older_result(Method method, std::string result, std::string_view version) {
  if (version >= structured_since) return result;
  switch (method) {
    case Method::tools_call: return older_call_result(std::move(result), version);
    case Method::prompts_get: return older_prompt(std::move(result), version);
    case Method::tools_list:
      if (result.find("outputSchema") == std::string::npos) return result;
      return older_tools(std::move(result));
    default: return result;
  }
}

std::string older_input_params(std::string_view method, std::string params, std::string_view version) {
  if (version >= latest_legacy_version || params.empty()) return params;
  const Slice object = Slice::trusted(params);
  if (method == "sampling/createMessage") return older_sampling(object);
  if (method != "elicitation/create") return params;
  const Slice schema = object.find("requestedSchema");
  if (!schema.is(Kind::object)) return json::edit(object, {{"mode", std::nullopt}});
  return json::edit(object, {{"mode", std::nullopt}, {"requestedSchema", older_form(schema)}});
}

std::string without_structured_content(Slice result) {
  const Slice content = result.find("content");
  const bool is_bare = !content.is(Kind::array) || !json::Elements(content).next();
  if (!is_bare) return json::edit(result, {{"structuredContent", std::nullopt}});
  const std::string text = "[" + text_block(result.find("structuredContent").text()) + "]";
  return json::edit(result, {{"structuredContent", std::nullopt}, {"content", text}});
}

std::optional<std::string> object_schema(Slice schema) {
  if (has_type(schema, "object")) return std::string(schema.text());
  Slice found = schema;
  for (int i = 0; i < references_max && found.exists() && !has_type(found, "object"); ++i) {
    const auto reference = found.find("$ref").as_string();
    found = reference ? referred(schema, *reference) : Slice();
  }
  if (!has_type(found, "object")) return std::nullopt;
  // The definitions stay, for what refers to them further down.
  std::vector<json::Edit> edits;
  for (const std::string_view key : {"$schema", "$defs", "definitions"}) {
    const Slice kept = schema.find(key);
    if (kept.exists() && !found.find(key).exists()) edits.push_back({key, kept.text()});
  }
  return json::edit(found, edits);
}

}  // namespace berth::mcp
