#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "mcp/core.h"
#include "model/spec.h"

namespace berth::task {

/// Which era a command was seen to speak, and whether it was seen asking its users, kept in a small file
/// beyond the life of a host, so that the next one need not find out. An era that is wrong or stale there
/// costs one start: a host believes it only until a process has answered, and asks when the first one does
/// not. Tasks of one folder share the file; of two that write at the same moment one finds out again.
class EraRecord {
 public:
  /// An entry holds for this version of Berth, this command in this folder, and those of its arguments that
  /// name files as long as the files do not change.
  EraRecord(std::string path, std::string version) : path_(std::move(path)), version_(std::move(version)) {}

  std::optional<mcp::Era> recall(const model::ServerSpec& spec, WallTime now) const;
  /// Holds as long as the files do not change.
  bool recalls_asking(const model::ServerSpec& spec) const;
  /// nullopt forgets what was kept.
  Result<void> keep(const model::ServerSpec& spec, std::optional<mcp::Era> era, WallTime now) const;
  Result<void> keep_asking(const model::ServerSpec& spec, WallTime now) const;

 private:
  std::string path_;
  std::string version_;
};

}  // namespace berth::task
