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
/// `[registry[:port]/]repository[:tag][@digest]`: without a registry Docker Hub's, without tag and digest
/// "latest". invalid_argument says what is wrong and how it is written.
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
  std::string berth;                   ///< path of the static program: /usr/local/bin/berth, the entry point
  std::vector<std::string> arguments;  ///< of the entry point, before its last one, "serve"
  std::string spec_file;               ///< becomes /app/berth.yaml
  bool npm = false;  ///< a layer with `npm ci --omit=dev` of package.json, by the machine's npm
  std::vector<std::string>
      npm_packages;       ///< "npx -y PACKAGE" servers: installed into the image, so that no task
                          ///< downloads code at its start
  std::string ca_bundle;  ///< path; becomes /etc/ssl/certs/ca-certificates.crt where the base has none
  std::map<std::string, std::string> environment;
  std::map<std::string, std::string> labels;
};

/// What happens, for the terminal: "layer sha256:1234… (npm) 12.3 MB", "pushed", "already there".
using Progress = std::function<void(std::string_view)>;

/// The packages that a command of the form `npx -y PACKAGE[@version] …` (or `npx -p PACKAGE COMMAND …`, or
/// `npm exec`) would download: for AssembleOptions::npm_packages. Empty for any other command, also for
/// packages that are paths, URLs or git addresses.
std::vector<std::string> npm_packages_of(const std::vector<std::string>& command);

/// The same command for the image's own berth.yaml. `npx` itself works in an image without network and with
/// a read-only root only when npm is in the image and the version is neither tag nor range (it asks the
/// registry otherwise), and costs a process of 80 MB. So `npx -y @scope/name args` becomes `node
/// /app/node_modules/.berth/package/@scope/name args`, and `npx -p PACKAGE command` becomes `node
/// /app/node_modules/.berth/command/command`: links which the npm layer has to the program that npx would
/// choose. They need neither npm nor a shell, nor /usr/bin/env. The packages' commands are also in
/// /app/node_modules/.bin, first on the image's PATH. Commands without packages stay as they are.
std::vector<std::string> rewritten_command(const std::vector<std::string>& command);

/// Blobs lie in `store` (an OCI layout folder, e.g. ~/.cache/berth/images) and are reused by digest: the
/// base is pulled once, a layer whose inputs have not changed is not made again; what 30 days did not use
/// is deleted. From the environment come PATH and HOME, DOCKER_CONFIG, REGISTRY_AUTH_FILE, SSL_CERT_FILE
/// and SOURCE_DATE_EPOCH (the time of every file, otherwise 0); npm and engines get it whole.
class Images {
 public:
  virtual ~Images() = default;
  /// Layers: the base's, what every image needs (authorities, user 1000, /tmp, /mnt/data), berth, npm
  /// packages, the app, the spec. The same inputs give the same digest. Of the folder stay out: what
  /// .dockerignore and `ignore` name, and at any depth .git, .berth, .env*, node_modules, *.pem, .aws,
  /// .ssh, .npmrc and the like unless a "!" pattern names them. Files belong to root and cannot be changed
  /// by the service's user. Errors name the file: permission_denied, conflict (it changed while it was
  /// read), resource_exhausted (10 GB).
  virtual Task<Result<Image>> assemble(AssembleOptions options, Progress progress) = 0;
  /// docker, podman or buildah, whichever is there, on `dockerfile`; berth is added as entry point when the
  /// image's own is not berth. not_found names the engines looked for. The image keeps its working
  /// directory and its user (root becomes 1000:1000).
  virtual Task<Result<Image>> build(std::string dockerfile, AssembleOptions options, Progress progress) = 0;
  /// Pushes what the registry lacks (HEAD before PUT, cross-repository mount where it helps).
  /// permission_denied, not_found (no such repository), conflict (the tag may not be moved),
  /// resource_exhausted (413), unavailable after five attempts.
  struct Pushed {
    std::size_t layers_sent = 0;
    std::uint64_t bytes_sent = 0;
    std::string digest;
  };
  virtual Task<Result<Pushed>> push(const Image& image, Reference to, Login login, Progress progress) = 0;
  /// Everything is checked against its digest; a download that broke goes on where it stopped.
  virtual Task<Result<Image>> pull(Reference from, Login login, std::string architecture,
                                   Progress progress) = 0;
};
std::unique_ptr<Images> make_images(std::string store, std::map<std::string, std::string> environment,
                                    net::Network& network, net::ProcessLauncher& launcher);

}  // namespace berth::registry
