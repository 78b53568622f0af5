#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "registry/image.h"

/// Manifests, indexes and configurations of images, OCI and Docker schema 2, as values.
namespace berth::registry {

inline constexpr std::string_view oci_manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view oci_index = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view oci_config = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view docker_index = "application/vnd.docker.distribution.manifest.list.v2+json";

inline constexpr std::size_t manifest_bytes_max = 4u << 20;
inline constexpr std::size_t config_bytes_max = 4u << 20;
inline constexpr std::size_t layers_max = 127;  ///< what overlay file systems mount

struct BlobInfo {
  std::string media_type;
  std::string digest;
  std::uint64_t bytes = 0;
};

struct Manifest {
  BlobInfo config;
  std::vector<BlobInfo> layers;
};

/// What a manifest's bytes are: one image, or a choice of images.
struct ManifestOrIndex {
  std::optional<Manifest> manifest;
  struct Choice {
    BlobInfo descriptor;
    std::string os;
    std::string architecture;
    std::string variant;  ///< "v8"; mostly empty
  };
  std::vector<Choice> choices;
};

/// invalid_argument for anything else, also for schema 1 and for digests or sizes that cannot be.
Result<ManifestOrIndex> parse_manifest(std::string_view text);

/// The linux image of an architecture, rather the one that every machine of it runs (no variant, amd64's v1,
/// arm64's v8) than one for newer machines; not_found names what there is.
Result<BlobInfo> choose(const std::vector<ManifestOrIndex::Choice>& choices, const std::string& architecture);

/// An image of a manifest and a configuration that belong together: as many layers here as there. The layers'
/// types become OCI's (their bytes are the same).
Result<Image> make_image(const Manifest& manifest, std::string config);

/// What is put on a base, and how the result starts.
struct Addition {
  Layer layer;
  std::string name;  ///< for the history: "npm"
};
struct Composition {
  std::string architecture;
  std::vector<Addition> additions;
  std::map<std::string, std::string> environment;
  std::map<std::string, std::string> labels;
  std::vector<std::string> arguments;  ///< of the entry point, before "serve"
  bool keep_entry_point = false;       ///< the base's own is berth already
  bool keep_directory = false;         ///< the base's working directory, where it has one
  std::int64_t time_s = 0;
};
/// `base` without a configuration is scratch. The base's environment, volumes, labels and stop signal are
/// kept, also its user when that is not root; health check and command are berth's.
Result<Image> compose(const Image& base, const Composition& composition);

/// The entry point's program and arguments of a configuration.
std::vector<std::string> entry_point_of(const Image& image);

}  // namespace berth::registry
