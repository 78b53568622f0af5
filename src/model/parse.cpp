#include "model/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/ip_address.h"
#include "base/shown_url.h"
#include "model/addresses.h"
#include "model/aws_checks.h"
#include "model/reader.h"
#include "model/server_reader.h"
#include "model/units.h"

namespace berth::model {
namespace {

constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t servers_max = 50;
constexpr std::size_t problems_shown_max = 100;

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/// One pass over berth.yaml: first every block by the field table, then what no single key can tell.
class SpecParser {
 public:
  explicit SpecParser(const SpecSource& source) : reader_(source), servers_(reader_) {
    spec_.directory = source.directory;
    spec_.file = source.file;
    spec_.keeps_variables = source.keep_variables;
  }

  SpecReading run(const YamlNode& root) {
    if (root.kind == YamlNode::Kind::null) {
      YamlNode start;
      start.line = start.column = 1;
      reader_.problem(
          start,
          "the file is empty, so there is nothing to run; write for example `server: {builtin: workspace}`.");
      return finish();
    }
    auto by_hand = [this](const Field& field, const YamlNode& value, const std::string& path) {
      return read_by_hand(field, value, path);
    };
    reader_.read_block(root, spec_fields(), &spec_, "", by_hand);
    if (root.kind != YamlNode::Kind::map) return finish();
    check_name();
    if (!reader_.has("server") && !reader_.has("servers")) {
      reader_.problem(
          root,
          "no server is given, so there is nothing to run; add for example `server: {builtin: workspace}` or "
          "`server: {command: [node, server.js]}`.");
    }
    if (reader_.has("server") && reader_.has("servers")) {
      reader_.problem_at("server", "both server and servers are given; put every server under servers.");
    }
    check_tasks();
    check_listener();
    check_aws(reader_, spec_);
    return finish();
  }

 private:
  bool read_by_hand(const Field& field, const YamlNode& value, const std::string& path) {
    if (path == "server") {
      spec_.servers.push_back(servers_.read(value, path));
      return true;
    }
    if (path == "servers") {
      read_servers(value);
      return true;
    }
    if (path == "auth") {
      auto keys = [this](const Field& inner, const YamlNode& list, const std::string& inner_path) {
        if (inner.kind != FieldKind::list) return false;
        read_keys(inner, list, inner_path);
        return true;
      };
      reader_.read_block(value, field.fields, &spec_.auth, path, keys);
      return true;
    }
    return false;
  }

  void read_servers(const YamlNode& node) {
    if (node.kind != YamlNode::Kind::map || node.keys.empty()) {
      return reader_.problem(
          node, "servers takes a block for each server; write for example servers: {files: {command: …}}.");
    }
    if (node.keys.size() > servers_max) {
      return reader_.problem(node, fmt::format("servers has {} entries; one service hosts at most {}.",
                                               node.keys.size(), servers_max));
    }
    std::set<std::string> seen;
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      const YamlNode& key = node.keys[i];
      std::string path = join_path("servers", key.text);
      if (!seen.insert(key.text).second) {
        reader_.problem(key, fmt::format("{} is given twice; give one of them another name.", path));
        continue;
      }
      if (!is_service_name(key.text)) {
        reader_.problem(
            key, fmt::format(
                     "\"{}\" cannot be the name of a server, which is part of its URL; use letters, digits, "
                     "hyphens and underscores, at most {}.",
                     key.text, name_bytes_max));
      }
      ServerSpec server = servers_.read(node.items[i], path);
      server.name = key.text;
      spec_.servers.push_back(std::move(server));
    }
  }

  void read_keys(const Field& field, const YamlNode& node, const std::string& path) {
    if (node.kind != YamlNode::Kind::sequence) {
      return reader_.problem(
          node, fmt::format("{} takes a list; write {}: [{{name: alice, env: ALICE_KEY}}].", path, path));
    }
    std::set<std::string> names;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const YamlNode& item = node.items[i];
      std::string inner = fmt::format("{}[{}]", path, i);
      KeySpec key;
      reader_.read_block(item, field.fields, &key, inner);
      if (item.kind != YamlNode::Kind::map) continue;
      if (key.principal.empty())
        reader_.problem(item, fmt::format("{} has no name; say who calls with this key.", inner));
      if (!key.principal.empty() && !names.insert(key.principal).second) {
        reader_.problem(item,
                        fmt::format("{} has the same name as a key before it, \"{}\"; give each key its own.",
                                    inner, key.principal));
      }
      if (reader_.has(inner + ".env") == reader_.has(inner + ".file")) {
        reader_.problem(
            item,
            fmt::format("{} must say where its secret is read: either env: VARIABLE or file: PATH.", inner));
      }
      if (!key.file.empty()) key.file = reader_.resolve(key.file);
      spec_.auth.keys.push_back(std::move(key));
    }
  }

  void check_name() {
    if (spec_.name.empty()) spec_.name = default_service_name(spec_.directory);
    if (!is_service_name(spec_.name)) {
      reader_.problem_at(
          "name", fmt::format("name is \"{}\"; use letters, digits, hyphens and underscores, at most {}.",
                              spec_.name, name_bytes_max));
    }
    if (reader_.has("server") && !spec_.servers.empty()) spec_.servers.front().name = spec_.name;
  }

  void check_tasks() {
    TasksSpec& tasks = spec_.tasks;
    std::set<std::string> seen;
    for (const std::string& zone : tasks.zones) {
      if (zone.size() != 1 || zone[0] < 'a' || zone[0] > 'z') {
        reader_.problem_at(
            "tasks.zones",
            fmt::format("tasks.zones holds \"{}\"; a zone is a single letter from a to z.", zone));
      } else if (!seen.insert(zone).second) {
        reader_.problem_at("tasks.zones", fmt::format("tasks.zones names zone {} twice; remove one.", zone));
      }
    }
    if (tasks.restart_backoff_min > tasks.restart_backoff_max) {
      std::string at = reader_.has("tasks.restart_backoff_max") ? "tasks.restart_backoff_max"
                                                                : "tasks.restart_backoff_min";
      reader_.problem_at(
          at, fmt::format(
                  "tasks.restart_backoff_min ({}) is longer than restart_backoff_max ({}); raise the latter.",
                  format_duration(tasks.restart_backoff_min), format_duration(tasks.restart_backoff_max)));
    }
  }

  void check_listener() {
    ListenerSpec& listener = spec_.listener;
    check_address(listener);
    if (listener.certificate_file.empty() != listener.key_file.empty()) {
      std::string given = listener.key_file.empty() ? "certificate_file" : "key_file";
      std::string missing = listener.key_file.empty() ? "key_file" : "certificate_file";
      reader_.problem_at(
          "listener." + given,
          fmt::format("listener.{} is given without {}; give both, or neither for a certificate of "
                      "Berth's local CA.",
                      given, missing));
    }
    if (!listener.certificate_file.empty())
      listener.certificate_file = reader_.resolve(listener.certificate_file);
    if (!listener.key_file.empty()) listener.key_file = reader_.resolve(listener.key_file);
    if (listener.http_port && listener.https && listener.http_port == listener.https_port) {
      reader_.problem_at(
          "listener.https_port",
          fmt::format("listener.http_port and https_port are both {}; give them different ports.",
                      *listener.http_port));
    }
    check_public_url(listener);
    Milliseconds slow = listener.slow_start;
    if (slow.count() != 0 && slow < std::chrono::seconds(30)) {
      reader_.problem_at("listener.slow_start",
                         fmt::format("listener.slow_start is {}; write 0s for off, or from 30s to 15m.",
                                     format_duration(slow)));
    }
    if (!listener.health_check.path.starts_with('/')) {
      reader_.problem_at("listener.health_check.path",
                         fmt::format("listener.health_check.path is \"{}\"; a path starts with a slash: "
                                     "\"/{}\".",
                                     listener.health_check.path, listener.health_check.path));
    }
    for (const std::string& origin : listener.origins) {
      bool whole = origin.starts_with("http://") || origin.starts_with("https://");
      if (!whole || std::ranges::count(origin, '/') != 2) {
        reader_.problem_at(
            "listener.origins",
            fmt::format("listener.origins holds \"{}\"; an origin has a scheme and no path, as in "
                        "https://app.example.com.",
                        origin));
      }
    }
  }

  void check_public_url(ListenerSpec& listener) {
    std::string& url = listener.public_url;
    if (url.empty()) return;
    const bool scheme = url.starts_with("https://") || url.starts_with("http://");
    const bool plain =
        std::ranges::all_of(url, [](char c) { return c > 0x20 && c < 0x7f && c != '?' && c != '#'; });
    if (!scheme || !plain || public_host(listener).empty() || url.contains('@')) {
      reader_.problem_at(
          "listener.public_url",
          fmt::format(
              "listener.public_url is \"{}\"; write a URL with a host, as in https://mcp.example.com.",
              shown_url(url)));
    }
    while (url.ends_with('/')) url.pop_back();
  }

  void check_address(const ListenerSpec& listener) {
    if (!is_ip_address(listener.address)) {
      std::string instead =
          listener.address == "localhost" ? "127.0.0.1" : "an IP address such as 127.0.0.1 or 0.0.0.0";
      return reader_.problem_at("listener.address",
                                fmt::format("listener.address is \"{}\", which is no IP address; write {}.",
                                            listener.address, instead));
    }
    if (is_loopback_address(listener.address) || !spec_.auth.keys.empty()) return;
    reader_.problem_at(
        "listener.address",
        fmt::format("listener.address {} can be reached from other machines, but no key is asked for; "
                    "add auth: {{keys: [{{name: alice, env: ALICE_KEY}}]}}, or listen on 127.0.0.1.",
                    listener.address));
  }

  SpecReading finish() {
    SpecReading reading;
    reading.problems = reader_.take_problems();
    collect_variables(reader_, spec_);
    spec_.keys = reader_.keys();
    reading.spec = std::move(spec_);
    return reading;
  }

  Reader reader_;
  ServerReader servers_;
  Spec spec_;
};

}  // namespace

void collect_variables(const Reader& reader, Spec& spec) {
  if (!spec.keeps_variables) return;
  std::set<std::string> names = reader.kept_variables();
  for (const KeySpec& key : spec.auth.keys) {
    if (!key.environment.empty()) names.insert(key.environment);
  }
  spec.variables.assign(names.begin(), names.end());
}

bool is_service_name(std::string_view name) {
  return !name.empty() && name.size() <= name_bytes_max && name.front() != '-' &&
         std::ranges::all_of(name, is_name_byte);
}

std::string to_service_name(std::string_view text) {
  std::string name;
  for (const char c : text) name += is_name_byte(c) ? c : '-';
  while (name.starts_with('-')) name.erase(0, 1);
  while (name.ends_with('-')) name.pop_back();
  if (name.size() > name_bytes_max) name.resize(name_bytes_max);
  return name;
}

std::string default_service_name(const std::string& directory) {
  std::string name = to_service_name(std::filesystem::path(directory).filename().string());
  return name.empty() ? "berth" : name;
}

std::string to_string(const Problem& problem, std::string_view file) {
  if (problem.line == 0) return fmt::format("{}: {}", file, problem.text);
  return fmt::format("{}:{}:{}: {}", file, problem.line, problem.column, problem.text);
}

SpecReading read_spec(const SpecSource& source) {
  std::expected<YamlNode, Problem> root = parse_yaml(source.text);
  if (!root) return SpecReading{.spec = {}, .problems = {root.error()}};
  return SpecParser(source).run(*root);
}

bool is_client_file(std::string_view path) { return path.ends_with(".json"); }

namespace {

/// Leaves the servers that SpecSource::only names.
void take_only(const std::vector<std::string>& only, SpecReading& reading) {
  if (only.empty()) return;
  std::vector<ServerSpec>& servers = reading.spec.servers;
  for (const std::string& name : only) {
    if (std::ranges::find(servers, name, &ServerSpec::name) != servers.end()) continue;
    reading.problems.push_back({0, 0, fmt::format("there is no server \"{}\" to take.", name)});
  }
  std::erase_if(servers, [&only](const ServerSpec& server) {
    return std::ranges::find(only, server.name) == only.end();
  });
}

}  // namespace

Result<Spec> parse_spec(const SpecSource& source) {
  using Format = SpecSource::Format;
  bool by_client =
      source.format == Format::by_name ? is_client_file(source.file) : source.format == Format::client_file;
  SpecReading reading = by_client ? read_client_file(source) : read_spec(source);
  if (!by_client && reading.ok()) take_only(source.only, reading);
  if (reading.ok()) return std::move(reading.spec);
  std::string message;
  std::size_t shown = std::min(reading.problems.size(), problems_shown_max);
  for (std::size_t i = 0; i < shown; ++i) {
    if (!message.empty()) message += '\n';
    message += to_string(reading.problems[i], source.file);
  }
  if (shown < reading.problems.size())
    message += fmt::format("\n… and {} more.", reading.problems.size() - shown);
  return fail(ErrorCode::invalid_argument, std::move(message));
}

}  // namespace berth::model
