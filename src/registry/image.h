#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/task.h"
#include "net/network.h"
#include "net/process.h"

/// OCI images (https://github.com/opencontainers/image-spec, distribution-spec): assembled without an engine,
/// reproducible to the digest, pushed and pulled over the distribution API.
namespace berth::registry {

/// "docker.io/library/node:22-slim", "127.0.0.1:5000/x@sha256:…".
struct Reference {
  std::string registry;  ///< host[:port]; loopback is spoken to in clear
  std::string repository;
  std::string tag;  ///< empty when `digest` is given
  std::string digest;
};
Result<Reference> parse_reference(std::string_view text);
std::string to_string(const Reference& reference);

struct Login {
  std::string user;  ///< "AWS" for ECR; empty: the logins of ~/.docker/config.json, or none
  Secret password;
};

/// A blob in the local store, by its digest.
struct Layer {
  std::string digest;   ///< of the compressed bytes
  std::string diff_id;  ///< of the tar
  std::string media_type;
  std::uint64_t bytes = 0;  ///< compressed
};

struct Image {
  std::string manifest;  ///< JSON; its digest is the image's
  std::string digest;
  std::string config;  ///< JSON
  std::vector<Layer> layers;
  std::uint64_t bytes = 0;  ///< of all layers, compressed
};

/// What is put on top of the base.
struct AssembleOptions {
  std::string base = "scratch";  ///< reference or "scratch"
  Login base_login;
  std::string architecture = "amd64";  ///< or arm64
  std::string directory;  ///< the user's folder: goes to /app, without .git, .berth, node_modules
                          ///< and what .dockerignore and `ignore` name
  std::vector<std::string> ignore;
  std::string berth;      ///< path of the static program: /usr/local/bin/berth, the entry point
  std::string spec_file;  ///< becomes /app/berth.yaml
  bool npm = false;       ///< a layer with `npm ci --omit=dev` of package.json, by the machine's npm
  std::vector<std::string>
      npm_packages;       ///< "npx -y PACKAGE" servers: installed into the image, so that no task
                          ///< downloads code at its start
  std::string ca_bundle;  ///< path; becomes /etc/ssl/certs/ca-certificates.crt where the base has none
  std::map<std::string, std::string> environment;
  std::map<std::string, std::string> labels;
};

/// What happens, for the terminal: "layer sha256:1234… (npm) 12.3 MB", "pushed", "already there".
using Progress = std::function<void(std::string_view)>;

/// Blobs lie in `store` (an OCI layout folder, e.g. ~/.cache/berth/images) and are reused by digest: the base
/// is
/// pulled once, a layer whose inputs have not changed is not made again.
class Images {
 public:
  virtual ~Images() = default;
  virtual Task<Result<Image>> assemble(AssembleOptions options, Progress progress) = 0;
  /// docker, podman or buildah, whichever is there, on `dockerfile`; berth is added as entry point when the
  /// image's own is not berth. not_found names the engines looked for.
  virtual Task<Result<Image>> build(std::string dockerfile, AssembleOptions options, Progress progress) = 0;
  /// Pushes what the registry lacks (HEAD before PUT, cross-repository mount where it helps).
  struct Pushed {
    std::size_t layers_sent = 0;
    std::uint64_t bytes_sent = 0;
    std::string digest;
  };
  virtual Task<Result<Pushed>> push(const Image& image, Reference to, Login login, Progress progress) = 0;
  virtual Task<Result<Image>> pull(Reference from, Login login, std::string architecture,
                                   Progress progress) = 0;
};
std::unique_ptr<Images> make_images(std::string store, std::map<std::string, std::string> environment,
                                    net::Network& network, net::ProcessLauncher& launcher);

}  // namespace berth::registry
