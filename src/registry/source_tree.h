#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "registry/ignore.h"
#include "registry/tar.h"

namespace berth::registry {

/// The most that one layer holds; a task has 20 GB of disk.
inline constexpr std::uint64_t layer_bytes_max = std::uint64_t{10} << 30;
inline constexpr std::size_t layer_files_max = 1'000'000;

struct SourceTree {
  std::vector<Entry> entries;  ///< sorted by path, a folder before what is in it
  std::uint64_t bytes = 0;
  std::vector<std::string> skipped;  ///< sockets, pipes and devices, which no image can hold
};

/// Lists `root` as it will be under `prefix` in an image: all owned by `owner`, modes 0755 (folders, and
/// files that their owner may execute) or 0644, symlinks as they are and never followed. Errors name the
/// path: not_found, permission_denied, resource_exhausted (above layer_bytes_max, with the largest files),
/// invalid_argument (a name that an image cannot hold).
Result<SourceTree> list_tree(const std::string& root, const std::string& prefix, const IgnoreRules& ignore,
                             unsigned owner);

/// The rules for a folder: what is never wanted, its .dockerignore, and `patterns`.
Result<IgnoreRules> ignore_rules_of(const std::string& folder, const std::vector<std::string>& patterns);

}  // namespace berth::registry
