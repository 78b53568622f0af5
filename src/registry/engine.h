#pragma once

#include <string>

#include "registry/blob_store.h"
#include "registry/image.h"
#include "registry/program.h"

/// Images that docker, podman or buildah builds, and archives of images.
namespace berth::registry {

struct EngineBuild {
  std::string dockerfile;
  std::string directory;  ///< the build context
  std::string architecture;
};

/// Builds with the first of docker, podman and buildah that is on PATH and answers, and takes the image
/// over into the store; the engine keeps its copy as localhost/berth-build:…, one a project, for what it
/// need not do again. Its output goes to `progress` line by line. not_found names the engines and why each
/// was not taken; unavailable has the engine's last words.
Task<Result<Image>> build_with_engine(EngineBuild build, const BlobStore& store, Environment environment,
                                      net::ProcessLauncher& launcher, Clock& clock, Progress progress);

/// The one image of an OCI layout folder; plain layers are compressed on the way.
Task<Result<Image>> import_layout(std::string folder, const BlobStore& store, Clock& clock);
/// The one image of what `docker save` writes.
Task<Result<Image>> import_docker_archive(std::string path, const BlobStore& store, Clock& clock);

}  // namespace berth::registry
