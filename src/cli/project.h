#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// What `berth init` learns from a folder. Reads files, runs nothing.
namespace berth::cli {

/// Where `berth init` and `berth up` put the JSON Schema for editors, relative to berth.yaml: the one of this
/// very version,
/// with no network.
inline constexpr std::string_view schema_path = ".berth/berth.schema.json";

/// How the MCP server of a folder seems to be started.
struct Project {
  std::vector<std::string> command;         ///< empty: nothing was found
  std::string found = {};                   ///< where that comes from, for a comment: "package.json, bin"
  std::string hint = {};                    ///< what to do before it can run, or empty
  std::string servers = {};                 ///< instead of a command: the `servers:` block of a client's file
  std::string environment = {};             ///< besides a command: the value of its `env`, or empty
  std::vector<std::string> variables = {};  ///< that the file refers to
  std::vector<std::string> notes = {};      ///< what was changed or left out; sentences
};

/// Looks for .mcp.json and its like, manifest.json (MCPB), package.json, deno.json, pyproject.toml, go.mod,
/// Cargo.toml, a Dockerfile and single files, in this order. Errors: a file among them that has mistakes.
Result<Project> look_at(const std::string& directory, const std::string& name);

/// The text of berth.yaml.
std::string write_yaml(const std::string& name, const Project& project);

}  // namespace berth::cli
