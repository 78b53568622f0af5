#include <fmt/format.h>

#include "base/log.h"
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

std::string write_block(std::span<const Field> fields, void* block, Members members = {});

std::string write_table(const std::map<std::string, std::string>& table) {
  Members members;
  for (const auto& [key, value] : table) members.add(key, json_quote(escape_variables(value)));
  return members.object();
}

std::string write_keys(const Field& field, std::vector<KeySpec>& keys) {
  std::string out = "[";
  for (KeySpec& key : keys) {
    if (out.size() > 1) out += ", ";
    out += write_block(field.fields, &key);
  }
  return out + "]";
}

/// The value as JSON; empty for what is left out: a text that is empty, a port that is not set.
std::string write_value(const Field& field, void* block) {
  void* target = field.locate(block);
  switch (field.kind) {
    case FieldKind::flag:
    case FieldKind::count:
    case FieldKind::number:
    case FieldKind::port: return value_text(field, block);
    case FieldKind::texts: return write_texts(*static_cast<std::vector<std::string>*>(target));
    case FieldKind::table: {
      const auto& table = *static_cast<std::map<std::string, std::string>*>(target);
      return table.empty() ? std::string() : write_table(table);
    }
    case FieldKind::block: return write_block(field.fields, target);
    case FieldKind::list: return write_keys(field, *static_cast<std::vector<KeySpec>*>(target));
    default: break;
  }
  std::string text = value_text(field, block);
  return text.empty() ? text : json_quote(text);
}

std::string write_block(std::span<const Field> fields, void* block, Members members) {
  for (const Field& field : fields) {
    if (field.locate == nullptr) continue;
    std::string value = write_value(field, block);
    if (!value.empty()) members.add(field.key, value);
  }
  return members.object();
}

std::string write_server(ServerSpec& server) {
  Members members;
  switch (server.kind) {
    case ServerSpec::Kind::command: members.add("command", write_texts(server.command)); break;
    case ServerSpec::Kind::native: members.add("native", write_texts(server.command)); break;
    case ServerSpec::Kind::builtin: members.add("builtin", json_quote(server.builtin)); break;
    case ServerSpec::Kind::url: members.add("url", json_quote(server.url)); break;
  }
  return write_block(server_fields(), &server, members);
}

}  // namespace

std::string write_spec(const Spec& spec) {
  Spec copy = spec;
  Members servers;
  for (ServerSpec& server : copy.servers) servers.add(server.name, write_server(server));
  Members members;
  members.add("servers", servers.object());
  return write_block(spec_fields(), &copy, members) + "\n";
}

}  // namespace berth::model
