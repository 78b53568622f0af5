#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/heap.h"
#include "base/random.h"
#include "codec/http1.h"
#include "http/server.h"
#include "model/slowest_start.h"
#include "net/connection_budget.h"
#include "task/runtime/fleet.h"
#include "task/runtime/fleet_homes.h"
#include "task/runtime/parts.h"
#include "task/runtime/peer_forwarder.h"
#include "task/runtime/peer_service.h"
#include "task/runtime/router.h"
#include "task/runtime/self_signed.h"
#include "task/runtime/session_folder.h"
#include "task/runtime/traced_host.h"

namespace berth::task {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t fleet_key_bytes_min = 32;
/// Of a drain's time, what is kept for ending the hosted servers after their calls.
constexpr Duration host_reserve_max = 2s;
/// What is kept before that for telling clients that their calls are cut, while their connections stand.
constexpr Duration farewell_max = 1s;
/// How old at most is what the readiness file says.
constexpr Duration readiness_interval = 1s;
/// How soon a server's one process is taken that nobody has.
constexpr Duration settle_interval = 250ms;
/// How old at most is what is known of the task's memory.
constexpr Duration memory_look_interval = 1s;
/// What the last spans may take even when nothing is left of a drain's time.
constexpr Duration telemetry_time_min = 500ms;

/// Free heap is looked for only after this much was held.
constexpr std::size_t trim_bytes_min = 32u << 20;

/// What may be held for callers, of the memory a task has: the rest is for its servers and for copies.
std::uint64_t account_bytes(std::uint64_t task_bytes) { return task_bytes / 2; }

/// The same for the same caller in every task, and nothing that leads back to it.
std::string pseudonym(const Secret& fleet_key, std::string_view principal) {
  if (principal == "anonymous") return std::string(principal);
  const Secret derived = mcp::derive_key(fleet_key, fmt::format("principal in traces: {}", principal));
  std::string out;
  for (const char byte : derived.reveal().substr(0, 8))
    fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(byte));
  return out;
}

/// FNV-1a of their names in order: a task compares it with its sisters' alone. Never 0.
std::uint64_t id_of_servers(const std::vector<model::ServerSpec>& servers) {
  std::uint64_t hash = 14695981039346656037u;
  for (const model::ServerSpec& server : servers) {
    if (server.kind == model::ServerSpec::Kind::url) continue;
    for (const char byte : server.name + "\n") {
      hash ^= static_cast<unsigned char>(byte);
      hash *= 1099511628211u;
    }
  }
  return std::max<std::uint64_t>(hash, 1);
}

/// Where what a server says of itself goes.
class HostSink final : public ChangeSink {
 public:
  HostSink(ChangeBus& bus, std::string server) : bus_(bus), server_(std::move(server)) {}
  void on_change(const mcp::Change& change) override { bus_.publish(server_, change); }
  void on_question(OutsideQuestion question) override {
    if (endpoint_ == nullptr) return question.answer(nobody_to_ask);
    endpoint_->ask(std::move(question));
  }
  /// Who has the sessions that can be asked.
  void set_endpoint(Endpoint& endpoint) { endpoint_ = &endpoint; }

 private:
  ChangeBus& bus_;
  std::string server_;
  Endpoint* endpoint_ = nullptr;
};

/// The parts a task with sisters has more.
struct Sisters {
  Sisters(const TaskIdentity& self, net::Network& network, std::shared_ptr<net::TlsContext> tls, Log& log)
      : clients(network, std::move(tls)),
        bus(self, clients, network.clock(), log),
        forwarder(make_peer_forwarder(clients, bus)),
        homes(self, *forwarder, clients, network.clock(), log) {}

  PeerClients clients;
  FleetBus bus;
  std::unique_ptr<PeerForwarder> forwarder;
  FleetHomes homes;
  std::unique_ptr<Fleet> fleet;
  std::unique_ptr<PeerService> service;
  std::unique_ptr<http::Server> server;
};

/// One hosted server, from the bottom up.
struct Hosted {
  Hosted(ChangeBus& bus, const std::string& name) : sink(bus, name) {}
  HostSink sink;
  HostedServer hosted;
  std::unique_ptr<ServerHost> traced;  ///< around the host; null where there are no traces
  std::unique_ptr<Endpoint> endpoint;
};

http::ServerLimits server_limits(const RuntimeOptions& options) {
  const model::LimitsSpec& limits = options.spec.limits;
  http::ServerLimits out;
  out.idle_timeout = options.idle_timeout.value_or(out.idle_timeout);
  out.drain_accept = options.drain_grace.value_or(out.drain_accept);
  out.head_bytes_max = limits.head_bytes_max + http1::hop_bytes_max;
  out.head_fields_max = limits.head_fields_max + http1::hop_fields_max;
  out.target_bytes_max = limits.target_bytes_max;
  out.connections_max = limits.connections_max;
  out.head_timeout = limits.head_timeout;
  out.body_timeout = limits.body_timeout;
  return out;
}

/// A connection may hold one to an upstream or a sister while a request is answered.
constexpr std::size_t descriptors_per_connection = 2;
/// Pipes and process of a child.
constexpr std::size_t descriptors_per_child = 4;

/// Of a task, for everything but connections.
std::size_t descriptors_reserved(const model::Spec& spec) {
  std::size_t count = 64;  // listeners, logs, the fleet's folder, hellos
  for (const model::ServerSpec& server : spec.servers) count += descriptors_per_child * server.children_max;
  return count;
}

class RuntimeImpl final : public Runtime {
 public:
  RuntimeImpl(RuntimeOptions options, net::Network& network, Log& log)
      : options_(std::move(options)),
        network_(network),
        log_(log),
        sealer_(options_.fleet_key, options_.second_fleet_key),
        memory_(account_bytes(options_.spec.tasks.memory_bytes)),
        scope_(network.clock().executor()) {}

  /// Everything that can fail; when it does, nothing has been started.
  Result<void> assemble(RuntimeParts parts) {
    auto checked = check();
    if (!checked) return checked;
    auto telemetry = Telemetry::make(std::move(options_.telemetry), options_.identity.id,
                                     options_.identity.zone, network_, log_);
    if (!telemetry) return Failure(telemetry.error());
    telemetry_ = std::move(*telemetry);
    if (options_.tls == TaskTls::self_signed) {
      auto made = make_self_signed(options_.listen, network_.clock().wall());
      if (!made) return Failure(made.error());
      own_tls_ = std::move(*made);
    }
    auto listener = network_.listen(options_.listen);
    if (!listener) return Failure(listener.error());
    std::unique_ptr<net::Listener> peer_listener;
    std::optional<FleetFolder> folder;
    if (!options_.identity.peer_address.empty()) {
      auto opened = listen_to_peers();
      if (!opened) return Failure(opened.error());
      peer_listener = std::move(*opened);
      auto fleet = FleetFolder::open(options_.data_directory);
      if (!fleet) return Failure(fleet.error());
      folder = std::move(*fleet);
      auto records = open_session_folder();
      if (!records) return Failure(records.error());
      session_folder_ = std::move(*records);
      sisters_ = std::make_unique<Sisters>(options_.identity, network_, parts.peer_tls, log_);
    } else {
      local_bus_ = make_local_change_bus();
      no_peers_ = make_no_peers();
      local_homes_ = make_local_homes(options_.identity, network_.clock());
      no_session_records_ = make_no_session_records();
    }
    memory_use_ = std::move(parts.memory);
    look_at_memory();
    make_hosts(parts);
    start(std::move(*listener), std::move(peer_listener), std::move(folder), parts.peer_tls);
    return {};
  }

  net::Endpoint local() const override { return server_->local(); }
  bool ready() const override { return router_->ready(); }
  Task<void> drain(TimePoint deadline) override;

 private:
  Result<void> check();
  Result<std::unique_ptr<net::Listener>> listen_to_peers();
  Result<std::unique_ptr<SessionFolder>> open_session_folder();
  void make_hosts(const RuntimeParts& parts);
  ServerHost* find_host(std::string_view server);
  void start(std::unique_ptr<net::Listener> listener, std::unique_ptr<net::Listener> peer_listener,
             std::optional<FleetFolder> folder, const std::shared_ptr<net::TlsContext>& peer_tls);
  void write_metrics(monitoring::MetricsWriter& writer) const;
  void write_memory_metrics(monitoring::MetricsWriter& writer) const;
  std::size_t calls() const;
  Task<void> renew_certificate();
  Task<void> keep_telling_readiness();
  Task<void> keep_session_folder();
  Task<void> keep_settled(Endpoint& endpoint);
  void look_at_memory();
  void give_memory_back();
  Task<void> keep_memory_in_view();
  ChangeBus& bus() { return sisters_ ? static_cast<ChangeBus&>(sisters_->bus) : *local_bus_; }

  Task<void> hand_over();
  static Task<void> drain_endpoint(Endpoint& endpoint, TimePoint deadline, std::size_t& cut);
  static Task<void> drain_host(ServerHost& host, TimePoint deadline, std::size_t& cut);
  static Task<void> drain_server(http::Server& server, TimePoint deadline, std::size_t& cut);

  RuntimeOptions options_;
  net::Network& network_;
  Log& log_;
  mcp::HandleSealer sealer_;
  MemoryAccount memory_;
  std::function<std::optional<MemoryUse>()> memory_use_;
  std::unique_ptr<Telemetry> telemetry_;
  std::optional<SelfSigned> own_tls_;
  std::unique_ptr<ChangeBus> local_bus_;
  std::unique_ptr<PeerForwarder> no_peers_;
  std::unique_ptr<Homes> local_homes_;
  std::unique_ptr<SessionFolder> session_folder_;  ///< with sisters; without, the next
  std::unique_ptr<SessionRecords> no_session_records_;
  std::unique_ptr<Sisters> sisters_;
  std::vector<std::unique_ptr<Hosted>> hosted_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<http::Server> server_;
  std::uint64_t servers_id_ = 0;  ///< id_of_servers
  bool draining_ = false;
  TimePoint deadline_{};  ///< of the drain
  TaskScope scope_;
};

Result<void> RuntimeImpl::check() {
  if (options_.spec.servers.empty()) {
    return fail(ErrorCode::invalid_argument, "A task needs a server to host; name one in berth.yaml.");
  }
  const Secret& second = options_.second_fleet_key;
  if (options_.fleet_key.reveal().size() < fleet_key_bytes_min ||
      (!second.empty() && second.reveal().size() < fleet_key_bytes_min)) {
    return fail(ErrorCode::invalid_argument, "A fleet key must have at least 32 bytes.");
  }
  if (!is_member_id(options_.identity.id)) {
    return fail(ErrorCode::invalid_argument, "The task id '" + options_.identity.id +
                                                 "' must be 1 to 64 letters, digits, '_', '.' or '-'.");
  }
  if (options_.identity.generation == 0) options_.identity.generation = random_u64();
  if (options_.data_directory.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(options_.data_directory, error);
  if (error) return Failure(errno_error(error.value(), "making the data folder " + options_.data_directory));
  if (::access(options_.data_directory.c_str(), R_OK | W_OK | X_OK) == 0) return {};
  return Failure(errno_error(
      errno, fmt::format("the data folder {} must be writable for user {}; mount a volume there, or "
                         "name another folder (--data, BERTH_DATA)",
                         options_.data_directory, ::geteuid())));
}

Result<std::unique_ptr<net::Listener>> RuntimeImpl::listen_to_peers() {
  const auto endpoint = net::parse_endpoint(options_.identity.peer_address);
  if (!endpoint) return Failure(endpoint.error());
  auto listener = network_.listen(*endpoint);
  // Handles name the address that sisters can reach, so the port must be the real one.
  if (listener) options_.identity.peer_address = to_string((*listener)->local());
  return listener;
}

Result<std::unique_ptr<SessionFolder>> RuntimeImpl::open_session_folder() {
  SessionFolder::Options options{options_.data_directory, options_.identity,
                                 options_.spec.limits.session_idle_timeout};
  return SessionFolder::open(std::move(options), network_.clock(), log_);
}

void RuntimeImpl::make_hosts(const RuntimeParts& parts) {
  PeerForwarder& peers = sisters_ ? *sisters_->forwarder : *no_peers_;
  Homes& homes = sisters_ ? sisters_->homes : *local_homes_;
  SessionRecords& records = session_folder_ ? *session_folder_ : *no_session_records_;
  for (const model::ServerSpec& spec : options_.spec.servers) {
    auto made = std::make_unique<Hosted>(bus(), spec.name);
    made->hosted = parts.make_host(spec, made->sink, options_.identity, memory_);
    ServerHost* host = made->hosted.host.get();
    if (monitoring::Tracer* const tracer = telemetry_->tracer()) {
      made->traced = make_traced_host(*host, spec.name, *tracer);
      host = made->traced.get();
    }
    EndpointWorld world{.server = spec.name,
                        .host = *host,
                        .limits = options_.spec.limits,
                        .spec = spec,
                        .identity = options_.identity,
                        .sealer = sealer_,
                        .peers = peers,
                        .homes = homes,
                        .records = records,
                        .bus = bus(),
                        .memory = memory_,
                        .clock = network_.clock(),
                        .log = log_};
    made->endpoint = parts.make_endpoint(std::move(world));
    made->sink.set_endpoint(*made->endpoint);
    hosted_.push_back(std::move(made));
  }
  if (!sisters_) return;
  sisters_->bus.interest().on_elsewhere([this](const Interest& interest, bool watched) {
    if (ServerHost* const host = find_host(interest.server))
      host->watch_elsewhere(interest.principal, interest.uri, watched);
  });
}

ServerHost* RuntimeImpl::find_host(std::string_view server) {
  for (std::size_t i = 0; i < hosted_.size(); ++i) {
    if (options_.spec.servers[i].name == server) return hosted_[i]->hosted.host.get();
  }
  return nullptr;
}

void RuntimeImpl::start(std::unique_ptr<net::Listener> listener, std::unique_ptr<net::Listener> peer_listener,
                        std::optional<FleetFolder> folder, const std::shared_ptr<net::TlsContext>& peer_tls) {
  Clock& clock = network_.clock();
  servers_id_ = id_of_servers(options_.spec.servers);
  Router::Options options;
  for (const auto& hosted : hosted_) {
    const model::ServerSpec& spec = options_.spec.servers[options.servers.size()];
    options.servers.push_back({spec.name, hosted->endpoint.get(), hosted->hosted.host.get(),
                               spec.kind == model::ServerSpec::Kind::url});
  }
  options.start_patience = model::slowest_start(options_.spec);
  options.listener = options_.spec.listener;
  options.keys = std::move(options_.keys);
  options.task = options_.identity.id;
  options.readiness_file = options_.readiness_file;
  options.behind_balancer = options_.ecs.has_value();
  if (sisters_) options.sister_is_whole = [this] { return sisters_->fleet->has_whole_sister(servers_id_); };
  options.more_metrics = [this](monitoring::MetricsWriter& writer) { write_metrics(writer); };
  options.tracer = telemetry_->tracer();
  options.meter = telemetry_->meter();
  options.pseudonym = [this](std::string_view principal) { return pseudonym(options_.fleet_key, principal); };
  router_ = std::make_unique<Router>(std::move(options), clock, log_);
  http::ServerLimits limits = server_limits(options_);
  const net::ConnectionBudget budget{network_.descriptors_max(), descriptors_reserved(options_.spec),
                                     descriptors_per_connection};
  limits.connections_max = net::limit_connections(budget, limits.connections_max, log_);
  std::shared_ptr<net::TlsContext> tls = own_tls_ ? own_tls_->tls : nullptr;
  server_ = http::make_server(std::move(listener), std::move(tls), *router_, clock, log_, limits);
  if (own_tls_) scope_.spawn(renew_certificate());
  if (!options_.readiness_file.empty() || sisters_) scope_.spawn(keep_telling_readiness());
  if (memory_use_) scope_.spawn(keep_memory_in_view());
  if (session_folder_) scope_.spawn(keep_session_folder());
  for (std::size_t i = 0; i < hosted_.size(); ++i) {
    if (options_.spec.servers[i].isolation == model::Isolation::service)
      scope_.spawn(keep_settled(*hosted_[i]->endpoint));
  }
  telemetry_->start([this] { return calls(); });
  if (sisters_) {
    const TaskIdentity& identity = options_.identity;
    Member self{
        identity.id, identity.peer_address, identity.generation, identity.zone, options_.version, 0, 0};
    sisters_->fleet = std::make_unique<Fleet>(std::move(*folder), std::move(self), sisters_->clients,
                                              sisters_->bus, clock, log_);
    sisters_->homes.on_asked_for_fleet([fleet = sisters_->fleet.get()] { return fleet->has_met(); });
    sisters_->service =
        std::make_unique<PeerService>(identity, *router_, *sisters_->fleet, sisters_->bus, sisters_->homes);
    http::ServerLimits peer_limits = limits;
    peer_limits.head_bytes_max += http1::hop_bytes_max;
    peer_limits.head_fields_max += http1::hop_fields_max;
    sisters_->server =
        http::make_server(std::move(peer_listener), peer_tls, *sisters_->service, clock, log_, peer_limits);
  }
  log_.info("task_started", {{"address", to_string(server_->local())},
                             {"peer_address", options_.identity.peer_address},
                             {"servers", hosted_.size()}});
}

std::size_t RuntimeImpl::calls() const {
  std::size_t sum = 0;
  for (const auto& hosted : hosted_) sum += hosted->endpoint->calls();
  return sum;
}

Task<void> RuntimeImpl::renew_certificate() {
  while (true) {
    co_await network_.clock().sleep_for(own_tls_->renew_after);
    auto made = make_self_signed(options_.listen, network_.clock().wall());
    BERTH_CHECK(made, "what could be made once can be made again");
    own_tls_ = std::move(*made);
    server_->set_tls(own_tls_->tls);
    log_.info("certificate_renewed");
  }
}

Task<void> RuntimeImpl::keep_session_folder() {
  while (true) {
    co_await network_.clock().sleep_for(SessionFolder::beat_interval);
    session_folder_->beat();
  }
}

Task<void> RuntimeImpl::keep_settled(Endpoint& endpoint) {
  while (true) {
    co_await endpoint.settle();
    co_await network_.clock().sleep_for(settle_interval);
  }
}

Task<void> RuntimeImpl::keep_telling_readiness() {
  while (true) {
    router_->ready();
    if (sisters_ && sisters_->fleet) sisters_->fleet->set_whole(router_->is_whole() ? servers_id_ : 0);
    co_await network_.clock().sleep_for(readiness_interval);
  }
}

/// What callers may hold follows what the hosted servers leave of the task's memory.
void RuntimeImpl::look_at_memory() {
  const std::optional<MemoryUse> use = memory_use_ ? memory_use_() : std::nullopt;
  if (!use || use->limit == 0) return;
  const std::uint64_t limit = std::min(use->limit, options_.spec.tasks.memory_bytes);
  const std::uint64_t usable = limit / 10 * 9;
  const std::uint64_t free = usable - std::min(usable, use->used);
  memory_.set_bytes_max(std::clamp<std::uint64_t>(memory_.held() + free, limit / 16, account_bytes(limit)));
}

Task<void> RuntimeImpl::keep_memory_in_view() {
  while (true) {
    co_await network_.clock().sleep_for(memory_look_interval);
    look_at_memory();
    give_memory_back();
  }
}

/// A peak leaves its small blocks' pages in the heap, and the servers need them.
void RuntimeImpl::give_memory_back() {
  if (memory_.peak() < trim_bytes_min || memory_.held() > memory_.peak() / 4) return;
  trim_heap();
  memory_.forget_peak();
}

void RuntimeImpl::write_memory_metrics(monitoring::MetricsWriter& writer) const {
  using Kind = MemoryAccount::Kind;
  constexpr std::array<std::pair<Kind, std::string_view>, MemoryAccount::kinds> kinds{
      {{Kind::request, "request"}, {Kind::session, "session"}, {Kind::answer, "answer"}}};
  for (const auto& [kind, name] : kinds) {
    writer.gauge("berth_memory_held_bytes", "Held for callers: bodies, sessions, answers not yet sent.",
                 {{"kind", name}}, static_cast<double>(memory_.held(kind)));
    writer.counter("berth_memory_refused_total", "Times that a caller's share of memory was used up.",
                   {{"kind", name}}, static_cast<double>(memory_.refused(kind)));
  }
  writer.gauge("berth_memory_held_bytes_max", "What may be held for all callers together.", {},
               static_cast<double>(memory_.bytes_max()));
  writer.counter("berth_memory_pauses_total", "Times a server's output was left unread for want of memory.",
                 {}, static_cast<double>(memory_.pauses()));
}

void RuntimeImpl::write_metrics(monitoring::MetricsWriter& writer) const {
  write_memory_metrics(writer);
  writer.gauge("berth_http_connections", "Open client connections.", {},
               static_cast<double>(server_->connections()));
  writer.gauge("berth_peers", "Sister tasks that are known to live.", {},
               sisters_ ? static_cast<double>(sisters_->bus.peers()) : 0);
  writer.counter("berth_peer_changes_dropped_total", "Changes that did not reach a sister task.", {},
                 sisters_ ? static_cast<double>(sisters_->bus.dropped()) : 0);
  telemetry_->write_metrics(writer);
  if (!options_.ecs) return;
  const EcsTask& ecs = *options_.ecs;
  writer.gauge("berth_task_info", "Always 1; its labels say where this task runs.",
               {{"task", ecs.id},
                {"zone", ecs.zone},
                {"cluster", ecs.cluster},
                {"service", ecs.service},
                {"family", ecs.family},
                {"revision", ecs.revision}},
               1);
}

Task<void> RuntimeImpl::drain_endpoint(Endpoint& endpoint, TimePoint deadline, std::size_t& cut) {
  const std::size_t count = co_await endpoint.drain(deadline);
  cut += count;
}

Task<void> RuntimeImpl::drain_host(ServerHost& host, TimePoint deadline, std::size_t& cut) {
  const std::size_t count = co_await host.drain(deadline);
  cut += count;
}

Task<void> RuntimeImpl::drain_server(http::Server& server, TimePoint deadline, std::size_t& cut) {
  const std::size_t count = co_await server.drain(deadline);
  cut += count;
}

/// Whoever waits for this task to take no more callers goes on once its sisters know whose state is lost.
Task<void> RuntimeImpl::hand_over() {
  if (sisters_) co_await sisters_->homes.drain();
  router_->set_handed_over();
}

Task<void> RuntimeImpl::drain(TimePoint deadline) {
  deadline_ = draining_ ? std::min(deadline_, deadline) : deadline;
  if (std::exchange(draining_, true)) {
    // Without their connections the endpoints' calls end, and the drain goes on to the hosts.
    co_await server_->drain(deadline);
    if (sisters_) co_await sisters_->server->drain(deadline);
    co_return;
  }
  router_->set_draining();
  const TimePoint began = network_.clock().now();
  const Duration time = std::max(deadline - began, Duration::zero());
  const TimePoint connections_until = began + time - std::min(host_reserve_max, time / 4);
  const TimePoint calls_until = connections_until - std::min(farewell_max, time / 8);
  std::size_t cut = 0;
  std::size_t exchanges_cut = 0;
  std::size_t cut_at_hosts = 0;
  // The listeners go on answering while the endpoints let their calls finish and end their streams.
  TaskScope ending(network_.clock().executor());
  // First: no caller is at home here any more, and no process is taken.
  ending.spawn(hand_over());
  for (const auto& hosted : hosted_) ending.spawn(drain_endpoint(*hosted->endpoint, calls_until, cut));
  ending.spawn(drain_server(*server_, connections_until, exchanges_cut));
  if (sisters_) ending.spawn(drain_server(*sisters_->server, connections_until, exchanges_cut));
  co_await ending.join();
  for (const auto& hosted : hosted_) ending.spawn(drain_host(*hosted->hosted.host, deadline_, cut_at_hosts));
  co_await ending.join();
  if (sisters_) {
    co_await sisters_->homes.stop();
    co_await sisters_->fleet->stop();
    co_await sisters_->bus.stop();
  }
  scope_.cancel();
  co_await scope_.join();
  co_await telemetry_->stop(std::max(deadline_, network_.clock().now() + telemetry_time_min));
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(network_.clock().now() - began);
  // A call is cut at its endpoint, its connection and its server: these are the same calls.
  cut = std::max({cut, exchanges_cut, cut_at_hosts});
  log_.info("task_drained", {{"calls_cut", cut}, {"ms", took.count()}});
}

}  // namespace

Result<std::unique_ptr<Runtime>> assemble_runtime(RuntimeOptions options, RuntimeParts parts,
                                                  net::Network& network, Log& log) {
  auto runtime = std::make_unique<RuntimeImpl>(std::move(options), network, log);
  auto assembled = runtime->assemble(std::move(parts));
  if (!assembled) return Failure(assembled.error());
  return runtime;
}

}  // namespace berth::task
