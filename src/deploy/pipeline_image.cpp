#include "deploy/pipeline_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "codec/base64.h"
#include "deploy/trouble.h"
#include "model/parse.h"
#include "registry/manifest.h"
#include "storage/files.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t program_head_bytes = 64 * 1024;
constexpr std::size_t digest_shown = 12;

// ELF-64, little-endian (System V ABI, "ELF Header" and "Program Header").
constexpr std::size_t elf_machine_at = 18;
constexpr std::size_t elf_headers_at = 32;
constexpr std::size_t elf_header_size_at = 54;
constexpr std::size_t elf_header_count_at = 56;
constexpr std::size_t elf_head_bytes = 64;
constexpr std::uint64_t machine_x86_64 = 62;
constexpr std::uint64_t machine_aarch64 = 183;
constexpr std::uint64_t header_interpreter = 3;

std::uint64_t little_endian(std::string_view bytes, std::size_t at, std::size_t width) {
  std::uint64_t out = 0;
  for (std::size_t i = width; i > 0; --i) out = out << 8 | static_cast<unsigned char>(bytes[at + i - 1]);
  return out;
}

struct BaseRule {
  std::string_view program;
  std::string_view base;
};
/// Official images by AWS's public mirror, which needs no login and limits nobody inside AWS.
constexpr BaseRule base_rules[] = {
    {"node", "public.ecr.aws/docker/library/node:22-slim"},
    {"npx", "public.ecr.aws/docker/library/node:22-slim"},
    {"npm", "public.ecr.aws/docker/library/node:22-slim"},
    {"tsx", "public.ecr.aws/docker/library/node:22-slim"},
    {"python", "public.ecr.aws/docker/library/python:3.13-slim"},
    {"python3", "public.ecr.aws/docker/library/python:3.13-slim"},
    {"uv", "ghcr.io/astral-sh/uv:python3.13-bookworm-slim"},
    {"uvx", "ghcr.io/astral-sh/uv:python3.13-bookworm-slim"},
    {"deno", "docker.io/denoland/deno:debian"},
    {"bun", "docker.io/oven/bun:slim"},
    {"bunx", "docker.io/oven/bun:slim"},
    {"java", "public.ecr.aws/docker/library/eclipse-temurin:21-jre"},
};
constexpr std::string_view shell_base = "public.ecr.aws/docker/library/debian:bookworm-slim";

std::string program_of(const model::ServerSpec& server) {
  if (server.command.empty()) return {};
  return std::filesystem::path(server.command.front()).filename().string();
}

bool is_node(const model::Spec& spec) {
  return std::ranges::any_of(spec.servers, [](const model::ServerSpec& server) {
    const std::string program = program_of(server);
    return program == "node" || program == "npx" || program == "npm" || program == "tsx";
  });
}

constexpr std::string_view ca_bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                           "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

std::string ca_bundle() {
  std::error_code ignored;
  for (const std::string_view path : ca_bundles) {
    if (std::filesystem::exists(path, ignored)) return std::string(path);
  }
  return {};
}

Result<std::string> write_spec_file(const model::Spec& inside, const std::string& state_directory) {
  const std::string folder = state_directory + "/image";
  const Result<void> made = storage::make_directories(folder);
  if (!made) return Failure(made.error());
  const Result<std::string> written = storage::write_temporary(folder, model::write_spec(inside) + "\n", "");
  if (!written) return Failure(written.error());
  const std::string path = folder + "/berth.yaml";
  const Result<void> replaced = storage::replace(*written, path);
  if (!replaced) return Failure(replaced.error());
  return path;
}

std::string shown_name(const std::string& architecture) {
  return architecture == "arm64" ? "ARM64" : "x86-64";
}

}  // namespace

std::string own_architecture() {
#if defined(__aarch64__)
  return "arm64";
#else
  return "amd64";
#endif
}

std::string architecture_of(const model::AwsSpec& aws) {
  switch (aws.architecture) {
    case model::AwsSpec::Architecture::own: return own_architecture();
    case model::AwsSpec::Architecture::x86_64: return "amd64";
    case model::AwsSpec::Architecture::arm64: return "arm64";
  }
  return own_architecture();
}

std::optional<ProgramFacts> read_program(std::string_view head) {
  // Magic, 64-bit, little-endian.
  if (head.size() < elf_head_bytes || !head.starts_with("\x7f"
                                                        "ELF\x02\x01"))
    return std::nullopt;
  ProgramFacts facts;
  const std::uint64_t machine = little_endian(head, elf_machine_at, 2);
  if (machine == machine_x86_64) facts.architecture = "amd64";
  if (machine == machine_aarch64) facts.architecture = "arm64";
  const std::uint64_t begin = little_endian(head, elf_headers_at, 8);
  const std::uint64_t size = little_endian(head, elf_header_size_at, 2);
  const std::uint64_t count = little_endian(head, elf_header_count_at, 2);
  facts.is_static = true;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = begin + i * size;
    if (at > head.size() || head.size() - at < 4) break;
    if (little_endian(head, static_cast<std::size_t>(at), 4) == header_interpreter) facts.is_static = false;
  }
  return facts;
}

std::string program_beside(const std::string& own, const model::AwsSpec& aws) {
  const std::string architecture = architecture_of(aws);
  return architecture == own_architecture() ? own : own + "-" + architecture;
}

Result<TaskProgram> task_program(const model::Spec& spec, const std::string& berth) {
  const auto native =
      std::ranges::find(spec.servers, model::ServerSpec::Kind::native, &model::ServerSpec::kind);
  if (native == spec.servers.end()) return TaskProgram{.path = berth, .arguments = {}, .is_berth = true};
  if (spec.servers.size() > 1) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("The server \"{}\" is a native program, which is the task itself, so there is no "
                    "place for others beside it. Start it by `command` and with --stdio, or give it a "
                    "service of its own.",
                    native->name));
  }
  const std::vector<std::string>& words = native->command;
  return TaskProgram{
      .path = (std::filesystem::path(spec.directory) / words.front()).lexically_normal().string(),
      .arguments = {words.begin() + 1, words.end()},
      .is_berth = false};
}

Result<void> check_program(const TaskProgram& program, const std::string& architecture) {
  const std::string& path = program.path;
  const std::string where =
      program.is_berth
          ? fmt::format(
                "Put the static berth for {} of the same version beside this one, as berth-{}{}, or "
                "name it: berth deploy --berth-binary PATH.",
                shown_name(architecture), architecture,
                architecture == "arm64" ? " (`./run build --arm64` makes it)" : "")
          : fmt::format("Build the server for {} and link it statically (-static).",
                        shown_name(architecture));
  const Result<std::string> head = storage::read_head(path, program_head_bytes);
  if (!head) {
    return fail(ErrorCode::not_found,
                fmt::format("The program {} that goes into the image cannot be read. {}", path, where));
  }
  const std::optional<ProgramFacts> facts = read_program(*head);
  if (!facts) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is no program for Linux, so it cannot start in the image. {}", path, where));
  }
  if (facts->architecture != architecture) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("The tasks are {} (aws.architecture), and {} is for another processor. {}",
                            shown_name(architecture), path, where));
  }
  if (!facts->is_static) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{} is not a static program, so it does not start in every image. {}", path, where));
  }
  return {};
}

std::string base_for(const model::Spec& spec) {
  if (!spec.image.base.empty()) return spec.image.base;
  std::string base = "scratch";
  for (const model::ServerSpec& server : spec.servers) {
    if (server.kind != model::ServerSpec::Kind::command) continue;
    const std::string program = program_of(server);
    // A program of the folder itself is taken for a static one; any other command needs what it is part of.
    const bool own = server.command.front().starts_with("./") || server.command.front().starts_with("/app/");
    std::string wanted = own ? "scratch" : std::string(shell_base);
    for (const BaseRule& rule : base_rules) {
      if (rule.program == program) wanted = rule.base;
    }
    if (base == "scratch") base = wanted;
  }
  return base;
}

std::vector<std::string> npm_packages(const model::Spec& spec) {
  std::vector<std::string> out;
  for (const model::ServerSpec& server : spec.servers) {
    const std::vector<std::string> packages = registry::npm_packages_of(server.command);
    out.insert(out.end(), packages.begin(), packages.end());
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<model::Spec> spec_for_image(model::Spec spec) {
  namespace fs = std::filesystem;
  for (const model::KeySpec& key : spec.auth.keys) {
    if (key.file.empty()) continue;
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("The key \"{}\" of auth.keys is read from the file {}, which a task on AWS does not "
                    "have. Use `env: NAME` instead: its value becomes part of the service's secret.",
                    key.principal, key.file));
  }
  for (model::ServerSpec& server : spec.servers) {
    if (server.kind == model::ServerSpec::Kind::command)
      server.command = registry::rewritten_command(server.command);
    if (server.directory.empty()) continue;
    const fs::path relative = fs::path(server.directory).lexically_relative(spec.directory);
    if (relative.empty() || relative.string().starts_with("..")) {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("The server \"{}\" works in {}, which is outside of {} and so not in the image. Move "
                      "it inside, or give cwd relative to berth.yaml.",
                      server.name, server.directory, spec.directory));
    }
    server.directory = relative == "." ? "/app" : (fs::path("/app") / relative).string();
  }
  // What is around the tasks may change without a new image.
  const bool is_open = spec.aws.open;
  const bool high_resolution = spec.scaling.high_resolution;
  spec.image = {};
  spec.permissions = {};
  spec.scaling = {};
  spec.aws = {};
  spec.aws.open = is_open;
  spec.scaling.high_resolution = high_resolution;
  return spec;
}

ImagePlan plan_image(const model::Spec& spec, const ImageInputs& inputs) {
  ImagePlan plan;
  if (!spec.image.assemble) {
    plan.dockerfile = spec.image.dockerfile;
    if (plan.dockerfile.empty() && inputs.has_dockerfile) plan.dockerfile = "Dockerfile";
    if (!plan.dockerfile.empty())
      plan.dockerfile = (std::filesystem::path(spec.directory) / plan.dockerfile).lexically_normal().string();
  }
  registry::AssembleOptions& options = plan.options;
  options.base = base_for(spec);
  options.architecture = architecture_of(spec.aws);
  options.directory = spec.directory;
  options.ignore = spec.image.ignore;
  options.berth = inputs.program.path;
  options.arguments = inputs.program.arguments;
  // The entry point need not be among the files of /app a second time.
  if (!inputs.program.is_berth) {
    options.ignore.push_back(
        std::filesystem::path(inputs.program.path).lexically_relative(spec.directory).string());
  }
  options.spec_file = inputs.spec_file;
  options.npm = inputs.has_package && is_node(spec);
  options.npm_packages = npm_packages(spec);
  options.ca_bundle = inputs.ca_bundle;
  options.labels = {{"org.opencontainers.image.title", spec.name}};
  return plan;
}

Result<void> check_entry_point(const registry::Image& image, const std::string& reference) {
  const std::vector<std::string> entry = registry::entry_point_of(image);
  const bool berth = !entry.empty() && std::filesystem::path(entry.front()).filename() == "berth";
  if (berth) return {};
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("The image {} does not start berth: its entry point is {}. Build it by `berth deploy` "
                  "without --image, or give it ENTRYPOINT [\"/usr/local/bin/berth\", \"serve\"] and the "
                  "static berth there.",
                  reference, entry.empty() ? "empty" : fmt::format("\"{}\"", fmt::join(entry, " "))));
}

std::string short_digest(const std::string& digest) {
  const std::size_t colon = digest.find(':');
  return digest.substr(colon == std::string::npos ? 0 : colon + 1, digest_shown);
}

Task<Result<registry::Image>> make_image(registry::Images& images, model::Spec spec, std::string berth,
                                         std::string state_directory, Progress& progress) {
  const Result<model::Spec> inside = spec_for_image(spec);
  if (!inside) co_return Failure(inside.error());
  const Result<std::string> file = write_spec_file(*inside, state_directory);
  if (!file) co_return Failure(file.error());
  std::error_code ignored;
  Result<TaskProgram> program = task_program(spec, berth);
  if (!program) co_return Failure(program.error());
  const ImageInputs inputs{.program = std::move(*program),
                           .spec_file = *file,
                           .has_dockerfile = std::filesystem::exists(spec.directory + "/Dockerfile", ignored),
                           .has_package = std::filesystem::exists(spec.directory + "/package.json", ignored),
                           .ca_bundle = ca_bundle()};
  ImagePlan plan = plan_image(spec, inputs);
  registry::Progress tell = [&progress](std::string_view text) { progress.detail(std::string(text)); };
  if (!plan.dockerfile.empty())
    co_return co_await images.build(plan.dockerfile, std::move(plan.options), std::move(tell));
  co_return co_await images.assemble(std::move(plan.options), std::move(tell));
}

Task<Result<registry::Image>> pull_image(aws::Client& client, registry::Images& images, std::string reference,
                                         std::string repository_uri, std::string architecture,
                                         Progress& progress) {
  const Result<registry::Reference> from = registry::parse_reference(reference);
  if (!from) co_return Failure(from.error());
  const Result<registry::Reference> own = registry::parse_reference(repository_uri);
  if (!own) co_return Failure(own.error());
  registry::Login login;
  if (from->registry == own->registry) {
    const Result<registry::Login> ecr = co_await ecr_login(client);
    if (!ecr) co_return Failure(ecr.error());
    login = *ecr;
  }
  registry::Progress tell = [&progress](std::string_view text) { progress.detail(std::string(text)); };
  co_return co_await images.pull(*from, std::move(login), std::move(architecture), std::move(tell));
}

Task<Result<registry::Login>> ecr_login(aws::Client& client) {
  json::object none;
  const auto reply = co_await client.call("ecr", "GetAuthorizationToken", std::move(none));
  if (!reply) co_return Failure(explain_fault(reply.error()));
  const json::array& data = aws::array(*reply, "authorizationData");
  const std::string token = data.empty() || !data.front().is_object()
                                ? ""
                                : aws::text(data.front().get_object(), "authorizationToken");
  const std::optional<std::string> clear = base64::decode(token);
  const std::size_t colon = clear ? clear->find(':') : std::string::npos;
  if (colon == std::string::npos)
    co_return fail(ErrorCode::internal, "ECR's GetAuthorizationToken answered without a token.");
  registry::Login login{.user = clear->substr(0, colon), .password = Secret(clear->substr(colon + 1))};
  co_return login;
}

Task<aws::Reply<bool>> has_image(aws::Client& client, std::string repository, std::string digest) {
  json::object id{{"imageDigest", digest}};
  json::object input{{"repositoryName", repository}, {"imageIds", json::array{json::value(std::move(id))}}};
  const auto reply = co_await client.call("ecr", "DescribeImages", std::move(input));
  if (reply) co_return !aws::array(*reply, "imageDetails").empty();
  const bool absent =
      reply.error().is("ImageNotFoundException") || reply.error().is("RepositoryNotFoundException");
  if (absent) co_return false;
  co_return std::unexpected(reply.error());
}

Task<Result<void>> mark_running(aws::Client& client, std::string repository, const registry::Image& image) {
  auto warn = [](const aws::Fault& fault) {
    return fail(
        ErrorCode::unavailable,
        fmt::format("The image could not be tagged \"running\" ({}): the repository's rule for images older "
                    "than 90 days may delete it. The next deploy tags it.",
                    fault.message));
  };
  json::object running{{"imageTag", "running"}};
  json::object ask{{"repositoryName", repository},
                   {"imageIds", json::array{json::value(std::move(running))}}};
  const auto before = co_await client.call("ecr", "BatchGetImage", std::move(ask));
  if (!before) co_return warn(before.error());
  const json::array& images = aws::array(*before, "images");
  if (!images.empty() && images.front().is_object()) {
    const json::object& old = images.front().get_object();
    if (aws::text(aws::object(old, "imageId"), "imageDigest") == image.digest) co_return Result<void>();
    json::object keep{{"repositoryName", repository},
                      {"imageManifest", aws::text(old, "imageManifest")},
                      {"imageTag", "running-before"}};
    const auto kept = co_await client.call("ecr", "PutImage", std::move(keep));
    if (!kept && !kept.error().is("ImageAlreadyExistsException")) co_return warn(kept.error());
  }
  json::object mark{
      {"repositoryName", repository}, {"imageManifest", image.manifest}, {"imageTag", "running"}};
  const auto marked = co_await client.call("ecr", "PutImage", std::move(mark));
  if (!marked && !marked.error().is("ImageAlreadyExistsException")) co_return warn(marked.error());
  co_return Result<void>();
}

Task<Result<void>> mark_running_again(aws::Client& client, std::string repository, std::string image) {
  const std::size_t at = image.rfind('@');
  registry::Image former;
  former.digest = at == std::string::npos ? image : image.substr(at + 1);
  json::object wanted{{"imageDigest", former.digest}};
  json::object ask{{"repositoryName", repository}, {"imageIds", json::array{json::value(std::move(wanted))}}};
  const auto found = co_await client.call("ecr", "BatchGetImage", std::move(ask));
  const json::array& images = found ? aws::array(*found, "images") : aws::array(json::object(), "images");
  if (images.empty() || !images.front().is_object()) co_return Result<void>();
  former.manifest = aws::text(images.front().get_object(), "imageManifest");
  co_return co_await mark_running(client, std::move(repository), former);
}

}  // namespace berth::deploy
