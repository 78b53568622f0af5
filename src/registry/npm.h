#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "registry/layer_maker.h"
#include "registry/program.h"

/// npm packages as a layer.
namespace berth::registry {

/// "@scope/name" of "@scope/name@1.2.3"; "" for what is no package of a registry (a path, a URL, a git
/// address).
std::string npm_package_name(std::string_view spec);
/// Whether the specification names one version and no range or tag.
bool is_pinned(std::string_view spec);

/// Where `node` finds the program of a package, or a command by name, in the image (without the leading
/// slash).
std::string launcher_path_of_package(std::string_view name);
std::string launcher_path_of_command(std::string_view name);

struct NpmInputs {
  std::string directory;              ///< with package.json, when `project`
  bool project = false;               ///< its own dependencies
  std::vector<std::string> packages;  ///< besides those
  std::string architecture;           ///< of the image
  bool musl = false;                  ///< the image's C library
};

/// Runs the machine's npm in a folder of its own, unless the same inputs gave a layer before. The project's
/// own scripts do not run (their sources are not there); those of its dependencies do, except for another
/// architecture than this machine's. Versions that are not pinned are looked up again once a day. The layer
/// holds app/node_modules and launchers. not_found without npm or package.json; unavailable with npm's
/// words.
Task<Result<LayerMaker::Made>> make_npm_layer(NpmInputs inputs, const LayerMaker& layers,
                                              const BlobStore& store, Environment environment,
                                              net::ProcessLauncher& launcher, Clock& clock,
                                              Progress progress);

}  // namespace berth::registry
