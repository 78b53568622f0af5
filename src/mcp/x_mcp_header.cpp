#include "mcp/x_mcp_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "mcp/headers.h"

namespace berth::mcp {
namespace {

using json::Kind;
using json::Slice;

constexpr std::string_view annotation = "x-mcp-header";
constexpr std::string_view field_prefix = "Mcp-Param-";

bool is_token(std::string_view text) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           marks.find(c) != marks.npos;
  });
}

std::string show(const std::vector<std::string>& path) {
  std::string out = path.empty() ? "the schema itself" : "";
  for (const std::string& part : path) out.append(out.empty() ? "" : ".").append(part);
  return out;
}

/// Walks a schema along `properties`, collecting annotations, and everything else, where none may be.
class Scanner {
 public:
  Result<std::vector<HeaderParam>> run(Slice schema) {
    std::vector<std::string> path;
    if (const Result<void> visited = visit(schema, path, true); !visited) return Failure(visited.error());
    return std::move(params_);
  }

 private:
  Result<void> visit(Slice schema, std::vector<std::string>& path, bool reachable) {
    if (!schema.is(Kind::object)) return {};
    if (const Slice mark = schema.find(annotation); mark.exists()) {
      if (const Result<void> taken = take(schema, mark, path, reachable); !taken) return taken;
    }
    for (json::Members members(schema); members.next();) {
      if (members.key_is("properties") && members.value().is(Kind::object)) {
        for (json::Members properties(members.value()); properties.next();) {
          path.push_back(properties.key());
          const Result<void> visited = visit(properties.value(), path, reachable);
          path.pop_back();
          if (!visited) return visited;
        }
      } else if (is_subschema(members)) {
        if (const Result<void> visited = visit_unreachable(members.value(), path); !visited) return visited;
      }
    }
    return {};
  }

  /// Keywords that hold schemas; under `default`, `examples`, `enum` or `const` the word is mere data.
  static bool is_subschema(const json::Members& member) {
    return !member.key_is("default") && !member.key_is("examples") && !member.key_is("enum") &&
           !member.key_is("const") && !member.key_is(annotation);
  }

  Result<void> visit_unreachable(Slice value, std::vector<std::string>& path) {
    if (value.is(Kind::array)) {
      for (json::Elements elements(value); elements.next();) {
        if (const Result<void> visited = visit_unreachable(elements.value(), path); !visited) return visited;
      }
    } else if (value.is(Kind::object)) {
      if (value.find(annotation).exists()) return take(value, value.find(annotation), path, false);
      for (json::Members members(value); members.next();) {
        if (!is_subschema(members)) continue;
        if (const Result<void> visited = visit_unreachable(members.value(), path); !visited) return visited;
      }
    }
    return {};
  }

  Result<void> take(Slice schema, Slice mark, const std::vector<std::string>& path, bool reachable) {
    const auto bad = [&](std::string_view rule) {
      return fail(ErrorCode::invalid_argument, fmt::format("x-mcp-header at {} {}.", show(path), rule));
    };
    if (!reachable || path.empty()) return bad("is not reachable through 'properties' alone");
    const std::optional<std::string> name = mark.as_string();
    if (!name || !is_token(*name)) return bad("must be a non-empty header token");
    const std::string type = schema.find("type").as_string().value_or("");
    if (type != "string" && type != "integer" && type != "boolean") {
      return bad("is allowed on strings, integers and booleans only");
    }
    for (const HeaderParam& other : params_) {
      if (http::equals_ignoring_case(other.header, *name))
        return bad(fmt::format("repeats the name '{}'", *name));
    }
    params_.push_back({*name, path, type == "integer"});
    return {};
  }

  std::vector<HeaderParam> params_;
};

Slice argument_at(Slice arguments, const std::vector<std::string>& path) {
  for (const std::string& key : path) arguments = arguments.find(key);
  return arguments;
}

/// The argument as header text; nullopt for null, absent, and what is no primitive (the server refuses that).
std::optional<std::string> header_text(Slice value) {
  if (value.is(Kind::string)) return value.as_string();
  if (value.is(Kind::boolean)) return std::string(value.text());
  if (!value.is(Kind::number)) return std::nullopt;
  if (const auto whole = value.as_int()) return std::to_string(*whole);
  return std::string(value.text());
}

std::optional<double> decimal(std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(),
                                 [](char c) { return (c >= '0' && c <= '9') || c == '-' || c == '.'; });
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (!plain || error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

bool agree(const HeaderParam& param, Slice argument, std::string_view expected, std::string_view decoded) {
  if (decoded == expected) return true;
  if (!param.is_integer || !argument.is(Kind::number)) return false;
  const std::optional<double> number = decimal(decoded);
  return number && number == argument.as_double();
}

RpcError param_mismatch(std::string message) {
  return {code::header_mismatch, "Header mismatch: " + std::move(message), {}};
}

/// `value` without any x-mcp-header member, at any depth.
void append_without_annotations(std::string& out, Slice value) {
  if (value.is(Kind::object)) {
    out.push_back('{');
    for (json::Members members(value); members.next();) {
      if (members.key_is(annotation)) continue;
      if (out.back() != '{') out.push_back(',');
      out.append("\"").append(members.raw_key()).append("\":");
      append_without_annotations(out, members.value());
    }
    out.push_back('}');
  } else if (value.is(Kind::array)) {
    out.push_back('[');
    for (json::Elements elements(value); elements.next();) {
      if (out.back() != '[') out.push_back(',');
      append_without_annotations(out, elements.value());
    }
    out.push_back(']');
  } else {
    out.append(value.text());
  }
}

}  // namespace

Result<std::vector<HeaderParam>> read_header_params(Slice input_schema) {
  return Scanner().run(input_schema);
}

std::optional<RpcError> check_header_params(std::span<const HeaderParam> params, Slice arguments,
                                            const http::Headers& headers) {
  for (const HeaderParam& param : params) {
    const std::string field = std::string(field_prefix) + param.header;
    const Slice argument = argument_at(arguments, param.path);
    const std::optional<std::string> expected = header_text(argument);
    const std::optional<std::string_view> sent = headers.get(field);
    if (!expected && !sent) continue;
    if (!expected) {
      const bool absent = !argument.exists() || argument.is(Kind::null);
      if (!absent) continue;
      return param_mismatch(
          fmt::format("the {} header is there, but the argument '{}' is not.", field, show(param.path)));
    }
    if (!sent) {
      return param_mismatch(fmt::format("the argument '{}' is there, but the required {} header is missing.",
                                        show(param.path), field));
    }
    if (!headers.repeated({field}).empty())
      return param_mismatch(fmt::format("the {} header is given more than once.", field));
    const std::optional<std::string> decoded = decode_header_value(*sent);
    if (!decoded)
      return param_mismatch(fmt::format("the {} header is not canonical base64 inside =?base64?…?=.", field));
    if (agree(param, argument, *expected, *decoded)) continue;
    return param_mismatch(fmt::format("the {} header says '{}', but the argument '{}' is '{}'.", field,
                                      *decoded, show(param.path), *expected));
  }
  return std::nullopt;
}

void add_header_params(std::span<const HeaderParam> params, Slice arguments, http::Headers& out) {
  for (const HeaderParam& param : params) {
    const std::optional<std::string> text = header_text(argument_at(arguments, param.path));
    if (text) out.add(std::string(field_prefix) + param.header, encode_header_value(*text));
  }
}

std::string leave_out_illegal_tools(std::string result, std::vector<std::string>& left_out) {
  if (result.find(annotation) == std::string::npos) return result;
  const Slice object = Slice::trusted(result);
  std::string tools = "[";
  for (json::Elements elements(object.find("tools")); elements.next();) {
    const Slice tool = elements.value();
    const auto params = read_header_params(tool.find("inputSchema"));
    if (!params) {
      left_out.push_back(
          fmt::format("Tool '{}': {}", tool.find("name").as_string().value_or(""), params.error().message()));
      continue;
    }
    if (tools.size() > 1) tools.push_back(',');
    tools.append(tool.text());
  }
  tools.push_back(']');
  return left_out.empty() ? result : json::edit(object, {{"tools", tools}});
}

std::string repair_header_params(std::string result) {
  if (result.find(annotation) == std::string::npos) return result;
  const Slice object = Slice::trusted(result);
  bool repaired = false;
  std::string tools = "[";
  for (json::Elements elements(object.find("tools")); elements.next();) {
    if (tools.size() > 1) tools.push_back(',');
    const Slice schema = elements.value().find("inputSchema");
    if (read_header_params(schema)) {
      tools.append(elements.value().text());
      continue;
    }
    repaired = true;
    std::string cleaned;
    append_without_annotations(cleaned, schema);
    tools.append(json::edit(elements.value(), {{"inputSchema", cleaned}}));
  }
  tools.push_back(']');
  return repaired ? json::edit(object, {{"tools", tools}}) : result;
}

}  // namespace berth::mcp
