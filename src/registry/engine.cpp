#include "registry/engine.h"

#include <fmt/format.h>

#include <array>

#include "registry/files.h"

namespace berth::registry {

namespace {

constexpr auto build_time_max = std::chrono::hours(2);
constexpr auto probe_time_max = std::chrono::seconds(15);

/// How one engine is spoken to.
struct Engine {
  std::string_view name;
  std::string_view probe;  ///< a verb that fails when the engine cannot work
};
constexpr std::array<Engine, 3> engines = {
    {{"docker", "version"}, {"podman", "version"}, {"buildah", "version"}}};

class EngineRun {
 public:
  EngineRun(const BlobStore& store, Environment environment, net::ProcessLauncher& launcher, Clock& clock,
            Progress progress)
      : store_(store),
        environment_(std::move(environment)),
        launcher_(launcher),
        clock_(clock),
        progress_(std::move(progress)) {}

  Task<Result<Engine>> choose() {
    std::string why;
    for (const Engine& engine : engines) {
      ProgramCall call;
      call.argv = {std::string(engine.name), std::string(engine.probe)};
      call.environment = environment_;
      call.time_max = probe_time_max;
      auto ran = co_await run_program(launcher_, clock_, std::move(call));
      if (ran && ran->succeeded()) co_return engine;
      const bool is_absent = !ran && ran.error().code() == ErrorCode::not_found;
      std::string reason = is_absent ? "not on PATH" : ran ? ran->last_words : ran.error().message();
      why += fmt::format("\n  {}: {}", engine.name, reason);
    }
    co_return fail(
        ErrorCode::not_found,
        fmt::format("The image has a Dockerfile, and no engine that could build it:{}\nInstall one, or let "
                    "berth assemble the image itself with `image: {{assemble: true}}`.",
                    why));
  }

  /// One name a project, so that the engine keeps one image of it: with it go the layers that the next build
  /// finds done.
  Task<Result<Image>> build(Engine engine, EngineBuild build) {
    const std::string project = digest_of(build.directory + "\n" + build.dockerfile);
    const std::string tag = "localhost/berth-build:" + std::string(hex_of(project).substr(0, 12));
    std::vector<std::string> argv = {std::string(engine.name), "build"};
    // A builder of docker's that runs in a container keeps what it has built unless it is told to hand it
    // over; docker without buildx does not know the words.
    if (engine.name == "docker") {
      std::vector<std::string> ask = {"docker", "buildx", "version"};
      const bool has_buildx = co_await prints(std::move(ask), "/buildx");
      if (has_buildx) argv = {"docker", "buildx", "build", "--load"};
    }
    argv.insert(argv.end(), {"--platform", "linux/" + build.architecture, "-f", build.dockerfile, "-t", tag});
    if (engine.name == "buildah") argv.emplace_back("--layers");
    argv.push_back(build.directory);
    auto built = co_await run(std::move(argv), build.directory);
    if (!built) co_return Failure(built.error());
    auto folder = store_.make_work_folder();
    if (!folder) co_return Failure(folder.error());
    auto image = co_await take_over(engine, tag, *folder);
    remove_tree(*folder);
    co_return image;
  }

 private:
  Task<bool> prints(std::vector<std::string> argv, std::string_view words) {
    ProgramCall call;
    call.argv = std::move(argv);
    call.environment = environment_;
    call.time_max = probe_time_max;
    const auto ran = co_await run_program(launcher_, clock_, std::move(call));
    co_return ran && ran->succeeded() && ran->output.find(words) != std::string::npos;
  }

  Task<Result<Image>> take_over(Engine engine, std::string tag, std::string folder) {
    const std::string layout = folder + "/image";
    const std::string archive = folder + "/image.tar";
    std::vector<std::string> argv;
    if (engine.name == "docker") argv = {"docker", "save", "-o", archive, tag};
    if (engine.name == "podman") argv = {"podman", "save", "--format", "oci-dir", "-o", layout, tag};
    if (engine.name == "buildah") argv = {"buildah", "push", tag, "oci:" + layout + ":image"};
    auto saved = co_await run(std::move(argv), {});
    if (!saved) co_return Failure(saved.error());
    if (engine.name == "docker") co_return co_await import_docker_archive(archive, store_, clock_);
    co_return co_await import_layout(layout, store_, clock_);
  }

  Task<Result<void>> run(std::vector<std::string> argv, std::string directory) {
    ProgramCall call;
    const std::string shown = argv[0] + " " + argv[1];
    call.argv = std::move(argv);
    call.environment = environment_;
    call.directory = std::move(directory);
    call.time_max = build_time_max;
    call.on_line = progress_;
    auto ran = co_await run_program(launcher_, clock_, std::move(call));
    if (!ran) co_return Failure(ran.error());
    if (ran->succeeded()) co_return Result<void>();
    co_return fail(ErrorCode::unavailable,
                   fmt::format("`{}` {}:\n{}", shown, to_string(ran->status), ran->last_words));
  }

  const BlobStore& store_;
  Environment environment_;
  net::ProcessLauncher& launcher_;
  Clock& clock_;
  Progress progress_;
};

}  // namespace

Task<Result<Image>> build_with_engine(EngineBuild build, const BlobStore& store, Environment environment,
                                      net::ProcessLauncher& launcher, Clock& clock, Progress progress) {
  EngineRun run(store, std::move(environment), launcher, clock, progress);
  auto engine = co_await run.choose();
  if (!engine) co_return Failure(engine.error());
  if (progress) progress(fmt::format("building {} with {}", build.dockerfile, engine->name));
  co_return co_await run.build(*engine, std::move(build));
}

}  // namespace berth::registry
