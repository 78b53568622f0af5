#include "app/task_process.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/random.h"
#include "cli/files.h"
#include "cli/options.h"
#include "cli/service_access.h"
#include "cli/verbs.h"
#include "cluster/task_file.h"
#include "model/parse.h"

namespace berth::app {

namespace {

constexpr std::size_t spec_bytes_max = 4u << 20;

std::string absolute(const std::string& path, const std::string& directory) {
  return path.starts_with('/') ? path : directory + "/" + path;
}

bool is_loopback(const std::string& host) { return host.starts_with("127.") || host == "::1"; }

std::string value_or(const std::map<std::string, std::string>& environment, const char* name,
                     const char* fallback) {
  const auto found = environment.find(name);
  return found == environment.end() ? fallback : found->second;
}

/// A task that nobody supervises: the container's, or a developer's.
Result<task::RuntimeOptions> standalone_options(cli::Context& context, const cli::Arguments& arguments) {
  task::RuntimeOptions options;
  const std::string path = absolute(arguments.get("spec").value_or("/app/berth.yaml"), context.directory);
  auto text = cli::read_file(path, spec_bytes_max);
  if (!text) {
    return Failure(text.error().within("The spec cannot be read (--spec FILE, default /app/berth.yaml)"));
  }
  model::SpecSource source{std::move(*text), path, path.substr(0, path.rfind('/')), context.environment};
  auto spec = model::parse_spec(source);
  if (!spec) return Failure(spec.error());
  options.spec = std::move(*spec);

  const std::string listen =
      arguments.get("http").value_or(value_or(context.environment, "BERTH_LISTEN", "0.0.0.0:3000"));
  const auto endpoint = net::parse_endpoint(listen);
  if (!endpoint) return Failure(endpoint.error().within("--http"));
  options.listen = *endpoint;
  options.data_directory =
      arguments.get("data").value_or(value_or(context.environment, "BERTH_DATA", "/mnt/data"));
  options.identity.generation = random_u64();
  if (!is_loopback(endpoint->host) && options.spec.auth.keys.empty() && !arguments.has("open")) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format(
            "{} can be reached from other machines, but the spec has no auth.keys. Add some, listen on "
            "127.0.0.1, or say --open.",
            listen));
  }
  // With sisters the key comes from the supervisor or a secret store; a task on its own needs no more than
  // its own.
  const std::string key = value_or(context.environment, "BERTH_FLEET_KEY", "");
  options.fleet_key = Secret(key.empty() ? random_bytes(32) : key);
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
    const std::map<std::string, std::string>& environment) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const char* name : {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
                           "NODE_EXTRA_CA_CERTS"}) {
    const auto found = environment.find(name);
    if (found != environment.end()) out.emplace_back(found->first, found->second);
  }
  return out;
}

namespace {

Task<void> cut_short(cli::Interrupts& interrupts, task::Runtime& runtime, Clock& clock) {
  co_await interrupts.next();
  co_await runtime.drain(clock.now());
}

}  // namespace

Task<int> run_task(task::RuntimeOptions options, net::Network& network, net::ProcessLauncher& launcher,
                   cli::Interrupts& interrupts, Log& log, std::function<void(const task::Runtime&)> started) {
  const auto drain_timeout = options.spec.tasks.drain_timeout;
  auto runtime = task::make_runtime(std::move(options), network, launcher, log);
  if (!runtime) {
    log.error("task_failed", {{"message", runtime.error().message()}});
    co_return 1;
  }
  started(**runtime);
  co_await interrupts.next();
  log.info("drain_started");
  TaskScope second(network.clock().executor());
  second.spawn(cut_short(interrupts, **runtime, network.clock()));
  co_await (*runtime)->drain(network.clock().now() + drain_timeout);
  second.cancel();
  co_await second.join();
  log.info("task_ended");
  co_return 0;
}

Task<cli::ExitCode> serve(cli::Context& context, const cli::Arguments& arguments, Server* native) {
  const auto task_file = arguments.get("task-file");
  auto options = task_file ? cluster::read_task_file(*task_file) : standalone_options(context, arguments);
  if (!options) {
    context.terminal.err(fmt::format("berth serve: {}\n", options.error().message()));
    co_return options.error().code() == ErrorCode::invalid_argument ? cli::ExitCode::invalid_spec
                                                                    : cli::ExitCode::failed;
  }
  auto keys = read_keys(options->spec, context.environment);
  if (!keys) {
    context.terminal.err(fmt::format("berth serve: {}\n", keys.error().message()));
    co_return cli::ExitCode::invalid_spec;
  }
  options->keys = std::move(*keys);
  options->environment = child_environment(context.environment);
  options->version = cli::version();
  options->native = native;
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
