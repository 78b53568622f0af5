#include "model/server_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/shown_url.h"

namespace berth::model {
namespace {

constexpr std::string_view kinds = "command, builtin, url or native";

/// What is wrong with an http(s) URL, or empty. One that is a variable of another machine is looked at there.
std::string url_problem(const std::string& url) {
  if (url.starts_with("${")) return {};
  std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return "has no scheme; write http://HOST:PORT/PATH";
  std::string_view name = std::string_view(url).substr(0, scheme);
  if (name != "http" && name != "https")
    return "has a scheme that is neither http nor https; Berth speaks Streamable HTTP";
  std::string_view rest = std::string_view(url).substr(scheme + 3);
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.empty()) return "has no host; write http://HOST:PORT/PATH";
  if (authority.contains('@')) return "holds a user name; send credentials with headers: {Authorization: …}";
  bool visible = std::ranges::all_of(url, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!visible || url.contains('#')) return "holds a character that must be %-encoded in a URL";
  return {};
}

}  // namespace

ServerSpec ServerReader::read(const YamlNode& node, const std::string& path) {
  ServerSpec server;
  std::vector<std::string> arguments;
  std::map<std::string, std::string> from_file;
  auto by_hand = [&](const Field& field, const YamlNode& value, const std::string& inner) {
    if (field.locate != nullptr) return false;
    if (field.kind == FieldKind::argv) {
      std::optional<std::vector<std::string>> words = reader_.read_argv(value, inner);
      if (words) server.command = std::move(*words);
    } else if (field.key == "args") {
      std::optional<std::vector<std::string>> words = reader_.read_texts(value, inner);
      if (words) arguments = std::move(*words);
    } else if (field.key == "builtin") {
      Field choice = field;
      choice.locate = [](void*) -> void* { return nullptr; };
      reader_.read_value(choice, value, nullptr, inner);
      server.builtin = value.text;
    } else if (field.key == "env_file") {
      server.env_file = value.text;
      from_file = reader_.read_env_file(value, inner);
    } else {
      server.url = Secret(reader_.substitute(value, reader_.read_text(value, inner).value_or(""), inner));
    }
    return true;
  };
  reader_.read_block(node, server_fields(), &server, path, by_hand);
  if (node.kind != YamlNode::Kind::map) return server;
  check_kind(server, node, path);
  // What the entry itself says goes before, whichever is written first.
  server.environment.merge(from_file);
  if (!server.inherit.empty()) {
    server.environment.merge(reader_.read_inherited(server.inherit, path + ".inherit"));
    if (!reader_.keeps_variables()) server.inherit.clear();
  }
  if (!arguments.empty() && server.command.empty() && !reader_.has(path + ".command") &&
      !reader_.has(path + ".native")) {
    reader_.problem_at(path + ".args",
                       fmt::format("{}.args is given without command; name the program: command: …", path));
  }
  server.command.insert(server.command.end(), arguments.begin(), arguments.end());
  server.directory = reader_.resolve(server.directory);
  return server;
}

void ServerReader::check_kind(ServerSpec& server, const YamlNode& node, const std::string& path) {
  using Kind = ServerSpec::Kind;
  constexpr std::pair<std::string_view, Kind> keys[] = {
      {"command", Kind::command}, {"builtin", Kind::builtin}, {"url", Kind::url}, {"native", Kind::native}};
  std::string first;
  for (const auto& [key, kind] : keys) {
    std::string inner = join_path(path, key);
    if (!reader_.has(inner)) continue;
    if (!first.empty()) {
      reader_.problem_at(inner, fmt::format("{} gives both {} and {}, but a server is one of {}; remove one.",
                                            path, first, key, kinds));
      continue;
    }
    first = key;
    server.kind = kind;
  }
  if (first.empty()) {
    std::string text =
        fmt::format("{} does not say what to run; give it one of {}, for example command: [node, server.js].",
                    path, kinds);
    if (reader_.has(path)) {
      reader_.problem_at(path, std::move(text));
    } else {
      reader_.problem(node, std::move(text));
    }
  }
  if (first == "url") check_url(server, path);
  if (first != "url" && !server.headers.empty()) {
    reader_.problem_at(
        path + ".headers",
        fmt::format("{}.headers is only used with url; remove it, or use env for a command.", path));
  }
  if (first != "command" && server.isolation == Isolation::service) {
    reader_.problem_at(join_path(path, "isolation"),
                       fmt::format("{}.isolation: service is only used with command, of which Berth starts "
                                   "the one process; remove it.",
                                   path));
  }
  for (const char* const key : {"env", "env_file", "inherit"}) {
    const std::string inner = join_path(path, key);
    if ((first == "url" || first == "builtin") && reader_.has(inner))
      reader_.problem_at(inner, fmt::format("{} is only used with command and native; remove it.", inner));
  }
}

void ServerReader::check_url(const ServerSpec& server, const std::string& path) {
  std::string wrong = server.url.empty() ? "" : url_problem(std::string(server.url.reveal()));
  if (!wrong.empty())
    reader_.problem_at(path + ".url",
                       fmt::format("{}.url is \"{}\", which {}.", path, shown_url(server.url), wrong));
  for (const auto& [name, value] : server.headers) {
    bool clean =
        std::ranges::none_of(value, [](char c) { return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7f; });
    bool token = !name.empty() && std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             std::string_view("!#$%&'*+-.^_`|~").contains(c);
    });
    std::string inner = join_path(path + ".headers", name);
    if (!token)
      reader_.problem_at(inner,
                         fmt::format("{}: \"{}\" is no name of a header field.", path + ".headers", name));
    if (!clean)
      reader_.problem_at(inner, fmt::format("{} has a line break or control character; remove it.", inner));
  }
}

ServerSpec ServerReader::read_of_client(const YamlNode& node, const std::string& path) {
  ServerSpec server;
  server.directory = reader_.resolve("");
  if (node.kind != YamlNode::Kind::map) {
    reader_.problem(
        node, fmt::format("{} takes keys, as in {{\"command\": \"npx\", \"args\": [\"-y\", \"…\"]}}.", path));
    return server;
  }
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    read_client_key(server, node.keys[i], node.items[i], join_path(path, node.keys[i].text));
  }
  bool command = !server.command.empty() && !server.command.front().empty();
  server.kind = command ? ServerSpec::Kind::command : ServerSpec::Kind::url;
  if (!command && server.url.empty()) {
    reader_.problem(node,
                    fmt::format("{} has neither \"command\" nor \"url\", so there is nothing to run.", path));
  }
  if (!command) {
    std::string wrong = server.url.empty() ? "" : url_problem(std::string(server.url.reveal()));
    if (!wrong.empty())
      reader_.problem(node, fmt::format("{}.url is \"{}\", which {}.", path, shown_url(server.url), wrong));
  }
  return server;
}

void ServerReader::read_client_key(ServerSpec& server, const YamlNode& key, const YamlNode& value,
                                   const std::string& inner) {
  auto text = [&]() {
    std::optional<std::string> read = reader_.read_text(value, inner);
    return read ? reader_.substitute(value, *read, inner) : std::string();
  };
  if (key.text == "command") {
    if (server.command.empty()) server.command.emplace_back();
    server.command.front() = text();
  } else if (key.text == "args") {
    std::optional<std::vector<std::string>> words = reader_.read_texts(value, inner);
    if (server.command.empty()) server.command.emplace_back();
    for (std::size_t i = 0; words && i < words->size(); ++i) {
      server.command.push_back(reader_.substitute(value.items[i], (*words)[i], inner));
    }
  } else if (key.text == "env") {
    // What the entry itself says goes before its file, whichever is written first.
    for (auto& [name, given] : reader_.read_table(value, inner)) server.environment[name] = given;
  } else if (key.text == "envFile") {
    server.env_file = value.text;
    server.environment.merge(reader_.read_env_file(value, inner));
  } else if (key.text == "headers") {
    server.headers = reader_.read_table(value, inner);
  } else if (key.text == "cwd") {
    server.directory = reader_.resolve(text());
  } else if (key.text == "url" || key.text == "serverUrl") {
    server.url = Secret(text());
  } else if (key.text == "type" && value.text == "sse") {
    reader_.problem(
        value,
        fmt::format(
            "{} is \"sse\", the transport of 2024-11-05; Berth reaches servers by Streamable HTTP (\"http\") "
            "or runs them (\"stdio\").",
            inner));
  }
}

}  // namespace berth::model
