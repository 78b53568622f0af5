#include "cli/spec_file.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/files.h"
#include "cli/options.h"
#include "model/parse.h"
#include "model/schema.h"
#include "model/shell_words.h"

namespace berth::cli {
namespace {

constexpr std::size_t spec_bytes_max = 4u << 20;
constexpr std::size_t env_file_bytes_max = 1u << 20;
constexpr std::string_view state_folder = ".berth";

/// Editors keep their file in a folder of the workspace, and count from the workspace.
std::string workspace_of(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path();
  const bool of_editor = folder.filename() == ".vscode" || folder.filename() == ".cursor";
  return of_editor && model::is_client_file(file.string()) ? folder.parent_path().string() : folder.string();
}

SpecLocation locate(const std::string& directory, const std::string& name, const std::string& shown) {
  return {.path = name.empty() ? "" : directory + "/" + name,
          .shown = shown,
          .directory = directory,
          .state_directory = fmt::format("{}/{}", directory, state_folder)};
}

}  // namespace

Result<SpecLocation> find_spec(const Context& context, const std::optional<std::string>& file, Need need) {
  namespace fs = std::filesystem;
  if (file) {
    fs::path path = (fs::path(context.directory) / *file).lexically_normal();
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) path /= "berth.yaml";
    std::string shown = fs::path(*file).lexically_normal().string();
    if (!exists(path.string())) {
      return fail(ErrorCode::not_found,
                  fmt::format("There is no file {}. Check the path, or make one with `berth init`.", *file));
    }
    SpecLocation location = locate(workspace_of(path), "", shown);
    location.path = path.string();
    return location;
  }
  for (fs::path folder = context.directory;; folder = folder.parent_path()) {
    bool here = folder == fs::path(context.directory);
    if (exists((folder / "berth.yaml").string())) {
      std::string shown = here ? "berth.yaml" : (folder / "berth.yaml").string();
      return locate(folder.string(), "berth.yaml", shown);
    }
    if (need == Need::service && exists((folder / state_folder / "control.sock").string()))
      return locate(folder.string(), "", "");
    if (folder == folder.parent_path()) break;
  }
  return fail(ErrorCode::not_found,
              fmt::format("There is no berth.yaml in {} or above it.\n\n"
                          "  berth init                    looks at this folder and writes one\n"
                          "  berth init -- COMMAND ARGS…   for an MCP server started by that command\n"
                          "  berth up .mcp.json            takes a client's own file as it is",
                          context.directory));
}

std::optional<std::string> given_file(const Arguments& arguments) {
  if (!arguments.words().empty()) return arguments.words().front();
  return arguments.get("file");
}

std::string file_words(const Context& context, const SpecLocation& location) {
  const Result<SpecLocation> found = find_spec(context, std::nullopt, Need::service);
  if (found && found->state_directory == location.state_directory) return {};
  return " --file " + model::join_shell_words({location.shown});
}

Result<model::SpecSource> spec_source(const Context& context, const SpecLocation& location) {
  Result<std::string> text = read_file(location.path, spec_bytes_max);
  if (!text) return Failure(text.error());
  model::SpecSource source{.text = std::move(*text),
                           .file = location.shown,
                           .directory = location.directory,
                           .environment = context.environment};
  source.read_file = [](const std::string& path) { return read_file(path, env_file_bytes_max); };
  return source;
}

Result<model::Spec> load_spec(const Context& context, const SpecLocation& location, const SpecPart& part) {
  Result<model::SpecSource> source = spec_source(context, location);
  if (!source) return Failure(source.error());
  source->only = part.only;
  source->leave_out_bad_entries = part.leave_out_bad_entries;
  return model::parse_spec(*source);
}

void write_schema(const std::string& state_directory) {
  std::error_code ignored;
  if (std::filesystem::create_directory(state_directory, ignored)) {
    std::filesystem::permissions(state_directory, std::filesystem::perms::owner_all, ignored);
  }
  static_cast<void>(
      write_file(state_directory + "/berth.schema.json", model::json_schema(), IfExists::replace));
  // The folder holds keys and data that belong to this machine.
  static_cast<void>(write_file(state_directory + "/.gitignore", "*\n", IfExists::fail));
}

}  // namespace berth::cli
