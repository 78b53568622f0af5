#include <algorithm>
#include <array>

#include "registry/npm.h"

namespace berth::registry {

namespace {

/// What a command of npx asks for.
struct Npx {
  std::vector<std::string> packages;
  bool names_packages = false;  ///< by --package; the first word is then a command
  std::string command;          ///< or the package
  std::vector<std::string> arguments;
};

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

bool is_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.front() != '_' &&
         std::ranges::all_of(name, is_name_character);
}

/// Programs that every base that has a shell has; a package does not bring them.
bool is_system_program(std::string_view name) {
  constexpr std::array<std::string_view, 5> programs = {"node", "sh", "bash", "env", "npm"};
  return std::ranges::find(programs, name) != programs.end();
}

/// Reads `npx [options] …` and `npm exec [options] …`; nullopt for anything else, and for options that make
/// it more than one program (--call).
std::optional<Npx> parse_npx(const std::vector<std::string>& command) {
  std::size_t at = 1;
  if (command.empty()) return std::nullopt;
  const std::string_view program = base_name(command.front());
  const bool is_exec = program == "npm" && command.size() > 1 && (command[1] == "exec" || command[1] == "x");
  if (program != "npx" && !is_exec) return std::nullopt;
  if (is_exec) at = 2;
  Npx npx;
  for (; at < command.size() && command[at].starts_with('-'); ++at) {
    const std::string& option = command[at];
    if (option == "--") {
      ++at;
      break;
    }
    if (option == "-c" || option.starts_with("--call")) return std::nullopt;
    if (option == "-p" || option == "--package") {
      if (++at >= command.size()) return std::nullopt;
      npx.packages.push_back(command[at]);
    } else if (option.starts_with("--package=")) {
      npx.packages.push_back(option.substr(10));
    }
  }
  if (at >= command.size()) return std::nullopt;
  npx.names_packages = !npx.packages.empty();
  npx.command = command[at];
  if (!npx.names_packages) npx.packages.push_back(npx.command);
  // `npm exec` keeps what is behind a second -- as it is, and drops the mark.
  ++at;
  if (is_exec && at < command.size() && command[at] == "--") ++at;
  npx.arguments.assign(command.begin() + static_cast<std::ptrdiff_t>(at), command.end());
  const auto is_from_registry = [](const std::string& spec) { return !npm_package_name(spec).empty(); };
  if (!std::ranges::all_of(npx.packages, is_from_registry)) return std::nullopt;
  return npx;
}

}  // namespace

std::string npm_package_name(std::string_view spec) {
  std::string_view rest = spec;
  std::string name;
  if (rest.starts_with('@')) {
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos || !is_name(rest.substr(1, slash - 1))) return {};
    name = rest.substr(0, slash + 1);
    rest.remove_prefix(slash + 1);
  }
  const std::size_t at = rest.find('@');
  if (!is_name(rest.substr(0, at))) return {};
  if (at != std::string_view::npos) {
    // A range or a tag; what has a colon or a slash is an address.
    const std::string_view version = rest.substr(at + 1);
    if (version.empty() || version.find_first_of(":/\\ ") != std::string_view::npos) return {};
  }
  return name + std::string(rest.substr(0, at));
}

bool is_pinned(std::string_view spec) {
  const std::string name = npm_package_name(spec);
  if (spec.size() <= name.size() + 1) return false;
  const std::string_view version = spec.substr(name.size() + 1);
  const bool is_number = version.find_first_not_of("0123456789.") == std::string_view::npos ||
                         version.find_first_of("-+") != std::string_view::npos;
  return version.front() >= '0' && version.front() <= '9' && is_number &&
         std::ranges::count(version.substr(0, version.find_first_of("-+")), '.') == 2;
}

std::vector<std::string> npm_packages_of(const std::vector<std::string>& command) {
  const auto npx = parse_npx(command);
  return npx ? npx->packages : std::vector<std::string>();
}

std::vector<std::string> rewritten_command(const std::vector<std::string>& command) {
  const auto npx = parse_npx(command);
  if (!npx) return command;
  std::vector<std::string> words;
  if (!npx->names_packages) {
    words = {"node", "/" + launcher_path_of_package(npm_package_name(npx->command))};
  } else if (is_system_program(npx->command) || npx->command.find('/') != std::string::npos) {
    words = {npx->command};
  } else {
    words = {"node", "/" + launcher_path_of_command(npx->command)};
  }
  words.insert(words.end(), npx->arguments.begin(), npx->arguments.end());
  return words;
}

std::string launcher_path_of_package(std::string_view name) {
  return "app/node_modules/.berth/package/" + std::string(name);
}

std::string launcher_path_of_command(std::string_view name) {
  return "app/node_modules/.berth/command/" + std::string(name);
}

}  // namespace berth::registry
