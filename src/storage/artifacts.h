#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace berth::storage {

struct ArtifactLimits {
  std::size_t name_bytes_max = 512;
  std::size_t bytes_max = std::size_t{16} << 20;
  std::size_t artifacts_max = 10'000;
  std::size_t page_max = 1'000;
};

struct ArtifactInfo {
  std::string name;
  std::string media_type;
  std::uint64_t size = 0;  ///< bytes
  std::string sha256;      ///< lower-case hexadecimal
  std::string writer;      ///< principal
  std::int64_t written_unix_ms = 0;
  bool operator==(const ArtifactInfo&) const = default;
};

struct ArtifactWrite {
  std::string name;
  std::string media_type;
  std::string bytes;
  std::string writer;
  WallTime now{};
};

struct Artifact {
  ArtifactInfo info;
  std::string bytes;
};

struct ArtifactPage {
  std::vector<ArtifactInfo> artifacts;
  std::string next;  ///< give it as `after` for the next page; empty at the end
};

/// Named files with a media type on the shared volume, written whole and replaced whole: one file an
/// artifact, its description in a first line, put in place by rename. A reader sees the old or the new one.
class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;
  /// invalid_argument: an empty or too long name; resource_exhausted: too large, too many.
  virtual Result<ArtifactInfo> put(const ArtifactWrite& write) = 0;
  /// not_found; internal when the content does not have the SHA-256 it was stored with.
  virtual Result<Artifact> get(std::string_view name) = 0;
  virtual Result<ArtifactPage> list(std::string_view prefix, std::string_view after, std::size_t count) = 0;
};

Result<std::unique_ptr<ArtifactStore>> make_artifact_store(std::string directory, ArtifactLimits limits = {});

}  // namespace berth::storage
