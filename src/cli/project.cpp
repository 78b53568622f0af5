#include "cli/project.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "base/log.h"
#include "cli/files.h"
#include "model/parse.h"

namespace berth::cli {
namespace {

constexpr std::size_t file_bytes_max = 4u << 20;

std::optional<std::string> read_if_there(const std::string& directory, std::string_view name) {
  Result<std::string> text = read_file(fmt::format("{}/{}", directory, name), file_bytes_max);
  if (!text) return std::nullopt;
  return std::move(*text);
}

/// A word as YAML would write it inside [ ].
std::string yaml_word(const std::string& word) {
  auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._/+=-$~").contains(c);
  };
  constexpr std::string_view reserved[] = {"true", "false", "null", "yes", "no", "on", "off", "~"};
  bool plain = !word.empty() && std::ranges::all_of(word, safe) &&
               std::ranges::find(reserved, word) == std::end(reserved);
  bool number = !word.empty() && word.find_first_not_of("0123456789.+-e") == std::string::npos;
  bool dash = word == "-" || word.starts_with("---");
  return plain && !number && !dash ? word : json_quote(word);
}

std::string yaml_words(const std::vector<std::string>& words) {
  std::string out = "[";
  for (const std::string& word : words) out += (out.size() > 1 ? ", " : "") + yaml_word(word);
  return out + "]";
}

std::string yaml_table(const std::map<std::string, std::string>& table) {
  std::string out = "{";
  for (const auto& [name, value] : table) {
    out += fmt::format("{}{}: {}", out.size() > 1 ? ", " : "", yaml_word(name), json_quote(value));
  }
  return out + "}";
}

// ---- a client's own file ----

/// An environment in which every ${NAME} of `text` stands for itself, so that reading keeps references as
/// they are.
std::map<std::string, std::string> identity_environment(const std::string& text) {
  std::map<std::string, std::string> out;
  for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 2)) {
    std::size_t end = text.find('}', at);
    if (end == std::string::npos) break;
    std::string inside = text.substr(at + 2, end - at - 2);
    if (inside.starts_with("env:")) inside.erase(0, 4);
    out[inside.substr(0, inside.find(":-"))] = fmt::format("${{{}}}", inside);
  }
  return out;
}

Result<Project> from_client_file(const std::string& directory, std::string_view name,
                                 const std::string& text) {
  model::SpecSource source{.text = text,
                           .file = std::string(name),
                           .directory = directory,
                           .environment = identity_environment(text)};
  Result<model::Spec> spec = model::parse_spec(source);
  if (!spec) return Failure(spec.error());
  Project project;
  project.found =
      fmt::format("{} ({} server{})", name, spec->servers.size(), spec->servers.size() == 1 ? "" : "s");
  for (const model::ServerSpec& server : spec->servers) {
    bool url = server.kind == model::ServerSpec::Kind::url;
    project.servers +=
        fmt::format("  {}:\n    {}\n", yaml_word(server.name),
                    url ? "url: " + yaml_word(server.url) : "command: " + yaml_words(server.command));
    if (!server.environment.empty())
      project.servers += fmt::format("    env: {}\n", yaml_table(server.environment));
    if (!server.headers.empty())
      project.servers += fmt::format("    headers: {}\n", yaml_table(server.headers));
    if (server.directory != directory)
      project.servers += fmt::format("    cwd: {}\n", yaml_word(server.directory));
  }
  return project;
}

// ---- Node ----

std::string text_member(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string build_hint(const boost::json::object& package, const std::string& directory,
                       const std::string& file) {
  if (!exists(directory + "/node_modules") && package.contains("dependencies")) return "npm install";
  if (exists(fmt::format("{}/{}", directory, file))) return "";
  const boost::json::value* scripts = package.if_contains("scripts");
  bool builds = scripts != nullptr && scripts->is_object() && scripts->get_object().contains("build");
  return builds ? "npm run build" : "";
}

std::string without_dot(const std::string& path) { return path.starts_with("./") ? path.substr(2) : path; }

Result<Project> from_package_json(const std::string& directory, const std::string& text) {
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(text, error);
  const boost::json::object* package = error ? nullptr : value.if_object();
  if (package == nullptr) {
    return fail(ErrorCode::invalid_argument,
                "package.json is not a JSON object; repair it, or name the command: "
                "berth init -- COMMAND ARGS…");
  }
  Project project;
  std::string file = text_member(*package, "bin");
  const boost::json::value* bin = package->if_contains("bin");
  if (bin != nullptr && bin->is_object() && !bin->get_object().empty()) {
    const boost::json::value& first = bin->get_object().begin()->value();
    if (first.is_string()) file = std::string(first.get_string());
  }
  project.found = "package.json, bin";
  if (file.empty()) {
    file = text_member(*package, "main");
    project.found = "package.json, main";
  }
  const boost::json::value* scripts = package->if_contains("scripts");
  bool starts = scripts != nullptr && scripts->is_object() && scripts->get_object().contains("start");
  if (!file.empty()) {
    file = without_dot(file);
    project.command = {"node", file};
    project.hint = build_hint(*package, directory, file);
  } else if (starts) {
    project.command = {"npm", "run", "--silent", "start"};
    project.found = "package.json, scripts.start";
  } else if (exists(directory + "/index.js")) {
    project.command = {"node", "index.js"};
    project.found = "package.json, index.js";
  }
  return project;
}

// ---- Python ----

/// The first `name = "…"` of a TOML table; names only, which is all that is needed here.
std::string first_key_of_table(const std::string& toml, std::string_view header) {
  std::size_t at = toml.find(header);
  if (at == std::string::npos) return {};
  at = toml.find('\n', at);
  while (at != std::string::npos && at + 1 < toml.size()) {
    std::size_t end = std::min(toml.find('\n', at + 1), toml.size());
    std::string line = toml.substr(at + 1, end - at - 1);
    at = end == toml.size() ? std::string::npos : end;
    std::size_t start = line.find_first_not_of(" \t\"'");
    if (start == std::string::npos || line[start] == '#') continue;
    if (line[start] == '[') return {};
    std::size_t stop = line.find_first_of(" \t=\"'", start);
    return line.substr(start, stop == std::string::npos ? stop : stop - start);
  }
  return {};
}

Project from_pyproject(const std::string& directory, const std::string& text) {
  Project project;
  std::string script = first_key_of_table(text, "[project.scripts]");
  if (!script.empty()) {
    project.command = {"uv", "run", script};
    project.found = "pyproject.toml, project.scripts";
    return project;
  }
  for (std::string_view file : {"server.py", "main.py", "app.py"}) {
    if (!exists(fmt::format("{}/{}", directory, file))) continue;
    project.command = {"uv", "run", "python", std::string(file)};
    project.found = fmt::format("pyproject.toml and {}", file);
    return project;
  }
  return project;
}

Project from_single_files(const std::string& directory, const std::string& name) {
  struct Rule {
    std::string_view file;
    std::vector<std::string> command;
    std::string hint;
  };
  const Rule rules[] = {
      {"go.mod", {"go", "run", "."}, ""},
      {"Cargo.toml", {"cargo", "run", "--quiet", "--release"}, ""},
      {"Dockerfile", {"docker", "run", "-i", "--rm", name}, fmt::format("docker build -t {} .", name)},
      {"server.py", {"python3", "server.py"}, ""},
      {"main.py", {"python3", "main.py"}, ""},
      {"server.js", {"node", "server.js"}, ""},
      {"index.js", {"node", "index.js"}, ""},
      {"server.mjs", {"node", "server.mjs"}, ""},
      {"server.ts", {"npx", "-y", "tsx", "server.ts"}, ""}};
  for (const Rule& rule : rules) {
    if (!exists(fmt::format("{}/{}", directory, rule.file))) continue;
    return Project{
        .command = rule.command, .found = std::string(rule.file), .hint = rule.hint, .servers = {}};
  }
  return {};
}

}  // namespace

Result<Project> look_at(const std::string& directory, const std::string& name) {
  for (std::string_view file : {".mcp.json", ".vscode/mcp.json", ".cursor/mcp.json"}) {
    if (std::optional<std::string> text = read_if_there(directory, file))
      return from_client_file(directory, file, *text);
  }
  if (std::optional<std::string> text = read_if_there(directory, "package.json")) {
    Result<Project> project = from_package_json(directory, *text);
    if (!project || !project->command.empty()) return project;
  }
  if (std::optional<std::string> text = read_if_there(directory, "pyproject.toml")) {
    Project project = from_pyproject(directory, *text);
    if (!project.command.empty()) return project;
  }
  return from_single_files(directory, name);
}

std::string write_yaml(const std::string& name, const Project& project) {
  std::string out = fmt::format(
      "# yaml-language-server: $schema={}\n"
      "# All that may stand here, with defaults: berth schema --reference\n"
      "name: {}\n\n",
      schema_path, yaml_word(name));
  if (!project.found.empty()) out += fmt::format("# From {}.\n", project.found);
  if (!project.hint.empty()) out += fmt::format("# Before the first start: {}\n", project.hint);
  if (!project.servers.empty()) {
    out += "servers:\n" + project.servers;
  } else if (!project.command.empty()) {
    out += fmt::format(
        "server:\n  command: {}\n"
        "  # env: {{API_TOKEN: \"${{API_TOKEN}}\"}}   # taken from the environment of `berth up`\n"
        "  # isolation: session                 # a process of its own for every session\n",
        yaml_words(project.command));
  } else {
    out +=
        "# A server that comes with Berth. Yours instead, for example:\n"
        "#   command: [npx, -y, \"@modelcontextprotocol/server-everything\"]\n"
        "#   url: http://127.0.0.1:8000/mcp\n"
        "server:\n  builtin: workspace\n";
  }
  return out +
         "\ntasks:\n  count: 3\n  zones: [a, b, c]\n  cpu: 0.5        # vCPUs of each task\n  memory: 1GB    "
         " # of each task\n";
}

}  // namespace berth::cli
