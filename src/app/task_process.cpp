#include "app/task_process.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "app/aws_signer.h"
#include "app/stall_watch.h"
#include "base/heap.h"
#include "base/signal.h"
#include "base/version.h"
#include "cli/files.h"
#include "cli/options.h"
#include "cli/service_access.h"
#include "cli/verbs.h"
#include "cluster/task_file.h"
#include "http/url.h"
#include "model/inherited.h"
#include "model/parse.h"
#include "task/runtime/task_settings.h"

namespace berth::app {

namespace {

constexpr std::size_t spec_bytes_max = 4u << 20;
constexpr std::string_view default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string absolute(const std::string& path, const std::string& directory) {
  return path.starts_with('/') ? path : directory + "/" + path;
}

/// The metadata endpoint is on the machine itself.
constexpr Duration metadata_patience = std::chrono::seconds(10);

/// Who ECS says this task is; nullopt elsewhere.
Task<Result<std::optional<task::EcsTask>>> ask_where(net::Network& network, std::string metadata_uri) {
  if (metadata_uri.empty()) co_return std::nullopt;
  auto task =
      co_await task::ask_ecs(network, std::move(metadata_uri), network.clock().now() + metadata_patience);
  if (!task) co_return Failure(task.error());
  co_return std::move(*task);
}

std::map<std::string, std::string> flags_of(const cli::Arguments& arguments) {
  std::map<std::string, std::string> flags;
  for (const auto& [flag, name] :
       {std::pair{"http", "BERTH_LISTEN"}, {"data", "BERTH_DATA"}, {"tls", "BERTH_TLS"}}) {
    if (const auto value = arguments.get(flag)) flags[name] = *value;
  }
  if (arguments.has("open")) flags["BERTH_OPEN"] = "1";
  return flags;
}

/// What telemetry needs of the world: stdout, and AWS's signature where spans go to AWS.
void connect_telemetry(cli::Context& context, const task::TaskSettings& settings,
                       task::TelemetryOptions& telemetry) {
  telemetry.emf = [&terminal = context.terminal](std::string_view line) { terminal.out(line); };
  telemetry.otlp.environment = context.environment;
  if (!settings.traces) return;
  const auto address = http::parse_url(telemetry.otlp.endpoint);
  // Amazon's names in its partitions that everybody can use.
  bool is_aws = false;
  for (const char* const domain : {".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"}) {
    is_aws = is_aws || (address && address->host.ends_with(domain));
  }
  if (is_aws || settings.traces->sign) telemetry.otlp.sign = make_aws_signer(context, settings.region);
}

/// A task that nobody supervises: the container's, or a developer's.
Task<Result<task::RuntimeOptions>> standalone_options(cli::Context& context,
                                                      const cli::Arguments& arguments) {
  const auto settings = task::read_task_settings(context.environment, flags_of(arguments));
  if (!settings) co_return Failure(settings.error());
  task::RuntimeOptions options;
  const std::string path = absolute(arguments.get("spec").value_or("/app/berth.yaml"), context.directory);
  auto text = cli::read_file(path, spec_bytes_max);
  if (!text) {
    co_return Failure(text.error().within("The spec cannot be read (--spec FILE, default /app/berth.yaml)"));
  }
  model::SpecSource source{.text = std::move(*text),
                           .file = path,
                           .directory = path.substr(0, path.rfind('/')),
                           .environment = context.environment};
  auto spec = model::parse_spec(source);
  if (!spec) co_return Failure(spec.error());
  options.spec = std::move(*spec);
  auto keys = read_keys(options.spec, context.environment);
  if (!keys) co_return Failure(keys.error());
  options.keys = std::move(*keys);
  const auto checked = cli::check_keys(options.spec.auth.keys, settings->listen.host, context.environment);
  if (!checked) co_return Failure(checked.error());
  options.version = version();
  const auto ecs = co_await ask_where(context.network, settings->metadata_uri);
  if (!ecs) co_return Failure(ecs.error());
  const auto applied = task::apply_task_settings(*settings, *ecs, options);
  if (!applied) co_return Failure(applied.error());
  connect_telemetry(context, *settings, options.telemetry);
  co_return options;
}

/// What `berth up` tells a task.
Result<task::RuntimeOptions> supervised_options(const std::string& task_file,
                                                const std::map<std::string, std::string>& environment) {
  auto options = cluster::take_task_file(task_file);
  if (!options) return options;
  auto keys = read_keys(options->spec, environment);
  if (!keys) return Failure(keys.error());
  options->keys = std::move(*keys);
  options->version = version();
  return options;
}

}  // namespace

Result<std::vector<std::pair<std::string, Secret>>> read_keys(
    const model::Spec& spec, const std::map<std::string, std::string>& environment) {
  std::vector<std::pair<std::string, Secret>> keys;
  for (const model::KeySpec& key : spec.auth.keys) {
    Result<Secret> secret = cli::read_key(key, environment);
    if (!secret) return Failure(secret.error());
    keys.emplace_back(key.principal, std::move(*secret));
  }
  return keys;
}

std::vector<std::pair<std::string, std::string>> child_environment(
    const std::map<std::string, std::string>& environment, const model::AuthSpec& auth) {
  std::map<std::string, std::string> out = model::inherited_variables(environment);
  for (const model::KeySpec& key : auth.keys) out.erase(key.environment);
  // npm and others end without a folder to write to, which a container with a read-only root has in /tmp
  // alone.
  const auto home = out.find("HOME");
  const bool has_home = home != out.end() && ::access(home->second.c_str(), W_OK | X_OK) == 0;
  if (!has_home) out["HOME"] = "/tmp";
  out.try_emplace("PATH", default_path);
  return {out.begin(), out.end()};
}

namespace {

Task<void> note_end(cli::Interrupts& interrupts, Signal& ended) {
  co_await interrupts.next();
  ended.notify();
}

/// A task reads nothing again: whoever asks for that must not end it.
Task<void> note_hangups(cli::Interrupts& interrupts, Log& log, Signal& ended) {
  while (true) {
    const auto hangup = co_await interrupts.hangup();
    if (hangup == cli::Interrupts::Hangup::gone) break;
    log.info("hangup_ignored");
  }
  ended.notify();
}

/// For SIGINT, SIGTERM, or a terminal that goes away.
Task<void> wait_for_end(cli::Interrupts& interrupts, Clock& clock, Log& log) {
  Signal ended(clock.executor());
  TaskScope listening(clock.executor());
  listening.spawn(note_end(interrupts, ended));
  listening.spawn(note_hangups(interrupts, log, ended));
  co_await ended.wait();
  listening.cancel();
  co_await listening.join();
}

Task<void> cut_short(cli::Interrupts& interrupts, task::Runtime& runtime, Clock& clock) {
  co_await interrupts.next();
  co_await runtime.drain(clock.now());
}

}  // namespace

Task<int> run_task(task::RuntimeOptions options, net::Network& network, net::ProcessLauncher& launcher,
                   cli::Interrupts& interrupts, Log& log, std::function<void(const task::Runtime&)> started) {
  map_large_blocks();
  const auto drain_timeout = options.spec.tasks.drain_timeout;
  auto runtime = task::make_runtime(std::move(options), network, launcher, log);
  if (!runtime) {
    log.error("task_failed", {{"message", runtime.error().message()}});
    co_return 1;
  }
  started(**runtime);
  const StallWatch stall_watch(network.clock(), log);
  co_await wait_for_end(interrupts, network.clock(), log);
  log.info("drain_started");
  TaskScope second(network.clock().executor());
  second.spawn(cut_short(interrupts, **runtime, network.clock()));
  co_await (*runtime)->drain(network.clock().now() + drain_timeout);
  second.cancel();
  co_await second.join();
  log.info("task_ended");
  co_return 0;
}

namespace {

Task<void> note_interrupt(cli::Interrupts& interrupts, bool& came) {
  co_await interrupts.next();
  came = true;
}

/// The container's process 1 has no default for SIGTERM: asked to stop before it listens, it must still hear.
Task<Result<task::RuntimeOptions>> interruptible_options(cli::Context& context,
                                                         const cli::Arguments& arguments) {
  bool came = false;
  TaskScope listening(context.clock.executor());
  listening.spawn(note_interrupt(context.interrupts, came));
  auto options = co_await standalone_options(context, arguments);
  listening.cancel();
  co_await listening.join();
  if (came) co_return fail(ErrorCode::cancelled, "stopped before it had started.");
  co_return options;
}

/// A native server is this process itself: what its `env` says is set here, before any tool runs.
void set_own_environment(const model::Spec& spec) {
  for (const model::ServerSpec& server : spec.servers) {
    if (server.kind != model::ServerSpec::Kind::native) continue;
    for (const auto& [name, value] : server.environment) ::setenv(name.c_str(), value.c_str(), 1);
  }
}

}  // namespace

Task<cli::ExitCode> serve(cli::Context& context, const cli::Arguments& arguments, Server* native) {
  const auto task_file = arguments.get("task-file");
  Result<task::RuntimeOptions> options = fail(ErrorCode::internal, "");
  if (task_file) {
    options = supervised_options(*task_file, context.environment);
  } else {
    // Hosted servers run as the same user and could read the keys in this process's environment otherwise.
    ::prctl(PR_SET_DUMPABLE, 0);
    options = co_await interruptible_options(context, arguments);
  }
  if (!options) {
    context.terminal.err(fmt::format("berth serve: {}\n", options.error().message()));
    co_return options.error().code() == ErrorCode::invalid_argument ? cli::ExitCode::invalid_spec
                                                                    : cli::ExitCode::failed;
  }
  options->environment = child_environment(context.environment, options->spec.auth);
  options->native = native;
  if (native != nullptr) set_own_environment(options->spec);
  JsonLineLog log(STDOUT_FILENO, fmt::format(R"("task":{},"zone":{})", json_quote(options->identity.id),
                                             json_quote(options->identity.zone)));
  std::function<void(const task::Runtime&)> started = [&log](const task::Runtime& runtime) {
    log.info("task_listening", {{"address", net::to_string(runtime.local())}});
  };
  const int code = co_await run_task(std::move(*options), context.network, context.launcher,
                                     context.interrupts, log, std::move(started));
  co_return code == 0 ? cli::ExitCode::ok : cli::ExitCode::failed;
}

}  // namespace berth::app
