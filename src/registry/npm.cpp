#include "registry/npm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <filesystem>

#include "registry/files.h"
#include "registry/source_tree.h"

namespace berth::registry {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t package_file_bytes_max = 16u << 20;
constexpr std::size_t lock_file_bytes_max = 64u << 20;
constexpr auto npm_time_max = std::chrono::minutes(20);

/// A folder that goes when its owner does.
class WorkFolder {
 public:
  explicit WorkFolder(std::string path) : path_(std::move(path)) {}
  ~WorkFolder() { remove_tree(path_); }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The files that decide what npm installs, by their path in the project.
using ProjectFiles = std::map<std::string, std::string>;

bool is_cross(const std::string& architecture) {
  struct utsname machine{};
  ::uname(&machine);
  const std::string_view own = machine.machine;
  return (own == "aarch64" ? "arm64" : "amd64") != architecture;
}

/// The project's scripts build it from sources that are not there; its dependencies' scripts are their own.
Result<std::string> without_scripts(const std::string& text, const std::string& path) {
  boost::system::error_code error;
  auto root = json::parse(text, error);
  if (error || !root.is_object()) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a JSON object.", path));
  }
  root.get_object().erase("scripts");
  return json::serialize(root);
}

bool has_local_packages(const ProjectFiles& files) {
  const auto contains = [&](const char* file, std::string_view text) {
    const auto found = files.find(file);
    return found != files.end() && found->second.find(text) != std::string::npos;
  };
  return contains("package.json", "\"workspaces\"") || contains("package.json", "\"file:") ||
         contains("package-lock.json", "\"link\": true");
}

Result<ProjectFiles> read_project(const std::string& directory) {
  ProjectFiles files;
  for (const char* name : {"package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc"}) {
    auto text = read_file(directory + "/" + name, lock_file_bytes_max);
    if (text) files[name] = std::move(*text);
    if (!text && text.error().code() != ErrorCode::not_found) return Failure(text.error());
  }
  if (!files.contains("package.json")) {
    return fail(ErrorCode::not_found,
                fmt::format("'{}' has no package.json whose dependencies could be installed.", directory));
  }
  if (has_local_packages(files)) {
    IgnoreRules rules(IgnoreRules::Defaults::secrets);
    auto tree = list_tree(directory, {}, rules, 0);
    if (!tree) return Failure(tree.error());
    for (const Entry& entry : tree->entries) {
      if (entry.kind != Entry::Kind::file || !entry.path.ends_with("/package.json")) continue;
      auto text = read_file(entry.source, package_file_bytes_max);
      if (!text) return Failure(text.error());
      files[entry.path] = std::move(*text);
    }
  }
  for (auto& [path, text] : files) {
    if (!path.ends_with("package.json")) continue;
    auto stripped = without_scripts(text, directory + "/" + path);
    if (!stripped) return Failure(stripped.error());
    text = std::move(*stripped);
  }
  return files;
}

std::string key_of(const NpmInputs& inputs, const ProjectFiles& files, WallTime now) {
  std::string key = fmt::format("npm layer 1\n{}\n{}\n", inputs.architecture, inputs.musl ? "musl" : "glibc");
  bool is_exact = inputs.packages.empty() || std::ranges::all_of(inputs.packages, is_pinned);
  if (inputs.project && !files.contains("package-lock.json") && !files.contains("npm-shrinkwrap.json")) {
    is_exact = false;
  }
  if (!is_exact) {
    key += fmt::format("day {}\n",
                       std::chrono::duration_cast<std::chrono::hours>(now.time_since_epoch()).count() / 24);
  }
  for (const auto& [path, text] : files)
    key += fmt::format("file {}\n{}\n", json_quote(path), digest_of(text));
  auto packages = inputs.packages;
  std::ranges::sort(packages);
  for (const std::string& package : packages) key += "package " + json_quote(package) + "\n";
  return key;
}

std::vector<std::string> options_for(const NpmInputs& inputs) {
  std::vector<std::string> options = {"--omit=dev", "--no-audit", "--no-fund", "--no-progress",
                                      "--loglevel=error"};
  if (inputs.musl) options.emplace_back("--libc=musl");
  if (!is_cross(inputs.architecture)) return options;
  options.emplace_back("--os=linux");
  options.emplace_back(inputs.architecture == "arm64" ? "--cpu=arm64" : "--cpu=x64");
  options.emplace_back("--ignore-scripts");
  return options;
}

Result<void> write_project(const std::string& folder, const ProjectFiles& files) {
  for (const auto& [path, text] : files) {
    std::error_code error;
    fs::create_directories(fs::path(folder + "/" + path).parent_path(), error);
    if (auto written = replace_file(folder + "/" + path, text); !written) return written;
  }
  if (files.contains("package.json")) return {};
  return replace_file(folder + "/package.json", R"({"private":true})");
}

struct Launchable {
  std::string name;
  std::string version;
  std::map<std::string, std::string> commands;  ///< name → file, relative to the package
};

Result<Launchable> read_package(const std::string& folder, const std::string& name) {
  const std::string path = fmt::format("{}/node_modules/{}/package.json", folder, name);
  auto text = read_file(path, package_file_bytes_max);
  if (!text) return Failure(text.error().within(fmt::format("npm has installed '{}' nowhere", name)));
  boost::system::error_code error;
  const auto root = json::parse(*text, error);
  Launchable found{name, {}, {}};
  if (error || !root.is_object()) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a JSON object.", path));
  }
  if (const auto* version = root.get_object().if_contains("version");
      version != nullptr && version->is_string()) {
    found.version = version->get_string();
  }
  const std::size_t slash = name.find('/');
  const std::string own = slash == std::string::npos ? name : name.substr(slash + 1);
  const auto* bin = root.get_object().if_contains("bin");
  if (bin != nullptr && bin->is_string()) found.commands[own] = bin->get_string();
  if (bin != nullptr && bin->is_object()) {
    for (const auto& [command, file] : bin->get_object()) {
      if (file.is_string()) found.commands[std::string(command)] = file.get_string();
    }
  }
  return found;
}

/// npx's choice: the only command there is, or else the one that has the package's name.
const std::string* main_file(const Launchable& package) {
  if (package.commands.empty()) return nullptr;
  const auto& first = package.commands.begin()->second;
  const auto is_same = [&](const auto& command) { return command.second == first; };
  if (std::ranges::all_of(package.commands, is_same)) return &first;
  const std::size_t slash = package.name.find('/');
  const auto own =
      package.commands.find(slash == std::string::npos ? package.name : package.name.substr(slash + 1));
  return own == package.commands.end() ? nullptr : &own->second;
}

/// Whether node can run the file itself.
bool is_javascript(const std::string& path) {
  for (const char* ending : {".js", ".mjs", ".cjs"}) {
    if (path.ends_with(ending)) return true;
  }
  std::array<char, 128> head{};
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto count = file.number() < 0 ? -1 : ::read(file.number(), head.data(), head.size());
  const std::string_view text(head.data(), count < 0 ? 0 : static_cast<std::size_t>(count));
  if (text.starts_with("\x7f"
                       "ELF"))
    return false;
  return !text.starts_with("#!") || text.substr(0, text.find('\n')).find("node") != std::string_view::npos;
}

/// A link to a JavaScript program, or a program that starts what is not.
Entry launcher_entry(const std::string& folder, std::string path, const std::string& inside) {
  Entry entry;
  entry.path = std::move(path);
  const std::string target = fs::path("/app/node_modules/" + inside).lexically_normal().string();
  if (is_javascript(folder + "/node_modules/" + inside)) {
    entry.kind = Entry::Kind::symlink;
    entry.mode = 0777;
    entry.target = target;
    return entry;
  }
  entry.content = fmt::format(
      "const child = require('node:child_process').spawn({}, process.argv.slice(2), {{stdio: 'inherit'}});\n"
      "for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(name, () => child.kill(name));\n"
      "child.on('error', (error) => {{ console.error(error.message); process.exit(127); }});\n"
      "child.on('exit', (code) => process.exit(code ?? 1));\n",
      json_quote(target));
  return entry;
}

Result<void> add_launchers(const std::string& folder, const NpmInputs& inputs, std::vector<Entry>& entries,
                           const Progress& progress) {
  std::map<std::string, Entry> launchers;
  for (const std::string& spec : inputs.packages) {
    auto package = read_package(folder, npm_package_name(spec));
    if (!package) return Failure(package.error());
    if (progress) {
      progress(fmt::format("npm: {} {}{}", package->name, package->version,
                           is_pinned(spec) ? "" : " (not pinned: looked up again tomorrow)"));
    }
    const auto add = [&](std::string path, const std::string& file) {
      Entry entry = launcher_entry(folder, std::move(path), package->name + "/" + file);
      launchers[entry.path] = std::move(entry);
    };
    if (const auto* file = main_file(*package)) add(launcher_path_of_package(package->name), *file);
    for (const auto& [command, file] : package->commands) {
      if (command.find('/') == std::string::npos) add(launcher_path_of_command(command), file);
    }
  }
  for (auto& [path, entry] : launchers) entries.push_back(std::move(entry));
  return {};
}

Task<Result<void>> run_npm(std::vector<std::string> argv, std::string folder, Environment environment,
                           net::ProcessLauncher& launcher, Clock& clock) {
  ProgramCall call;
  call.argv = std::move(argv);
  call.directory = std::move(folder);
  call.environment = std::move(environment);
  call.environment["npm_config_update_notifier"] = "false";
  call.time_max = npm_time_max;
  const std::string shown = call.argv[0] + " " + call.argv[1];
  auto ran = co_await run_program(launcher, clock, std::move(call));
  if (!ran && ran.error().code() == ErrorCode::not_found) {
    co_return fail(ErrorCode::not_found,
                   "npm is needed to install packages into the image and is not on PATH. Install Node.js, or "
                   "build the image by a Dockerfile.");
  }
  if (!ran) co_return Failure(ran.error());
  if (ran->succeeded()) co_return Result<void>();
  co_return fail(ErrorCode::unavailable,
                 fmt::format("`{}` {}:\n{}", shown, to_string(ran->status), ran->last_words));
}

bool is_installed(const Entry& entry) {
  return entry.path.ends_with("/node_modules") || entry.path.find("/node_modules/") != std::string::npos;
}

}  // namespace

Task<Result<LayerMaker::Made>> make_npm_layer(NpmInputs inputs, const LayerMaker& layers,
                                              const BlobStore& store, Environment environment,
                                              net::ProcessLauncher& launcher, Clock& clock,
                                              Progress progress) {
  ProjectFiles files;
  if (inputs.project) {
    auto read = read_project(inputs.directory);
    if (!read) co_return Failure(read.error());
    files = std::move(*read);
  }
  const std::string key = key_of(inputs, files, clock.wall());
  if (auto known = layers.recall(key)) co_return LayerMaker::Made{std::move(*known), true};
  auto made_folder = store.make_work_folder();
  if (!made_folder) co_return Failure(made_folder.error());
  const WorkFolder folder(std::move(*made_folder));
  if (auto written = write_project(folder.path(), files); !written) co_return Failure(written.error());
  const auto options = options_for(inputs);
  if (progress) progress("npm: installing");
  if (progress && is_cross(inputs.architecture)) {
    progress(fmt::format(
        "npm: install scripts of packages do not run, since the image is for {} and this machine is "
        "not",
        inputs.architecture));
  }
  if (inputs.project) {
    const bool is_locked = files.contains("package-lock.json") || files.contains("npm-shrinkwrap.json");
    std::vector<std::string> argv = {"npm", is_locked ? "ci" : "install"};
    if (!is_locked && progress) {
      progress("npm: there is no package-lock.json, so versions are what npm finds today; commit one");
    }
    argv.insert(argv.end(), options.begin(), options.end());
    auto ran = co_await run_npm(std::move(argv), folder.path(), environment, launcher, clock);
    if (!ran) co_return Failure(ran.error());
  }
  if (!inputs.packages.empty()) {
    std::vector<std::string> argv = {"npm", "install", "--no-save"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.emplace_back("--");
    argv.insert(argv.end(), inputs.packages.begin(), inputs.packages.end());
    auto ran = co_await run_npm(std::move(argv), folder.path(), environment, launcher, clock);
    if (!ran) co_return Failure(ran.error());
  }
  IgnoreRules everything(IgnoreRules::Defaults::none);
  auto tree = list_tree(folder.path(), "app", everything, 0);
  if (!tree) co_return Failure(tree.error());
  std::vector<Entry> entries = std::move(tree->entries);
  std::erase_if(entries, [](const Entry& entry) { return !is_installed(entry); });
  if (auto added = add_launchers(folder.path(), inputs, entries, progress); !added) {
    co_return Failure(added.error());
  }
  std::ranges::sort(entries, {}, &Entry::path);
  auto made = co_await layers.make(std::move(entries), folder.path());
  if (made) layers.remember(key, made->layer);
  co_return made;
}

}  // namespace berth::registry
