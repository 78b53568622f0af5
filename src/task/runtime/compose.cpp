#include <algorithm>
#include <string>
#include <utility>

#include "base/ip_address.h"
#include "berth/server.h"
#include "mcp/sealed_handle.h"
#include "task/host/dual_host.h"
#include "task/host/stdio_host.h"
#include "task/host/url_host.h"
#include "task/native/native_host.h"
#include "task/native/workspace.h"
#include "task/runtime/parts.h"

namespace berth::task {

namespace {

constexpr std::string_view workspace = "workspace";
/// How long the first caller of a session waits for a modern server's answer to initialize.
constexpr Duration handshake_patience = std::chrono::seconds(10);

/// Whether every host can be made, asked before the first of them starts anything.
Result<void> check(const RuntimeOptions& options) {
  for (const model::ServerSpec& spec : options.spec.servers) {
    if (spec.kind == model::ServerSpec::Kind::native && options.native == nullptr) {
      return fail(ErrorCode::invalid_argument,
                  "server '" + spec.name +
                      "' is a C++ server; start its own program, which serves it with "
                      "berth::run, instead of berth serve.");
    }
    if (spec.kind == model::ServerSpec::Kind::builtin && spec.builtin != workspace) {
      return fail(ErrorCode::invalid_argument, "server '" + spec.name + "': there is no built-in server '" +
                                                   spec.builtin + "'; the only one is 'workspace'.");
    }
    if (spec.kind == model::ServerSpec::Kind::builtin && options.data_directory.empty()) {
      return fail(ErrorCode::invalid_argument,
                  "server '" + spec.name + "' keeps its state in a data folder, and none is given.");
    }
  }
  return {};
}

/// What hosted servers may not read besides Berth's own folder.
std::vector<std::string> secret_paths(const RuntimeOptions& options) {
  std::vector<std::string> out = options.secret_paths;
  for (const model::KeySpec& key : options.spec.auth.keys) {
    if (!key.file.empty()) out.push_back(key.file);
  }
  if (!options.spec.listener.key_file.empty()) out.push_back(options.spec.listener.key_file);
  return out;
}

/// Whether somebody may call who is neither on this machine nor holds a key.
bool is_open_to_strangers(const RuntimeOptions& options) {
  const model::ListenerSpec& outside = options.spec.listener;
  return options.keys.empty() && !(is_loopback_address(options.listen.host) &&
                                   is_loopback_address(outside.address) && outside.public_url.empty());
}

/// What the hosts of a runtime are made from; the network, launcher and log outlive it.
struct HostMaker {
  std::vector<std::pair<std::string, std::string>> environment;
  std::string data_directory;
  std::string state_directory;
  std::vector<std::string> secret_paths;
  bool tells_words;
  std::string version;
  Server* native;
  std::shared_ptr<std::size_t> processes;
  net::Network& network;
  net::ProcessLauncher& launcher;
  Log& log;

  /// Where the era is not prescribed, each caller is served in its own if the server speaks both.
  template <class Make>
  std::unique_ptr<ServerHost> in_both_eras(const model::ServerSpec& spec, Make make) const {
    auto first = make(spec);
    const bool is_one_process = spec.isolation == model::Isolation::service;
    if (spec.era != model::EraChoice::automatic || is_one_process) return first;
    model::ServerSpec legacy = spec;
    legacy.era = model::EraChoice::legacy;
    return make_dual_host(
        spec.name, std::move(first),
        [make = std::move(make), legacy = std::move(legacy)] { return make(legacy); },
        std::min<Duration>(spec.start_timeout, handshake_patience), network.clock(), log);
  }

  HostedServer operator()(const model::ServerSpec& spec, ChangeSink& sink, const TaskIdentity& identity,
                          MemoryAccount& memory) const {
    HostedServer made;
    Clock& clock = network.clock();
    switch (spec.kind) {
      case model::ServerSpec::Kind::command: {
        StdioHostOptions options{
            environment, [] { return read_memory_use(); },
            processes,   &memory,
            tells_words, {.hidden = state_directory, .kept = {}, .secrets = secret_paths},
            {}};
        if (!state_directory.empty()) options.eras.emplace(state_directory + "/eras", version);
        if (!state_directory.empty() && data_directory.starts_with(state_directory + "/"))
          options.separation.kept = data_directory;
        made.host = in_both_eras(
            spec, [options, &sink, &clock, &use = launcher, &to = log](const model::ServerSpec& as) {
              return make_stdio_host(as, use, sink, clock, to, options);
            });
        break;
      }
      case model::ServerSpec::Kind::url:
        made.host =
            in_both_eras(spec, [&sink, &clock, &use = network, &to = log](const model::ServerSpec& as) {
              return make_url_host(as, use, sink, clock, to);
            });
        break;
      case model::ServerSpec::Kind::builtin: {
        const std::shared_ptr<Server> server = make_workspace_server({data_directory, version});
        made.server = server;
        made.host = make_native_host(*server, sink, identity, clock, log, spec);
        break;
      }
      case model::ServerSpec::Kind::native:
        made.host = make_native_host(*native, sink, identity, clock, log, spec);
        break;
    }
    return made;
  }
};

}  // namespace

Result<std::unique_ptr<Runtime>> make_runtime(RuntimeOptions options, net::Network& network,
                                              net::ProcessLauncher& launcher, Log& log) {
  auto checked = check(options);
  if (!checked) return Failure(checked.error());
  RuntimeParts parts;
  parts.make_host = HostMaker{options.environment,
                              options.data_directory,
                              options.state_directory,
                              secret_paths(options),
                              !is_open_to_strangers(options),
                              options.version,
                              options.native,
                              std::make_shared<std::size_t>(0),
                              network,
                              launcher,
                              log};
  parts.make_endpoint = make_endpoint;
  parts.memory = [] { return read_memory_use(); };
  // A key that is too short is refused below.
  const auto peer_key = [](const Secret& key) {
    return key.empty() ? Secret() : mcp::derive_key(key, "peer tls");
  };
  if (!options.fleet_key.empty())
    parts.peer_tls = net::make_tls_peer(peer_key(options.fleet_key), peer_key(options.second_fleet_key));
  return assemble_runtime(std::move(options), std::move(parts), network, log);
}

}  // namespace berth::task
