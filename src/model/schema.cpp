#include "model/schema.h"

#include <fmt/format.h>

#include "base/log.h"
#include "model/fields.h"
#include "model/inherited.h"
#include "model/spec.h"
#include "model/units.h"

namespace berth::model {
namespace {

/// A default-constructed block for each block of the table, from which defaults are read.
struct Defaults {
  Spec spec;
  ServerSpec server;
};

void* inner_block(const Field& field, void* block, Defaults& defaults) {
  if (field.kind == FieldKind::list) return field.list->append(field.locate(block));
  if (field.locate == nullptr) return &defaults.server;
  return field.locate(block);
}

std::string default_of(const Field& field, void* block) {
  if (!field.default_text.empty()) return std::string(field.default_text);
  return value_text(field, block);
}

// ---- JSON Schema ----

constexpr std::string_view duration_pattern = R"(^(0|(?=[0-9])([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$)";
constexpr std::string_view bytes_pattern = R"(^[0-9]+(\\.[0-9]+)? ?([KkMmGgTt][Ii]?[Bb]?|[Bb])?$)";

std::string text_list(std::span<const std::string_view> texts) {
  std::string out;
  for (std::string_view text : texts) {
    if (!out.empty()) out += ", ";
    out += json_quote(text);
  }
  return out;
}

/// The JSON form of the default, or empty.
std::string schema_default(const Field& field, void* block) {
  if (field.locate == nullptr || !field.default_text.empty()) return {};
  switch (field.kind) {
    case FieldKind::flag:
    case FieldKind::count:
    case FieldKind::number: return value_text(field, block);
    case FieldKind::texts: {
      const auto& texts = *static_cast<const std::vector<std::string>*>(field.locate(block));
      std::vector<std::string_view> views(texts.begin(), texts.end());
      return fmt::format("[{}]", text_list(views));
    }
    case FieldKind::text:
    case FieldKind::bytes:
    case FieldKind::duration:
    case FieldKind::choice: {
      std::string text = value_text(field, block);
      return text.empty() ? text : json_quote(text);
    }
    default: return {};
  }
}

std::string schema_type(const Field& field) {
  switch (field.kind) {
    case FieldKind::text: return R"("type": "string")";
    case FieldKind::flag: return R"("type": "boolean")";
    case FieldKind::count:
    case FieldKind::port:
      return fmt::format(R"("type": "integer", "minimum": {:.0f}, "maximum": {:.0f})", field.min, field.max);
    case FieldKind::number:
      return fmt::format(R"("type": "number", "minimum": {}, "maximum": {})", field.min, field.max);
    case FieldKind::bytes:
      return fmt::format(R"("type": ["string", "integer"], "pattern": "{}")", bytes_pattern);
    case FieldKind::duration:
      return fmt::format(R"("type": ["string", "integer"], "pattern": "{}", "maximum": 0)", duration_pattern);
    case FieldKind::texts: return R"("type": "array", "items": {"type": ["string", "number", "boolean"]})";
    case FieldKind::table:
      return R"("type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]})";
    case FieldKind::choice: return fmt::format(R"("enum": [{}])", text_list(field.choices));
    case FieldKind::argv:
      return R"("oneOf": [{"type": "string", "minLength": 1}, )"
             R"({"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean"]}}])";
    default: return {};
  }
}

std::string schema_object(std::span<const Field> fields, void* block, Defaults& defaults, std::size_t depth);

std::string schema_field(const Field& field, void* block, Defaults& defaults, std::size_t depth) {
  std::string description = std::string(field.meaning);
  if (!field.at_limit.empty()) description += fmt::format(" At the limit: {}.", field.at_limit);
  std::string head = fmt::format("\"description\": {}", json_quote(description));
  if (field.key == "server")
    return fmt::format("{{{}, \"allOf\": [{{\"$ref\": \"#/definitions/server\"}}]}}", head);
  if (field.kind == FieldKind::blocks) {
    return fmt::format(
        "{{{}, \"type\": \"object\", \"minProperties\": 1, \"additionalProperties\": {{\"$ref\": "
        "\"#/definitions/server\"}}}}",
        head);
  }
  if (field.kind == FieldKind::block)
    return schema_object(field.fields, inner_block(field, block, defaults), defaults, depth);
  if (field.kind == FieldKind::list) {
    return fmt::format("{{{}, \"type\": \"array\", \"items\": {}}}", head,
                       schema_object(field.fields, inner_block(field, block, defaults), defaults, depth));
  }
  std::string value = schema_default(field, block);
  if (!value.empty()) head += fmt::format(", \"default\": {}", value);
  return fmt::format("{{{}, {}}}", head, schema_type(field));
}

std::string schema_object(std::span<const Field> fields, void* block, Defaults& defaults, std::size_t depth) {
  std::string indent(depth * 2, ' ');
  std::string members;
  for (const Field& field : fields) {
    if (!members.empty()) members += ",";
    members += fmt::format("\n{}    {}: {}", indent, json_quote(field.key),
                           schema_field(field, block, defaults, depth + 2));
  }
  return fmt::format(
      "{{\n{0}  \"type\": \"object\",\n{0}  \"additionalProperties\": false,\n{0}  \"properties\": "
      "{{{1}\n{0}  }}\n{0}}}",
      indent, members);
}

// ---- reference ----

std::string type_name(const Field& field) {
  switch (field.kind) {
    case FieldKind::text: return "text";
    case FieldKind::flag: return "true or false";
    case FieldKind::count:
    case FieldKind::port: return fmt::format("{:.0f} … {:.0f}", field.min, field.max);
    case FieldKind::number: return fmt::format("{} … {}", field.min, field.max);
    case FieldKind::bytes:
      return fmt::format("size, {} … {}", format_bytes(static_cast<std::uint64_t>(field.min)),
                         format_bytes(static_cast<std::uint64_t>(field.max)));
    case FieldKind::duration:
      return fmt::format("duration, {} … {}",
                         format_duration(Milliseconds(static_cast<std::int64_t>(field.min))),
                         format_duration(Milliseconds(static_cast<std::int64_t>(field.max))));
    case FieldKind::texts: return "list of texts";
    case FieldKind::table: return "NAME: text";
    case FieldKind::choice: return fmt::format("`{}`", fmt::join(field.choices, "`, `"));
    case FieldKind::argv: return "list of words, or a line";
    default: return "block";
  }
}

void append_table(std::string& out, std::string_view title, std::string_view intro,
                  std::span<const Field> fields, void* block) {
  out += fmt::format(
      "\n## {}\n\n{}\n\n| key | type | default | meaning | at the limit |\n|---|---|---|---|---|\n", title,
      intro);
  for (const Field& field : fields) {
    bool nested =
        field.kind == FieldKind::block || field.kind == FieldKind::blocks || field.kind == FieldKind::list;
    std::string shown = nested ? "" : default_of(field, block);
    bool code = field.default_text.empty() && !shown.empty();
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", field.key, nested ? "see below" : type_name(field),
                       code ? fmt::format("`{}`", shown) : shown, field.meaning, field.at_limit);
  }
}

void append_blocks(std::string& out, const std::string& path, std::span<const Field> fields, void* block,
                   Defaults& defaults) {
  for (const Field& field : fields) {
    if (field.fields.empty() || field.kind == FieldKind::blocks) continue;
    std::string inner = path.empty() ? std::string(field.key) : fmt::format("{}.{}", path, field.key);
    std::string title = field.kind == FieldKind::list ? fmt::format("An entry of {}", inner) : inner;
    if (field.key == "server") title = "server, and each entry of servers";
    void* values = inner_block(field, block, defaults);
    append_table(out, title, field.meaning, field.fields, values);
    append_blocks(out, inner, field.fields, values, defaults);
  }
}

constexpr std::string_view reference_intro = R"(# berth.yaml

Everything that `berth.yaml` may say. This page is printed by `berth schema --reference` from the same table
that reads the file; `berth schema` prints the JSON Schema for editors, and `berth validate` checks a file and
reports every mistake at once.

A whole file can be this short, because everything else has a default:

```yaml
name: everything
server:
  command: [npx, -y, "@modelcontextprotocol/server-everything"]
tasks: {count: 3, zones: [a, b, c], cpu: 0.5, memory: 1GB}
```

What `berth deploy` needs to know besides is as short:

```yaml
aws: {region: eu-central-1, domain: mcp.example.com, hosted_zone: Z0123456789ABC}
permissions: [{actions: [dynamodb:GetItem], resources: ["arn:aws:dynamodb:*:*:table/orders"]}]
scaling: {min: 3, max: 6, calls_per_task: 50, hours: {days: mon-fri, from: "07:00", to: "20:00"}}
```

- **Durations** carry a unit: `250ms`, `30s`, `5m`, `1h`, `1m30s`.
- **Sizes** may carry one: `64KB`, `512MB`, `1GB`. As ECS and Docker count, 1KB is 1024 bytes.
- **`${NAME}`** in `env`, `headers` and `url` is replaced by the variable of the environment of `berth up`;
  `${NAME:-default}` gives a default, `$${` stands for `${` itself. A name that is not set is a mistake.
  `berth deploy` puts the values into a secret of the service, which the tasks get as their environment.
- **`command`** as one line is split like a shell splits it (blanks, quotes, backslashes) and no shell runs:
  variables, pipes and globs need `[sh, -c, "…"]`.
- A client's own file (`.mcp.json`, `claude_desktop_config.json`, `.vscode/mcp.json`, `.cursor/mcp.json`) is
  taken as it is: `berth up .mcp.json`. Files in `.vscode` and `.cursor` count from the folder above, the
  workspace; `envFile` is read; `${input:ID}` is the environment variable ID, or the input's default; a name
  that no URL can hold is changed (`my.server` to `my-server`); `berth up` leaves out an entry with a mistake
  and says so, and `berth up --only NAME,NAME` takes those servers alone.
- A file has at most 1 MiB, 32 levels and 20,000 values.
)";

void append_inherited(std::string& out) {
  out +=
      "\n## What every server gets\n\nOf the environment of `berth up` (in a container: of the task) each "
      "hosted server gets these variables, where they are set. `env` sets others, and `inherit` names "
      "others to pass on; the variables of `auth.keys` are never passed on by themselves.\n\n"
      "| for | variables |\n|---|---|\n";
  for (const InheritedGroup& group : inherited_groups())
    out += fmt::format("| {} | `{}` |\n", group.purpose, fmt::join(group.names, "`, `"));
}

}  // namespace

std::string json_schema() {
  Defaults defaults;
  std::string root = schema_object(spec_fields(), &defaults.spec, defaults, 0);
  std::string server = schema_object(server_fields(), &defaults.server, defaults, 2);
  std::string head = fmt::format(
      "{{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n  \"$id\": \"berth.schema.json\",\n  "
      "\"title\": "
      "\"berth.yaml\",\n"
      "  \"description\": \"An MCP server as a service: what to run, how many tasks, where to listen.\",\n"
      "  \"definitions\": {{\n    \"server\": {}\n  }},\n"
      "  \"oneOf\": [{{\"required\": [\"server\"]}}, {{\"required\": [\"servers\"]}}],",
      server);
  return head + root.substr(1) + "\n";
}

std::string reference_markdown() {
  Defaults defaults;
  std::string out(reference_intro);
  append_inherited(out);
  append_table(out, "The file", "Either `server` or `servers` is needed; nothing else is.", spec_fields(),
               &defaults.spec);
  append_blocks(out, "", spec_fields(), &defaults.spec, defaults);
  return out;
}

}  // namespace berth::model
