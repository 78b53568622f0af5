#include "cli/project.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <optional>

#include "base/log.h"
#include "cli/files.h"
#include "model/parse.h"
#include "model/shell_words.h"

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

/// Servers whose process is what their callers build on: a browser, a shell. By the package or the program,
/// not by the folders it is in.
bool holds_state(const std::vector<std::string>& command) {
  constexpr std::string_view known[] = {"playwright", "puppeteer", "chrome-devtools", "desktop-commander",
                                        "browsermcp"};
  return std::ranges::any_of(command, [&](std::string_view word) {
    if (word.starts_with('/') || word.starts_with('.')) word.remove_prefix(word.rfind('/') + 1);
    return std::ranges::any_of(known, [word](std::string_view name) { return word.contains(name); });
  });
}

/// Of these, what is for one process at a time (a browser's profile in HOME, a port): two end each other.
bool needs_to_be_alone(const std::vector<std::string>& command) {
  const auto has = [&](std::string_view text) {
    return std::ranges::any_of(command, [text](const std::string& word) { return word.contains(text); });
  };
  const bool has_profile = has("@playwright/mcp") || has("chrome-devtools-mcp");
  return has("@browsermcp/") || (has_profile && !has("--isolated") && !has("--user-data-dir"));
}

// ---- a client's own file ----

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

/// berth.yaml takes ${NAME} in `env` alone: where the words of a command hold some, a shell puts them in.
void put_into_shell(std::vector<std::string>& command, std::map<std::string, std::string>& environment) {
  if (std::ranges::none_of(command, [](const std::string& word) { return word.contains("${"); })) return;
  std::string line = "exec";
  std::map<std::string, std::string> variables;
  for (const std::string& word : command) {
    line += ' ';
    std::string_view rest = word;
    do {
      const std::size_t start = std::min(rest.find("${"), rest.size());
      if (start > 0 || word.empty()) line += model::join_shell_words({std::string(rest.substr(0, start))});
      rest.remove_prefix(start);
      if (rest.empty()) break;
      const std::size_t end = std::min(rest.find('}'), rest.size() - 1) + 1;
      const std::string reference(rest.substr(0, end));
      const std::string name = reference.substr(2, reference.find_first_of(":}") - 2);
      line += "\"$" + name + "\"";
      variables[name] = reference;
      rest.remove_prefix(end);
    } while (!rest.empty());
  }
  command = {"sh", "-c", line};
  environment.merge(variables);
}

std::string client_server(model::ServerSpec server, const std::string& directory) {
  const bool has_state = holds_state(server.command);
  const bool is_alone = needs_to_be_alone(server.command);
  // Relative words count from the working directory.
  const std::string here = server.directory == directory ? "." : directory;
  for (std::string& word : server.command) {
    word = replaced(replaced(std::move(word), "${workspaceFolder}", here), "${userHome}", "${HOME}");
  }
  put_into_shell(server.command, server.environment);
  const bool url = server.kind == model::ServerSpec::Kind::url;
  std::string out = fmt::format(
      "  {}:\n    {}\n", yaml_word(server.name),
      url ? "url: " + yaml_word(std::string(server.url.reveal())) : "command: " + yaml_words(server.command));
  if (has_state) out += "    state: process\n";
  if (is_alone) out += "    isolation: service\n";
  if (!server.environment.empty()) out += fmt::format("    env: {}\n", yaml_table(server.environment));
  if (!server.env_file.empty()) {
    const std::string file = replaced(server.env_file, "${workspaceFolder}/", "");
    out += fmt::format("    env_file: {}\n", yaml_word(file));
  }
  if (!server.headers.empty()) out += fmt::format("    headers: {}\n", yaml_table(server.headers));
  std::string folder = server.directory;
  constexpr std::string_view workspace = "${workspaceFolder}";
  if (const std::size_t at = folder.find(workspace); at != std::string::npos)
    folder = directory + folder.substr(at + workspace.size());
  if (folder != directory) out += fmt::format("    cwd: {}\n", yaml_word(folder));
  return out;
}

Result<Project> from_client_file(const std::string& directory, std::string_view name,
                                 const std::string& text) {
  model::SpecSource source{
      .text = text, .file = std::string(name), .directory = directory, .environment = {}};
  source.keep_variables = true;
  source.leave_out_bad_entries = true;
  const Result<model::Spec> spec = model::parse_spec(source);
  if (!spec) return Failure(spec.error());
  Project project;
  project.found =
      fmt::format("{} ({} server{})", name, spec->servers.size(), spec->servers.size() == 1 ? "" : "s");
  for (const model::ServerSpec& server : spec->servers) project.servers += client_server(server, directory);
  project.variables = spec->variables;
  project.notes = spec->notes;
  return project;
}

// ---- Node ----

std::string text_member(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

/// Of several programs the one of the package's own name, which npx runs, else the first.
std::string main_bin(const boost::json::object& bin, const std::string& package) {
  const std::string own = text_member(bin, package.substr(package.rfind('/') + 1));
  if (!own.empty()) return own;
  const boost::json::value& first = bin.begin()->value();
  return first.is_string() ? std::string(first.get_string()) : std::string();
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
  if (bin != nullptr && bin->is_object() && !bin->get_object().empty())
    file = main_bin(bin->get_object(), text_member(*package, "name"));
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

/// Names in a folder, sorted.
std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (std::filesystem::directory_iterator each(folder, error), end; !error && each != end;
       each.increment(error)) {
    out.push_back(each->path().filename().string());
  }
  std::ranges::sort(out);
  return out;
}

/// A file in the folder that makes a server with the SDK.
std::string python_server(const std::string& directory) {
  for (const std::string& name : entries_of(directory)) {
    if (!name.ends_with(".py")) continue;
    const std::string text = read_if_there(directory, name).value_or("");
    if (text.contains("FastMCP(") || text.contains("mcp.server") || text.contains("import fastmcp"))
      return name;
  }
  return {};
}

/// A package that can be run as a module: PKG/__main__.py, here or below src.
std::string python_module(const std::string& directory) {
  for (const std::string& base : {directory + "/src", directory}) {
    for (const std::string& name : entries_of(base)) {
      if (exists(fmt::format("{}/{}/__main__.py", base, name))) return name;
    }
  }
  return {};
}

/// What is run of a Python folder without scripts, as the words after `python`.
std::vector<std::string> python_words(const std::string& directory, std::string& found) {
  for (std::string_view file : {"server.py", "main.py", "app.py"}) {
    if (!exists(fmt::format("{}/{}", directory, file))) continue;
    found = file;
    return {std::string(file)};
  }
  if (std::string module = python_module(directory); !module.empty()) {
    found = module + "/__main__.py";
    return {"-m", module};
  }
  found = python_server(directory);
  if (found.empty()) return {};
  return {found};
}

Project from_pyproject(const std::string& directory, const std::string& text) {
  Project project;
  const std::string script = first_key_of_table(text, "[project.scripts]");
  const std::string poetry = first_key_of_table(text, "[tool.poetry.scripts]");
  std::string found;
  if (!script.empty()) {
    project.command = {"uv", "run", script};
    project.found = "pyproject.toml, project.scripts";
  } else if (!poetry.empty()) {
    project.command = {"poetry", "run", poetry};
    project.found = "pyproject.toml, tool.poetry.scripts";
  } else if (const std::vector<std::string> words = python_words(directory, found); !words.empty()) {
    project.command = {"uv", "run", "python"};
    project.command.insert(project.command.end(), words.begin(), words.end());
    project.found = "pyproject.toml and " + found;
  }
  return project;
}

/// A folder of Python files without pyproject.toml.
Project from_python(const std::string& directory) {
  Project project;
  const std::vector<std::string> words = python_words(directory, project.found);
  if (words.empty()) return project;
  project.command = {"python3"};
  project.command.insert(project.command.end(), words.begin(), words.end());
  if (exists(directory + "/requirements.txt")) project.hint = "pip install -r requirements.txt";
  return project;
}

// ---- Go ----

/// The main package: here, or below cmd, where one of the module's own name goes before others.
Project from_go(const std::string& directory, const std::string& text) {
  Project project{.command = {"go", "run", "."}, .found = "go.mod"};
  if (exists(directory + "/main.go")) return project;
  const std::size_t start = std::min(text.find("module "), text.size());
  const std::string module = text.substr(start, text.find('\n', start) - start);
  std::string chosen;
  for (const std::string& name : entries_of(directory + "/cmd")) {
    if (!exists(fmt::format("{}/cmd/{}/main.go", directory, name))) continue;
    const bool is_own = module.ends_with("/" + name) || module.ends_with(" " + name);
    if (chosen.empty() || is_own) chosen = name;
  }
  if (chosen.empty()) return project;
  project.command.back() = "./cmd/" + chosen;
  project.found = fmt::format("go.mod and cmd/{}", chosen);
  return project;
}

// ---- MCPB ----

/// What `text` of a manifest's mcp_config refers to, as berth.yaml and a shell name it.
std::string from_manifest_words(std::string text) {
  text = replaced(std::move(text), "${__dirname}", ".");
  constexpr std::string_view setting = "${user_config.";
  for (std::size_t at = text.find(setting); at != std::string::npos; at = text.find(setting, at + 2)) {
    const std::size_t end = std::min(text.find('}', at), text.size());
    std::string name = text.substr(at + setting.size(), end - at - setting.size());
    for (char& c : name)
      c = c == '-' || c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    text.replace(at, end - at, "${" + name);
  }
  return text;
}

/// A bundle's manifest (MCPB); empty for the manifest of something else.
Project from_manifest(const std::string& text) {
  Project project;
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_object()) return project;
  const boost::json::value* const server = value.get_object().if_contains("server");
  if (server == nullptr || !server->is_object()) return project;
  const boost::json::value* const config = server->get_object().if_contains("mcp_config");
  project.found = "manifest.json, server.mcp_config";
  std::map<std::string, std::string> environment;
  if (config != nullptr && config->is_object()) {
    const boost::json::object& how = config->get_object();
    const std::string program = from_manifest_words(text_member(how, "command"));
    if (!program.empty()) project.command.push_back(program);
    const boost::json::value* const words = how.if_contains("args");
    if (!program.empty() && words != nullptr && words->is_array()) {
      for (const boost::json::value& word : words->get_array()) {
        if (word.is_string()) project.command.push_back(from_manifest_words(std::string(word.get_string())));
      }
    }
    const boost::json::value* const table = how.if_contains("env");
    if (table != nullptr && table->is_object()) {
      for (const auto& entry : table->get_object()) {
        if (entry.value().is_string())
          environment[std::string(entry.key())] =
              from_manifest_words(std::string(entry.value().get_string()));
      }
    }
  } else if (const std::string entry = text_member(server->get_object(), "entry_point"); !entry.empty()) {
    const std::string type = text_member(server->get_object(), "type");
    project.found = "manifest.json, server.entry_point";
    if (type == "node") project.command = {"node", entry};
    if (type == "python") project.command = {"python3", entry};
    if (type == "uv") project.command = {"uv", "run", entry};
    if (type == "binary") project.command = {"./" + entry};
  }
  put_into_shell(project.command, environment);
  if (!environment.empty()) project.environment = yaml_table(environment);
  return project;
}

// ---- Deno ----

Project from_deno(const std::string& directory, const std::string& text) {
  Project project;
  boost::json::parse_options options;
  options.allow_comments = true;
  options.allow_trailing_commas = true;
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(text, error, {}, options);
  if (error || !value.is_object()) return project;
  const boost::json::value* const tasks = value.get_object().if_contains("tasks");
  if (tasks != nullptr && tasks->is_object() && tasks->get_object().contains("start")) {
    project.command = {"deno", "task", "start"};
    project.found = "deno.json, tasks.start";
    return project;
  }
  std::string file = text_member(value.get_object(), "exports");
  for (std::string_view usual : {"server.ts", "main.ts", "mod.ts"}) {
    if (file.empty() && exists(fmt::format("{}/{}", directory, usual))) file = usual;
  }
  if (file.empty()) return project;
  project.command = {"deno", "run", "-A", without_dot(file)};
  project.found = fmt::format("deno.json and {}", without_dot(file));
  return project;
}

Project from_single_files(const std::string& directory, const std::string& name) {
  struct Rule {
    std::string_view file;
    std::vector<std::string> command;
    std::string hint;
  };
  const Rule rules[] = {
      {"Cargo.toml", {"cargo", "run", "--quiet", "--release"}, ""},
      {"Dockerfile", {"docker", "run", "-i", "--rm", name}, fmt::format("docker build -t {} .", name)},
      {"server.js", {"node", "server.js"}, ""},
      {"index.js", {"node", "index.js"}, ""},
      {"server.mjs", {"node", "server.mjs"}, ""},
      {"server.ts", {"npx", "-y", "tsx", "server.ts"}, ""}};
  for (const Rule& rule : rules) {
    if (!exists(fmt::format("{}/{}", directory, rule.file))) continue;
    return Project{.command = rule.command, .found = std::string(rule.file), .hint = rule.hint};
  }
  return {};
}

}  // namespace

Result<Project> look_at(const std::string& directory, const std::string& name) {
  for (std::string_view file : {".mcp.json", ".vscode/mcp.json", ".cursor/mcp.json"}) {
    if (std::optional<std::string> text = read_if_there(directory, file))
      return from_client_file(directory, file, *text);
  }
  if (std::optional<std::string> text = read_if_there(directory, "manifest.json")) {
    Project project = from_manifest(*text);
    if (!project.command.empty()) return project;
  }
  if (std::optional<std::string> text = read_if_there(directory, "package.json")) {
    Result<Project> project = from_package_json(directory, *text);
    if (!project || !project->command.empty()) return project;
  }
  for (std::string_view file : {"deno.json", "deno.jsonc"}) {
    const std::optional<std::string> text = read_if_there(directory, file);
    Project project = text ? from_deno(directory, *text) : Project{};
    if (!project.command.empty()) return project;
  }
  if (std::optional<std::string> text = read_if_there(directory, "pyproject.toml")) {
    Project project = from_pyproject(directory, *text);
    if (!project.command.empty()) return project;
  }
  if (std::optional<std::string> text = read_if_there(directory, "go.mod")) return from_go(directory, *text);
  Project project = from_single_files(directory, name);
  return project.command.empty() ? from_python(directory) : project;
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
        "server:\n  command: {}\n{}{}"
        "{}",
        yaml_words(project.command),
        holds_state(project.command)
            ? "  state: process                       # what it keeps is in its process\n"
            : "",
        project.environment.empty()
            ? "  # env: {API_TOKEN: \"${API_TOKEN}\"}   # taken from the environment of `berth up`\n"
            : fmt::format("  env: {}\n", project.environment),
        needs_to_be_alone(project.command)
            ? "  isolation: service                   # one process for all callers: it needs a profile or "
              "port\n"
            : "  # isolation: session                 # a process of its own for every session\n");
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
