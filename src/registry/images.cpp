#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "registry/base_facts.h"
#include "registry/engine.h"
#include "registry/files.h"
#include "registry/npm.h"
#include "registry/reference.h"
#include "registry/source_tree.h"
#include "registry/transfer.h"

namespace berth::registry {

namespace {

constexpr std::size_t ca_bundle_bytes_max = 8u << 20;
constexpr std::size_t skipped_shown = 5;

/// SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), or 0.
std::int64_t source_time(const Environment& environment) {
  const std::string& text = variable(environment, "SOURCE_DATE_EPOCH");
  std::int64_t time = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), time);
  return error == std::errc{} && end == text.data() + text.size() && time > 0 ? time : 0;
}

bool is_berth(const std::vector<std::string>& entry_point) {
  if (entry_point.empty()) return false;
  return entry_point.front().substr(entry_point.front().rfind('/') + 1) == "berth";
}

class ImagesImpl final : public Images {
 public:
  ImagesImpl(std::string store, Environment environment, net::Network& network,
             net::ProcessLauncher& launcher)
      : folder_(std::move(store)),
        environment_(std::move(environment)),
        network_(network),
        launcher_(launcher) {}

  Task<Result<Image>> assemble(AssembleOptions options, Progress progress) override {
    if (auto opened = open(); !opened) co_return Failure(opened.error());
    if (auto sound = check(options); !sound) co_return Failure(sound.error());
    Image base;
    if (options.base != "scratch") {
      auto reference = parse_reference(options.base);
      if (!reference) co_return Failure(reference.error().within("image.base"));
      auto pulled = co_await pull(*reference, options.base_login, options.architecture, progress);
      if (!pulled) co_return pulled;
      base = std::move(*pulled);
    }
    Assembly assembly{.options = std::move(options), .base = std::move(base), .progress = progress};
    assembly.composition.architecture = assembly.options.architecture;
    auto begun = co_await add_system(assembly);
    if (!begun) co_return Failure(begun.error());
    auto started = co_await add_berth(assembly);
    if (!started) co_return Failure(started.error());
    auto installed = co_await add_npm(assembly);
    if (!installed) co_return Failure(installed.error());
    auto copied = co_await add_app(assembly);
    if (!copied) co_return Failure(copied.error());
    co_return co_await finish(assembly);
  }

  Task<Result<Image>> build(std::string dockerfile, AssembleOptions options, Progress progress) override {
    if (auto opened = open(); !opened) co_return Failure(opened.error());
    if (auto sound = check(options); !sound) co_return Failure(sound.error());
    EngineBuild engine_build{std::move(dockerfile), options.directory, options.architecture};
    auto built = co_await build_with_engine(std::move(engine_build), *store_, environment_, launcher_,
                                            clock(), progress);
    if (!built) co_return built;
    Assembly assembly{.options = std::move(options), .base = std::move(*built), .progress = progress};
    assembly.composition.architecture = assembly.options.architecture;
    assembly.composition.keep_directory = true;
    assembly.composition.keep_entry_point = is_berth(entry_point_of(assembly.base));
    auto begun = co_await add_system(assembly);
    if (!begun) co_return Failure(begun.error());
    if (!assembly.composition.keep_entry_point) {
      auto started = co_await add_berth(assembly);
      if (!started) co_return Failure(started.error());
    }
    co_return co_await finish(assembly);
  }

  Task<Result<Pushed>> push(const Image& image, Reference to, Login login, Progress progress) override {
    if (auto opened = open(); !opened) co_return Failure(opened.error());
    auto client = co_await client_of(to.registry, std::move(login));
    if (!client) co_return Failure(client.error());
    Transfer transfer(**client, *store_, clock(), std::move(progress));
    co_return co_await transfer.push(image, std::move(to));
  }

  Task<Result<Image>> pull(Reference from, Login login, std::string architecture,
                           Progress progress) override {
    if (auto opened = open(); !opened) co_return Failure(opened.error());
    auto client = co_await client_of(from.registry, std::move(login));
    if (!client) co_return Failure(client.error());
    Transfer transfer(**client, *store_, clock(), std::move(progress));
    co_return co_await transfer.pull(std::move(from), std::move(architecture));
  }

 private:
  /// An image on its way, layer by layer from what seldom changes to what often does.
  struct Assembly {
    AssembleOptions options;
    Image base;
    Progress progress;
    BaseFacts facts;
    Composition composition;
  };

  Clock& clock() { return network_.clock(); }
  LayerMaker layers() { return {*store_, clock(), source_time(environment_)}; }

  Result<void> open() {
    if (store_) return {};
    auto opened = BlobStore::open(folder_, clock().wall());
    if (!opened) return Failure(opened.error());
    store_ = std::make_unique<BlobStore>(std::move(*opened));
    return {};
  }

  static Result<void> check(const AssembleOptions& options) {
    if (options.architecture != "amd64" && options.architecture != "arm64") {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("'{}' is no architecture of Fargate; it has amd64 and arm64.", options.architecture));
    }
    struct stat status{};
    if (!options.directory.empty() &&
        (::stat(options.directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))) {
      return fail(ErrorCode::not_found, fmt::format("The folder '{}' is not there.", options.directory));
    }
    return {};
  }

  Task<Result<std::unique_ptr<RegistryClient>>> client_of(std::string registry, Login login) {
    RegistryClient::Options options;
    options.registry = registry;
    options.environment = environment_;
    options.credentials.user = std::move(login.user);
    options.credentials.password = std::move(login.password);
    if (options.credentials.user.empty()) {
      auto stored = co_await stored_login(registry, environment_, launcher_, clock());
      if (!stored) co_return Failure(stored.error());
      options.credentials = std::move(*stored);
    }
    // AWS_CA_BUNDLE says nothing of other people's registries.
    const char* const own = registry.find(".dkr.ecr") == std::string::npos ? "" : "AWS_CA_BUNDLE";
    for (const char* const name : {"SSL_CERT_FILE", own}) {
      const std::string& file = variable(environment_, name);
      if (file.empty() || !options.ca_pem.empty()) continue;
      auto pem = read_file(file, ca_bundle_bytes_max);
      if (!pem) co_return Failure(pem.error().within(name));
      options.ca_pem = std::move(*pem);
    }
    co_return std::make_unique<RegistryClient>(network_, std::move(options));
  }

  static void add(Assembly& assembly, LayerMaker::Made made, std::string name) {
    if (assembly.progress) {
      assembly.progress(fmt::format("layer {} ({}) {}{}", short_digest(made.layer.digest), name,
                                    megabytes(made.layer.bytes), made.reused ? ", as before" : ""));
    }
    assembly.composition.additions.push_back({std::move(made.layer), std::move(name)});
  }

  Task<Result<void>> add_system(Assembly& assembly) {
    auto facts = co_await read_base_facts(*store_, clock(), assembly.base.layers);
    if (!facts) co_return Failure(facts.error());
    assembly.facts = std::move(*facts);
    std::string ca_bundle;
    if (!assembly.options.ca_bundle.empty()) {
      auto pem = read_file(assembly.options.ca_bundle, ca_bundle_bytes_max);
      if (!pem) co_return Failure(pem.error());
      ca_bundle = std::move(*pem);
    }
    auto entries = system_entries(assembly.facts, ca_bundle);
    if (entries.empty()) co_return Result<void>();
    auto made = co_await layers().make(std::move(entries), {});
    if (!made) co_return Failure(made.error());
    add(assembly, std::move(*made), "system");
    co_return Result<void>();
  }

  Task<Result<void>> add_berth(Assembly& assembly) {
    const std::string& program = assembly.options.berth;
    struct stat status{};
    if (::stat(program.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
      co_return fail(ErrorCode::not_found,
                     fmt::format("The program '{}' for the image is not there.", program));
    }
    std::vector<Entry> entries(1);
    Entry& entry = entries.front();
    entry.path = "usr/local/bin/berth";
    entry.mode = 0755;
    entry.source = program;
    entry.stamp = {static_cast<std::uint64_t>(status.st_size),
                   status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec,
                   status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec,
                   static_cast<std::uint64_t>(status.st_ino)};
    auto made = co_await layers().make(std::move(entries), {});
    if (!made) co_return Failure(made.error());
    add(assembly, std::move(*made), "berth");
    co_return Result<void>();
  }

  Task<Result<void>> add_npm(Assembly& assembly) {
    const AssembleOptions& options = assembly.options;
    if (!options.npm && options.npm_packages.empty()) co_return Result<void>();
    if (assembly.facts.readable && !assembly.facts.has_program("node")) {
      co_return fail(
          ErrorCode::invalid_argument,
          fmt::format("The base image {} has no `node`, which the server needs; choose one that has, such "
                      "as node:22-slim.",
                      options.base));
    }
    NpmInputs inputs{options.directory, options.npm, options.npm_packages, options.architecture,
                     assembly.facts.is_musl()};
    for (const std::string& spec : options.npm_packages) {
      if (!npm_package_name(spec).empty()) continue;
      co_return fail(ErrorCode::invalid_argument, fmt::format("'{}' is no npm package of a registry.", spec));
    }
    auto made = co_await make_npm_layer(std::move(inputs), layers(), *store_, environment_, launcher_,
                                        clock(), assembly.progress);
    if (!made) co_return Failure(made.error());
    add(assembly, std::move(*made), "npm");
    co_return Result<void>();
  }

  Task<Result<void>> add_app(Assembly& assembly) {
    const AssembleOptions& options = assembly.options;
    if (options.directory.empty()) co_return Result<void>();
    auto rules = ignore_rules_of(options.directory, options.ignore);
    if (!rules) co_return Failure(rules.error());
    auto tree = list_tree(options.directory, "app", *rules, 0);
    if (!tree) co_return Failure(tree.error());
    // The spec of the image is not the one in the folder, and comes last.
    if (!options.spec_file.empty()) {
      std::erase_if(tree->entries, [](const Entry& entry) { return entry.path == "app/berth.yaml"; });
    }
    for (std::size_t i = 0; assembly.progress && i < std::min(tree->skipped.size(), skipped_shown); ++i) {
      assembly.progress(fmt::format("left out: '{}' is a socket, pipe or device", tree->skipped[i]));
    }
    if (tree->entries.empty()) co_return Result<void>();
    auto made = co_await layers().make(std::move(tree->entries), options.directory);
    if (!made) co_return Failure(made.error());
    add(assembly, std::move(*made), "app");
    co_return Result<void>();
  }

  /// The spec, and with it the whole.
  Task<Result<Image>> finish(Assembly& assembly) {
    const AssembleOptions& options = assembly.options;
    if (!options.spec_file.empty()) {
      auto spec = read_file(options.spec_file, 1u << 20);
      if (!spec) co_return Failure(spec.error());
      std::vector<Entry> entries(1);
      entries.front().path = "app/berth.yaml";
      entries.front().content = std::move(*spec);
      auto made = co_await layers().make(std::move(entries), {});
      if (!made) co_return Failure(made.error());
      add(assembly, std::move(*made), "berth.yaml");
    }
    assembly.composition.environment = options.environment;
    assembly.composition.labels = options.labels;
    assembly.composition.arguments = options.arguments;
    assembly.composition.time_s = source_time(environment_);
    auto image = compose(assembly.base, assembly.composition);
    if (!image) co_return image;
    for (const std::string* blob : {&image->config, &image->manifest}) {
      auto stored = store_->put(*blob);
      if (!stored) co_return Failure(stored.error());
    }
    if (auto indexed = store_->set_index(image->manifest); !indexed) co_return Failure(indexed.error());
    if (assembly.progress) {
      assembly.progress(fmt::format("image {} {} in {} layers", short_digest(image->digest),
                                    megabytes(image->bytes), image->layers.size()));
    }
    co_return image;
  }

  std::string folder_;
  Environment environment_;
  net::Network& network_;
  net::ProcessLauncher& launcher_;
  std::unique_ptr<BlobStore> store_;
};

}  // namespace

std::unique_ptr<Images> make_images(std::string store, std::map<std::string, std::string> environment,
                                    net::Network& network, net::ProcessLauncher& launcher) {
  return std::make_unique<ImagesImpl>(std::move(store), std::move(environment), network, launcher);
}

}  // namespace berth::registry
