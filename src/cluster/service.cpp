#include "cluster/service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "base/ip_address.h"
#include "cluster/addresses.h"
#include "cluster/cgroups.h"
#include "cluster/control_api.h"
#include "cluster/readiness_file.h"
#include "cluster/server_proof.h"
#include "cluster/state_folder.h"
#include "cluster/supervisor.h"
#include "http/client.h"
#include "http/server.h"
#include "model/addresses.h"
#include "model/difference.h"
#include "monitoring/metrics.h"
#include "monitoring/process.h"
#include "network/front_door.h"

namespace berth::cluster {

namespace {

constexpr Duration alive_timeout = std::chrono::seconds(2);
constexpr std::size_t alive_bytes_max = 64 * 1024;
constexpr Duration control_drain_time = std::chrono::seconds(1);
constexpr Duration poll_interval = std::chrono::milliseconds(5);

/// As a URL names it: for a listener on every address the one that reaches it from this machine.
std::string host_in_url(const std::string& address) {
  if (address == "0.0.0.0") return "127.0.0.1";
  if (address == "::") return "[::1]";
  return address.contains(':') ? "[" + address + "]" : address;
}

constexpr const char* listener_stays =
    "The front door goes on with the listener it was started with; `berth down` and `berth up` take the one "
    "that the file has now.";

/// Whether the listener of `now` is another one, so that the front door would have to be made anew.
bool moves(const model::Spec& before, const model::Spec& now) {
  return std::ranges::any_of(model::differing_keys(before, now),
                             [](const std::string& key) { return key.starts_with("listener"); });
}

/// Targets of the front door are the tasks.
class FrontDoorRegistry final : public TargetRegistry {
 public:
  explicit FrontDoorRegistry(network::FrontDoor& front_door) : front_door_(front_door) {}

  Result<void> register_target(const std::string& id, const net::Endpoint& endpoint,
                               const std::string& zone) override {
    return front_door_.register_target(network::Target{id, endpoint, zone});
  }
  Task<void> deregister_target(std::string id) override {
    return front_door_.deregister_target(std::move(id));
  }
  void remove_target(const std::string& id) override { front_door_.remove_target(id); }

 private:
  network::FrontDoor& front_door_;
};

/// The parts that were made before anything serves; each can fail.
struct Parts {
  std::unique_ptr<StateFolder> folder;
  std::unique_ptr<net::Listener> control_listener;
  std::unique_ptr<Cgroups> cgroups;
  std::unique_ptr<network::FrontDoor> front_door;
};

class ServiceImpl final : public Service {
 public:
  ServiceImpl(ServiceOptions options, Parts parts, net::Network& network, net::ProcessLauncher& launcher,
              Log& log)
      : options_(std::move(options)),
        network_(network),
        clock_(network.clock()),
        parts_(std::move(parts)),
        registry_(*parts_.front_door),
        started_(clock_.wall()) {
    supervisor_ = make_supervisor(supervisor_options(), registry_, *parts_.cgroups, launcher, clock_, log,
                                  options_.on_event);
    parts_.front_door->on_change([this](const network::TargetChange& change) { on_change(change); });
    ControlApiOptions api{
        .paths = parts_.folder->paths(), .metrics = [this] { return metrics(); }, .down = [this] { down(); }};
    api_ = make_control_api(std::move(api), *this, clock_);
    control_ = http::make_server(std::move(parts_.control_listener), nullptr, *api_, clock_, log, {});
  }

  ServiceStatus status() const override {
    ServiceStatus status;
    status.service = options_.spec.name;
    status.spec_file = supervisor_->spec().file;
    status.pid = ::getpid();
    status.started_unix_ms = to_unix_ms(started_);
    status.urls = urls();
    status.hosts = model::own_hosts(options_.spec.listener);
    status.desired = supervisor_->desired();
    status.tasks = supervisor_->tasks();
    for (const network::TargetHealth& target : parts_.front_door->targets()) {
      const auto task = std::ranges::find(status.tasks, target.target.id, &TaskStatus::id);
      if (task == status.tasks.end()) continue;
      task->health = to_string(target.state);
      if (task->reason.empty()) task->reason = why_unhealthy(target.reason, task->servers);
    }
    status.limits_enforced = parts_.cgroups->enforced();
    status.limits = parts_.cgroups->explanation();
    status.cpu_limit = supervisor_->spec().tasks.cpu;
    status.memory_limit_bytes = supervisor_->spec().tasks.memory_bytes;
    const network::FrontDoorTotals totals = parts_.front_door->totals();
    status.requests = totals.requests;
    status.in_flight = totals.in_flight;
    status.rollout = supervisor_->rollout();
    return status;
  }

  Task<bool> wait_until_healthy(TimePoint deadline) override {
    while (supervisor_->ready() < supervisor_->desired()) {
      if (clock_.now() >= deadline) co_return false;
      co_await clock_.sleep_for(poll_interval);
    }
    co_return true;
  }

  std::vector<std::string> differing_keys(const model::Spec& spec) const override {
    return model::differing_keys(supervisor_->spec(), spec);
  }

  Result<void> scale(std::size_t count) override {
    if (count > tasks_max) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{} tasks are more than one machine runs; give a number from 0 to {}", count,
                              tasks_max));
    }
    supervisor_->scale(count);
    return {};
  }

  Result<void> restart() override {
    TaskRevision revision = {options_.spec, options_.environment, {}};
    if (options_.read_revision) {
      auto read = options_.read_revision();
      if (!read) return Failure(read.error());
      revision = std::move(*read);
    }
    const bool is_moved = moves(options_.spec, revision.spec);
    // The front door goes on as it is, and so do the tasks behind it.
    revision.spec.listener = options_.spec.listener;
    revision.spec.name = options_.spec.name;
    supervisor_->restart(std::move(revision), is_moved ? listener_stays : "");
    return {};
  }

  Task<void> drain() override {
    if (draining_) {
      supervisor_->kill();
      while (!drained_) co_await clock_.sleep_for(poll_interval);
      co_return;
    }
    draining_ = true;
    const TimePoint deadline = clock_.now() + supervisor_->spec().tasks.drain_timeout;
    api_->end_streams();
    TaskScope both(clock_.executor());
    both.spawn(drain_front_door(deadline));
    both.spawn(supervisor_->drain());
    co_await both.join();
    [[maybe_unused]] const auto cut = co_await control_->drain(clock_.now() + control_drain_time);
    parts_.folder.reset();
    drained_ = true;
  }

 private:
  SupervisorOptions supervisor_options() {
    SupervisorOptions out;
    out.first = {options_.spec, options_.environment, {}};
    out.paths = parts_.folder->paths();
    out.authority_directory = options_.authority_directory;
    out.task_command = options_.task_command;
    out.restart_limits.backoff_min = options_.spec.tasks.restart_backoff_min;
    out.restart_limits.backoff_max = options_.spec.tasks.restart_backoff_max;
    out.proc_root = options_.proc_root;
    out.choose_address = free_address;
    out.check_alive = [this](net::Endpoint endpoint) { return answers(std::move(endpoint)); };
    out.ask_server = [this](net::Endpoint task, std::string server, Secret key, TimePoint deadline) {
      return ask_for_tools(network_, std::move(task), std::move(server), std::move(key), deadline);
    };
    return out;
  }

  /// Whether GET /healthz answers at all in time: that the process lives and its loop turns.
  Task<bool> answers(net::Endpoint endpoint) {
    http::ClientOptions client_options;
    client_options.endpoint = std::move(endpoint);
    client_options.connect_timeout = alive_timeout;
    const auto client = http::make_client(network_, std::move(client_options));
    http::ClientRequest request;
    request.target = "/healthz";
    request.deadline = clock_.now() + alive_timeout;
    const auto response = co_await client->fetch(std::move(request), alive_bytes_max);
    co_return response.has_value();
  }

  void on_change(const network::TargetChange& change) {
    if (change.gone) return;
    switch (change.to) {
      case network::TargetState::initial: return;
      case network::TargetState::draining: return;
      case network::TargetState::healthy:
        return supervisor_->on_health(change.target.id, TaskHealth::healthy, change.reason);
      case network::TargetState::unhealthy:
        return supervisor_->on_health(change.target.id, TaskHealth::unhealthy, change.reason);
    }
  }

  void down() {
    if (const auto asked = std::exchange(options_.on_down, nullptr)) asked();
  }

  /// Where the listeners are reached from this machine.
  std::vector<std::string> local_bases() const {
    std::vector<std::string> out;
    if (const auto http = parts_.front_door->http())
      out.push_back(fmt::format("http://{}:{}", host_in_url(http->host), http->port));
    if (const auto https = parts_.front_door->https()) {
      // Every certificate names localhost, and no other name may do for all addresses.
      const bool is_localhost = https->host == "127.0.0.1" || model::is_any_address(https->host);
      const std::string host = is_localhost ? "localhost" : host_in_url(https->host);
      out.push_back(fmt::format("https://{}:{}", host, https->port));
    }
    return out;
  }

  /// Where others reach the service, as far as the file says; a listener on loopback reaches nobody.
  std::vector<std::string> outside_bases() const {
    const model::ListenerSpec& listener = options_.spec.listener;
    std::vector<std::string> out;
    if (!listener.public_url.empty()) out.push_back(listener.public_url);
    if (is_loopback_address(listener.address)) return out;
    const auto https = parts_.front_door->https();
    const std::uint16_t port = https ? https->port : parts_.front_door->http()->port;
    for (const std::string& host : listener.hosts) {
      out.push_back(
          fmt::format("{}://{}:{}", https ? "https" : "http", host_in_url(model::host_of(host)), port));
    }
    return out;
  }

  /// One server has /mcp, and each has /NAME/mcp, on every listener.
  std::vector<ServiceUrl> urls() const {
    std::vector<ServiceUrl> out;
    const auto& servers = supervisor_->spec().servers;
    const auto add = [&](const std::vector<std::string>& bases, bool is_outside) {
      if (servers.size() == 1) {
        for (const std::string& base : bases) out.push_back({servers[0].name, base + "/mcp", is_outside});
      }
      for (const model::ServerSpec& server : servers) {
        for (const std::string& base : bases)
          out.push_back({server.name, base + "/" + server.name + "/mcp", is_outside});
      }
    };
    add(local_bases(), false);
    add(outside_bases(), true);
    return out;
  }

  std::string metrics() const {
    monitoring::MetricsWriter writer;
    const ServiceStatus now = status();
    writer.gauge("berth_tasks_desired", "Tasks that should run.", {}, static_cast<double>(now.desired));
    writer.gauge("berth_tasks_healthy", "Tasks whose target is healthy.", {},
                 static_cast<double>(supervisor_->ready()));
    for (const TaskStatus& task : now.tasks) {
      const monitoring::Labels labels{{"task", task.id}, {"zone", task.zone}};
      writer.counter("berth_task_restarts_total", "Unwanted ends of a task.", labels,
                     static_cast<double>(task.restarts));
      writer.gauge("berth_task_cpu_cores", "Cores a task and its servers use.", labels, task.cpu);
      writer.gauge("berth_task_resident_bytes", "Memory of a task and its servers.", labels,
                   static_cast<double>(task.memory_bytes));
    }
    parts_.front_door->write_metrics(writer);
    if (const auto usage = monitoring::read_process_usage(options_.proc_root + "/self")) {
      monitoring::write_metrics(writer, *usage);
    }
    return writer.text();
  }

  Task<void> drain_front_door(TimePoint deadline) {
    [[maybe_unused]] const auto cut = co_await parts_.front_door->drain(deadline);
  }

  ServiceOptions options_;
  net::Network& network_;
  Clock& clock_;
  Parts parts_;
  FrontDoorRegistry registry_;
  WallTime started_;
  std::unique_ptr<Supervisor> supervisor_;
  std::unique_ptr<ControlApi> api_;
  std::unique_ptr<http::Server> control_;
  bool draining_ = false;
  bool drained_ = false;
};

Result<void> check_exposure(const model::Spec& spec) {
  if (is_loopback_address(spec.listener.address) || !spec.auth.keys.empty()) return {};
  return fail(
      ErrorCode::permission_denied,
      fmt::format("listener.address {} can be reached from other machines and auth.keys is empty, so anybody "
                  "could call the service; add a key to auth.keys, or listen on 127.0.0.1",
                  spec.listener.address));
}

/// The same for every life of a service in this folder, so that a new one cleans up after one that was
/// killed.
std::string unique_name(const std::string& state_directory) {
  return fmt::format("{:08x}", static_cast<std::uint32_t>(std::hash<std::string>{}(state_directory)));
}

Result<Parts> make_parts(const ServiceOptions& options, net::Network& network, Log& log) {
  Parts parts;
  auto folder = StateFolder::open({options.state_directory}, options.spec.name, network.clock().wall());
  if (!folder) return Failure(folder.error());
  parts.folder = std::move(*folder);
  auto listener = network.listen(control_endpoint(options.state_directory));
  if (!listener) return Failure(listener.error());
  parts.control_listener = std::move(*listener);
  parts.cgroups = make_cgroups(options.cgroup_root, options.spec.name, unique_name(options.state_directory));

  network::FrontDoorOptions front;
  front.listener = options.spec.listener;
  front.limits = options.spec.limits;
  front.tls = options.spec.listener.https ? options.tls : nullptr;
  // Last, because it serves from now on and wants to be drained.
  auto front_door = network::make_front_door(std::move(front), network, log);
  if (!front_door) return Failure(front_door.error());
  parts.front_door = std::move(*front_door);
  return parts;
}

}  // namespace

Result<std::unique_ptr<Service>> make_service(ServiceOptions options, net::Network& network,
                                              net::ProcessLauncher& launcher, Log& log) {
  if (const auto allowed = check_exposure(options.spec); !allowed) return Failure(allowed.error());
  if (options.spec.tasks.count > tasks_max) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("tasks.count {} is more than one machine runs; give at most {}",
                            options.spec.tasks.count, tasks_max));
  }
  auto parts = make_parts(options, network, log);
  if (!parts) return Failure(parts.error());
  return std::make_unique<ServiceImpl>(std::move(options), std::move(*parts), network, launcher, log);
}

}  // namespace berth::cluster
