#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "registry/blob_store.h"
#include "registry/image.h"
#include "registry/tar.h"

namespace berth::registry {

/// What matters of the files of a base image, the layers laid over one another.
struct BaseFacts {
  bool is_scratch = false;
  bool readable = true;                        ///< false: a layer is zstd, whose files are not looked at
  std::map<std::string, char> paths;           ///< of those looked for: 'd', 'f' or 'l'
  std::map<std::string, std::string> content;  ///< of etc/passwd and etc/group
  bool has(const std::string& path) const { return paths.contains(path); }
  /// A program `name` in some folder called bin.
  bool has_program(std::string_view name) const;
  bool is_musl() const;
};

/// Reads the layers in `store`, each once (what is found is remembered by its digest).
Task<Result<BaseFacts>> read_base_facts(const BlobStore& store, Clock& clock, std::vector<Layer> layers);

/// What every image needs and this base has not: trusted authorities (`ca_bundle`, their PEM text; empty:
/// none), a user 1000 with a name, /tmp, /mnt/data, /app and the folders above them.
std::vector<Entry> system_entries(const BaseFacts& base, const std::string& ca_bundle);

}  // namespace berth::registry
