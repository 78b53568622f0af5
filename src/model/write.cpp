#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "model/difference.h"
#include "model/fields.h"
#include "model/parse.h"

namespace berth::model {
namespace {

/// ${ in a value was substituted when it was read, and must not be again.
std::string escape_variables(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text.compare(at, 2, "${") == 0) out += '$';
    out += text[at];
  }
  return out;
}

std::string write_texts(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ", ";
    out += json_quote(text);
  }
  return out + "]";
}

class Members {
 public:
  void add(std::string_view key, std::string_view value) {
    if (!text_.empty()) text_ += ", ";
    text_ += fmt::format("{}: {}", json_quote(key), value);
  }
  std::string object() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

/// `raw`: texts hold ${NAME} that is to be read as such again.
enum class Variables : std::uint8_t { escaped, raw };

/// What `block` says other than `standard`, a block as it is when nothing is given (null: everything). Some
/// keys are refused beside others even with the value that they have anyway.
std::string write_block(std::span<const Field> fields, void* block, void* standard, Variables variables,
                        Members members = {});

std::string write_url(const Secret& secret, Variables variables) {
  const std::string url(secret.reveal());
  return json_quote(variables == Variables::raw ? url : escape_variables(url));
}

std::string write_table(const std::map<std::string, std::string>& table, Variables variables) {
  Members members;
  for (const auto& [key, value] : table) {
    members.add(key, json_quote(variables == Variables::raw ? value : escape_variables(value)));
  }
  return members.object();
}

std::string write_list(const Field& field, void* list, Variables variables) {
  std::string out = "[";
  for (std::size_t i = 0; i < field.list->size(list); ++i) {
    if (i > 0) out += ", ";
    out += write_block(field.fields, field.list->at(list, i), nullptr, variables);
  }
  return out + "]";
}

/// The value as JSON; empty for what is left out: a text that is empty, a port that is not set, a block that
/// is not there, a count whose default depends on others.
std::string write_value(const Field& field, void* block, void* standard, Variables variables) {
  if (field.present != nullptr && !field.present(block)) return {};
  void* target = field.locate(block);
  switch (field.kind) {
    case FieldKind::count: {
      std::string text = value_text(field, block);
      return text == "0" && !field.default_text.empty() ? std::string() : text;
    }
    case FieldKind::flag:
    case FieldKind::number:
    case FieldKind::port: return value_text(field, block);
    case FieldKind::texts: return write_texts(*static_cast<std::vector<std::string>*>(target));
    case FieldKind::table: {
      const auto& table = *static_cast<std::map<std::string, std::string>*>(target);
      return table.empty() ? std::string() : write_table(table, field.literal ? Variables::raw : variables);
    }
    case FieldKind::block: {
      // A block that may be absent says something by being there.
      const bool optional = field.present != nullptr;
      void* usual = standard == nullptr || optional ? nullptr : field.locate(standard);
      std::string text = write_block(field.fields, target, usual, variables);
      return usual != nullptr && text == "{}" ? std::string() : text;
    }
    case FieldKind::list: return write_list(field, target, variables);
    default: break;
  }
  std::string text = value_text(field, block);
  return text.empty() ? text : json_quote(text);
}

std::string write_block(std::span<const Field> fields, void* block, void* standard, Variables variables,
                        Members members) {
  for (const Field& field : fields) {
    if (field.locate == nullptr) continue;
    std::string value = write_value(field, block, standard, variables);
    const bool usual = standard != nullptr && field.kind != FieldKind::block &&
                       value == write_value(field, standard, nullptr, variables);
    if (!value.empty() && !usual) members.add(field.key, value);
  }
  return members.object();
}

std::string write_server(ServerSpec& server, Variables variables) {
  Members members;
  switch (server.kind) {
    case ServerSpec::Kind::command: members.add("command", write_texts(server.command)); break;
    case ServerSpec::Kind::native: members.add("native", write_texts(server.command)); break;
    case ServerSpec::Kind::builtin: members.add("builtin", json_quote(server.builtin)); break;
    case ServerSpec::Kind::url: members.add("url", write_url(server.url, variables)); break;
  }
  ServerSpec standard;
  return write_block(server_fields(), &server, &standard, variables, members);
}

// ---- differences ----

std::string write_field(const Field& field, void* block) {
  return field.locate == nullptr ? std::string() : write_value(field, block, nullptr, Variables::raw);
}

void compare_blocks(std::span<const Field> fields, void* before, void* now, const std::string& path,
                    std::vector<std::string>& out) {
  for (const Field& field : fields) {
    const std::string inner = path.empty() ? std::string(field.key) : fmt::format("{}.{}", path, field.key);
    const bool always = field.kind == FieldKind::block && field.present == nullptr && field.locate != nullptr;
    if (always) {
      compare_blocks(field.fields, field.locate(before), field.locate(now), inner, out);
    } else if (write_field(field, before) != write_field(field, now)) {
      out.push_back(inner);
    }
  }
}

void compare_servers(ServerSpec& before, ServerSpec& now, const std::string& path,
                     std::vector<std::string>& out) {
  if (before.kind != now.kind || before.command != now.command || before.builtin != now.builtin ||
      before.url.reveal() != now.url.reveal()) {
    constexpr std::string_view kinds[] = {"command", "builtin", "url", "native"};
    out.push_back(fmt::format("{}.{}", path, kinds[static_cast<std::size_t>(now.kind)]));
  }
  compare_blocks(server_fields(), &before, &now, path, out);
}

}  // namespace

std::string write_spec(const Spec& spec) {
  Spec copy = spec;
  Variables variables = spec.keeps_variables ? Variables::raw : Variables::escaped;
  Members servers;
  for (ServerSpec& server : copy.servers) servers.add(server.name, write_server(server, variables));
  Members members;
  members.add("servers", servers.object());
  Spec standard;
  return write_block(spec_fields(), &copy, &standard, variables, members) + "\n";
}

std::vector<std::string> differing_keys(const Spec& before, const Spec& now) {
  Spec old_spec = before;
  Spec new_spec = now;
  const bool is_alone = old_spec.servers.size() == 1 && new_spec.servers.size() == 1;
  std::vector<std::string> out;
  for (ServerSpec& server : new_spec.servers) {
    const auto known = is_alone ? old_spec.servers.begin()
                                : std::ranges::find(old_spec.servers, server.name, &ServerSpec::name);
    const std::string path = is_alone ? "server" : "servers." + server.name;
    if (known == old_spec.servers.end()) {
      out.push_back(path);
    } else {
      compare_servers(*known, server, path, out);
    }
  }
  for (const ServerSpec& server : old_spec.servers) {
    const auto still = std::ranges::find(new_spec.servers, server.name, &ServerSpec::name);
    if (!is_alone && still == new_spec.servers.end()) out.push_back("servers." + server.name);
  }
  compare_blocks(spec_fields(), &old_spec, &new_spec, {}, out);
  return out;
}

}  // namespace berth::model
