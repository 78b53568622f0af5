#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/client.h"
#include "deploy/progress.h"
#include "model/spec.h"
#include "registry/image.h"

/// Which image a spec asks for, and where it goes.
namespace berth::deploy {

/// "amd64" or "arm64", as OCI names them.
std::string own_architecture();
std::string architecture_of(const model::AwsSpec& aws);

/// What the head of an ELF program says about where it runs.
struct ProgramFacts {
  std::string architecture;  ///< "amd64", "arm64"; empty: another
  bool is_static = false;    ///< needs no loader, so it runs in any image
};
/// nullopt when it is no 64-bit ELF program. `head`: its first bytes, program headers included (64 KiB do).
std::optional<ProgramFacts> read_program(std::string_view head);

/// The static program for the image when nobody names one: `own`, or for another architecture than this
/// machine's the file beside it with the architecture's name, /usr/bin/berth-arm64.
std::string program_beside(const std::string& own, const model::AwsSpec& aws);

/// The entry point of the image. A native server is the task itself: its program serves and answers health
/// checks as berth does, and takes berth's place.
struct TaskProgram {
  std::string path;
  std::vector<std::string> arguments;  ///< before "serve"
  bool is_berth = true;
};
/// invalid_argument when a native server is not the only one of its service.
Result<TaskProgram> task_program(const model::Spec& spec, const std::string& berth);

/// Whether the file can be the entry point of an image of `architecture`; the failure says where to get one.
Result<void> check_program(const TaskProgram& program, const std::string& architecture);

/// The base by what the servers start with, when image.base does not say: node, python, uv, deno, bun, a JVM,
/// or scratch when berth alone (or a program of the folder) runs.
std::string base_for(const model::Spec& spec);

/// Packages of servers started by `npx`, as npm names them: "@x/y@1.2".
std::vector<std::string> npm_packages(const model::Spec& spec);

/// The spec as it stands inside the image: folders of this machine become folders of /app, `npx` the program
/// that it would start, and what is around the tasks (aws, scaling, permissions, image) is left out.
/// invalid_argument names what cannot be there: a folder outside the spec's, a key read from a file.
Result<model::Spec> spec_for_image(model::Spec spec);

struct ImageInputs {
  TaskProgram program;
  std::string spec_file;        ///< written from spec_for_image
  bool has_dockerfile = false;  ///< ./Dockerfile is there
  bool has_package = false;     ///< ./package.json is there
  std::string ca_bundle;        ///< path; empty: none found
};
struct ImagePlan {
  std::string dockerfile;  ///< for an engine; empty: Berth assembles it
  registry::AssembleOptions options;
};
ImagePlan plan_image(const model::Spec& spec, const ImageInputs& inputs);

/// invalid_argument when the image does not start berth.
Result<void> check_entry_point(const registry::Image& image, const std::string& reference);

/// "sha256:0123456789ab…" → "0123456789ab".
std::string short_digest(const std::string& digest);

/// Builds or assembles the image; the spec for it is written to `state_directory` for it.
/// Progress is told as detail.
Task<Result<registry::Image>> make_image(registry::Images& images, model::Spec spec, std::string berth,
                                         std::string state_directory, Progress& progress);
/// Fetches an image that was built elsewhere; with ECR's own login where it lies in the service's registry.
Task<Result<registry::Image>> pull_image(aws::Client& client, registry::Images& images, std::string reference,
                                         std::string repository_uri, std::string architecture,
                                         Progress& progress);

/// The user and password of ECR for docker's protocol.
Task<Result<registry::Login>> ecr_login(aws::Client& client);

/// Whether the repository has the digest. A repository that is not there has nothing.
Task<aws::Reply<bool>> has_image(aws::Client& client, std::string repository, std::string digest);

/// Moves the tag "running" to `image`, and "running-before" to what had it: the repository's lifecycle
/// rules never delete images with such tags, however old they are, so the one that runs and the one for a
/// rollback stay. The failure is a sentence for a notice; the deploy stands without the tags.
Task<Result<void>> mark_running(aws::Client& client, std::string repository, const registry::Image& image);
/// The same for an image that is in the repository, "…@sha256:…", where the service went back to it.
Task<Result<void>> mark_running_again(aws::Client& client, std::string repository, std::string image);

}  // namespace berth::deploy
