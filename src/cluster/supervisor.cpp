#include "cluster/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <map>
#include <optional>

#include "base/random.h"
#include "cluster/addresses.h"
#include "cluster/log_file.h"
#include "cluster/process_tree.h"
#include "cluster/readiness_file.h"
#include "cluster/task_file.h"

namespace berth::cluster {

namespace {

/// How long a task that is told to stop still gets what the front door was just handing over.
constexpr Duration handover_pause = std::chrono::milliseconds(250);
/// How long the pipes of an ended task are read for its last words.
constexpr Duration last_words_pause = std::chrono::milliseconds(500);
/// How much later than its drain must be over a task is killed: it may still be telling what it cut.
constexpr Duration kill_pause = std::chrono::seconds(3);
constexpr Duration sample_interval_min = std::chrono::milliseconds(200);
constexpr std::size_t failed_checks_max = 3;

double to_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

/// One live task.
struct RunningTask {
  RunningTask(std::size_t n, Executor executor)
      : number(n), id(std::to_string(n)), handed_over(executor), followers(executor), attendants(executor) {}

  std::size_t number;
  std::string id;
  std::string zone;
  std::string host;
  std::uint64_t revision = 0;
  TaskState state = TaskState::starting;
  bool told_to_stop = false;
  std::string reason;
  TimePoint started;
  WallTime started_wall;
  std::optional<TimePoint> first_ready;
  std::unique_ptr<net::Process> process;
  std::optional<LogFile> log;
  double cpu = 0;
  TreeUsage usage;
  std::optional<TimePoint> sampled;
  Signal handed_over;    ///< the front door has nothing in flight there any more
  TaskScope followers;   ///< end by themselves when the process has ended and left the registry
  TaskScope attendants;  ///< checks, and the way to its end; cancelled when it has ended

  net::Endpoint endpoint() const { return {host, task_port}; }
};

/// What is remembered of a slot whose task has ended, until one there is healthy again.
struct EndedTask {
  std::string zone;
  std::string reason;
  std::vector<std::string> last_words;
};

Result<void> write_private_file(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return Failure(errno_error(errno, "writing " + path));
  const auto written = ::write(file, text.data(), text.size());
  const int number = errno;
  ::close(file);
  if (written == static_cast<ssize_t>(text.size())) return {};
  return Failure(errno_error(written < 0 ? number : ENOSPC, "writing " + path));
}

class SupervisorImpl final : public Supervisor {
 public:
  SupervisorImpl(SupervisorOptions options, TargetRegistry& registry, Cgroups& cgroups,
                 net::ProcessLauncher& launcher, Clock& clock, Log& log,
                 std::function<void(const ServiceEvent&)> on_event)
      : options_(std::move(options)),
        registry_(registry),
        cgroups_(cgroups),
        launcher_(launcher),
        clock_(clock),
        log_(log),
        on_event_(std::move(on_event)),
        record_(options_.restart_limits),
        wake_(clock.make_timer()),
        changed_(clock.executor()),
        task_ended_(clock.executor()),
        scope_(clock.executor()) {
    desired_.count = options_.spec.tasks.count;
    desired_.zones = options_.spec.tasks.zones;
    carry_out_plan();
    scope_.spawn(keep_planning());
  }

  void scale(std::size_t count) override {
    if (draining_all_) return;
    desired_.count = count;
    changed_.notify();
  }

  void restart() override {
    ++desired_.revision;
    changed_.notify();
  }

  void on_health(std::string_view id, TaskHealth health, std::string_view reason) override {
    const auto found = std::find_if(running_.begin(), running_.end(),
                                    [&](const auto& entry) { return entry.second->id == id; });
    if (found == running_.end()) return;
    RunningTask& task = *found->second;
    if (task.state == TaskState::draining || task.state == TaskState::unresponsive) return;
    task.reason.clear();
    if (health != TaskHealth::healthy) task.reason = why_unhealthy(reason, servers_of(task));
    if (health == TaskHealth::healthy && task.state != TaskState::ready) {
      become_ready(task);
    } else if (health == TaskHealth::unhealthy && task.state == TaskState::ready) {
      task.state = TaskState::unready;
      tell(ServiceEvent::Kind::task_unhealthy, task.id,
           fmt::format("task {} is unhealthy: {}", task.id, task.reason));
    }
    changed_.notify();
  }

  std::size_t desired() const override { return desired_.count; }

  std::size_t ready() const override {
    return static_cast<std::size_t>(std::count_if(running_.begin(), running_.end(), [](const auto& entry) {
      return entry.second->state == TaskState::ready;
    }));
  }

  std::vector<TaskStatus> tasks() override;

  Task<void> drain() override {
    draining_all_ = true;
    desired_.count = 0;
    for (const auto& [number, task] : running_) {
      if (task->state != TaskState::draining)
        stop(*task, {number, StopTask::How::drain, "the service stops"});
    }
    while (!running_.empty()) co_await task_ended_.wait();
    wake_->cancel();
    scope_.cancel();
    co_await scope_.join();
  }

  void kill() override {
    for (const auto& [number, task] : running_) task->process->signal(SIGKILL);
  }

 private:
  Task<void> keep_planning() {
    while (true) {
      co_await changed_.wait();
      carry_out_plan();
    }
  }

  void carry_out_plan();
  void start(std::size_t number, const std::string& zone);
  Result<std::unique_ptr<RunningTask>> launch(std::size_t number, const std::string& zone);
  Result<std::unique_ptr<net::Process>> launch_process(const RunningTask& task);
  void cannot_start(std::size_t number, const std::string& zone, const Error& error);
  void stop(RunningTask& task, const StopTask& how);
  void become_ready(RunningTask& task);
  void remember_end(std::size_t number, EndedTask ended, Duration ready_for);
  void on_exit(RunningTask& task, const net::ExitStatus& status);

  Task<void> tend(RunningTask& task);
  Task<void> pump(RunningTask& task, net::Stream& stream, std::string_view source);
  Task<void> stop_gently(RunningTask& task);
  Task<void> deregister(RunningTask& task);
  Task<void> check_alive(RunningTask& task);

  std::vector<ServerState> servers_of(const RunningTask& task) const {
    return read_readiness_file(options_.paths.readiness_file(task.id));
  }
  void sample(RunningTask& task);
  TaskStatus status_of(RunningTask& task);
  TaskStatus status_of(std::size_t number, const EndedTask& ended) const;

  void tell(ServiceEvent::Kind kind, const std::string& task, std::string text) {
    log_.info("task", {{"task", task}, {"message", text}});
    if (on_event_) on_event_(ServiceEvent{kind, task, std::move(text)});
  }

  SupervisorOptions options_;
  TargetRegistry& registry_;
  Cgroups& cgroups_;
  net::ProcessLauncher& launcher_;
  Clock& clock_;
  Log& log_;
  std::function<void(const ServiceEvent&)> on_event_;
  Desired desired_;
  RestartRecord record_;
  std::map<std::size_t, std::unique_ptr<RunningTask>> running_;
  std::map<std::size_t, EndedTask> ended_;
  std::map<std::size_t, std::size_t> restarts_;
  bool draining_all_ = false;
  std::unique_ptr<Timer> wake_;
  Signal changed_;
  Signal task_ended_;
  TaskScope scope_;
};

void SupervisorImpl::carry_out_plan() {
  std::vector<TaskObservation> seen;
  for (const auto& [number, task] : running_)
    seen.push_back({number, task->zone, task->revision, task->state});
  const Plan plan = make_plan(desired_, seen, record_, clock_.now());
  for (const StopTask& order : plan.stop) stop(*running_.at(order.number), order);
  for (const StartTask& order : plan.start) start(order.number, order.zone);
  if (plan.wake) {
    wake_->arm(*plan.wake, [this] { changed_.notify(); });
  } else {
    wake_->cancel();
  }
}

void SupervisorImpl::start(std::size_t number, const std::string& zone) {
  auto launched = launch(number, zone);
  if (!launched) return cannot_start(number, zone, launched.error());
  RunningTask& task = **launched;
  running_[number] = std::move(*launched);
  task.log->note("task_started", fmt::format("pid {}", task.process->pid()), clock_.wall());
  tell(ServiceEvent::Kind::task_started, task.id,
       fmt::format("task {} starts in zone {} at {} (pid {})", task.id, zone, net::to_string(task.endpoint()),
                   task.process->pid()));
  const auto registered = registry_.register_target(task.id, task.endpoint(), zone);
  if (!registered)
    log_.error("target_not_registered", {{"task", task.id}, {"error", registered.error().message()}});
  task.followers.spawn(pump(task, task.process->output(), "stdout"));
  task.followers.spawn(pump(task, task.process->errors(), "stderr"));
  if (options_.check_alive) task.attendants.spawn(check_alive(task));
  scope_.spawn(tend(task));
}

Result<std::unique_ptr<RunningTask>> SupervisorImpl::launch(std::size_t number, const std::string& zone) {
  auto task = std::make_unique<RunningTask>(number, clock_.executor());
  task->zone = zone;
  task->revision = desired_.revision;
  task->started = clock_.now();
  task->started_wall = clock_.wall();

  std::vector<std::string> taken;
  for (const auto& [other, running] : running_) taken.push_back(running->host);
  auto host = options_.choose_address(zone, taken);
  if (!host) return Failure(host.error());
  task->host = std::move(*host);

  const TaskFile file{.spec = options_.spec,
                      .id = task->id,
                      .zone = zone,
                      .listen = task->endpoint(),
                      .peer_address = net::to_string(net::Endpoint{task->host, peer_port}),
                      .data_directory = options_.paths.data(),
                      .fleet_key_file = options_.paths.fleet_key(),
                      .readiness_file = options_.paths.readiness_file(task->id)};
  ::unlink(file.readiness_file.c_str());  // of an earlier life that was killed
  const auto written = write_private_file(options_.paths.task_file(task->id), write_task_file(file));
  if (!written) return Failure(written.error());
  auto opened = LogFile::open(options_.paths.task_log(task->id), task->id);
  if (!opened) return Failure(opened.error());
  task->log.emplace(std::move(*opened));

  auto process = launch_process(*task);
  if (!process) return Failure(process.error());
  task->process = std::move(*process);
  return task;
}

Result<std::unique_ptr<net::Process>> SupervisorImpl::launch_process(const RunningTask& task) {
  net::ProcessSpec spec;
  spec.argv = options_.task_command;
  spec.argv.insert(spec.argv.end(), {"--task-file", options_.paths.task_file(task.id)});
  spec.environment = options_.environment;
  spec.directory = options_.spec.directory;
  spec.input = net::ProcessSpec::Stdio::null;
  spec.keeper = true;
  const CgroupLimits limits{options_.spec.tasks.cpu, options_.spec.tasks.memory_bytes};
  auto groups = cgroups_.make_group(task.id, limits);
  if (!groups) {
    log_.warning("task_without_limits", {{"task", task.id}, {"error", groups.error().message()}});
    return launcher_.launch(std::move(spec));
  }
  spec.cgroups = *groups;
  auto process = launcher_.launch(spec);
  if (process || spec.cgroups.empty()) return process;
  // A group that cannot be joined is a reason to run without limits, not to be down.
  spec.cgroups.clear();
  auto unlimited = launcher_.launch(std::move(spec));
  if (unlimited)
    log_.warning("task_without_limits", {{"task", task.id}, {"error", process.error().message()}});
  return unlimited;
}

void SupervisorImpl::cannot_start(std::size_t number, const std::string& zone, const Error& error) {
  const std::string id = std::to_string(number);
  cgroups_.remove_group(id);
  tell(ServiceEvent::Kind::task_exited, id,
       fmt::format("task {} cannot be started: {}", id, error.message()));
  remember_end(number, EndedTask{zone, error.message(), {}}, Duration::zero());
}

void SupervisorImpl::stop(RunningTask& task, const StopTask& how) {
  task.state = TaskState::draining;
  task.reason = how.reason;
  task.log->note("task_stopping", how.reason, clock_.wall());
  if (how.how == StopTask::How::kill) {
    registry_.remove_target(task.id);
    task.process->signal(SIGKILL);
    return;
  }
  task.told_to_stop = true;
  task.attendants.spawn(stop_gently(task));
}

void SupervisorImpl::become_ready(RunningTask& task) {
  const bool first = !task.first_ready;
  task.state = TaskState::ready;
  if (first) task.first_ready = clock_.now();
  ended_.erase(task.number);
  const double after_s = to_seconds(clock_.now() - task.started);
  tell(ServiceEvent::Kind::task_ready, task.id,
       first ? fmt::format("task {} is healthy after {:.2f} s", task.id, after_s)
             : fmt::format("task {} is healthy again", task.id));
}

void SupervisorImpl::remember_end(std::size_t number, EndedTask ended, Duration ready_for) {
  const double jitter = static_cast<double>(random_u64() >> 11) * 0x1p-53;
  record_.ended(number, clock_.now(), ready_for, jitter);
  ++restarts_[number];
  if (record_.crash_looping(number)) {
    std::string text = fmt::format("task {} has ended {} times in a row without becoming healthy: {}", number,
                                   record_.failures(number), ended.reason);
    if (!ended.last_words.empty()) text += "; its last words: " + ended.last_words.back();
    tell(ServiceEvent::Kind::crash_loop, std::to_string(number), std::move(text));
  }
  ended_[number] = std::move(ended);
  changed_.notify();
}

void SupervisorImpl::on_exit(RunningTask& task, const net::ExitStatus& status) {
  const TimePoint now = clock_.now();
  const std::string how = net::to_string(status);
  task.log->finish(clock_.wall());
  task.log->note("task_ended", how, clock_.wall());
  cgroups_.remove_group(task.id);
  ::unlink(options_.paths.task_file(task.id).c_str());  // it holds substituted secrets of the spec
  ::unlink(options_.paths.readiness_file(task.id).c_str());
  if (task.told_to_stop) {
    ended_.erase(task.number);
    restarts_.erase(task.number);  // the next one of this number is another task
    tell(ServiceEvent::Kind::task_gone, task.id, fmt::format("task {} has stopped", task.id));
    return;
  }
  tell(ServiceEvent::Kind::task_exited, task.id,
       fmt::format("task {} {} after {:.1f} s", task.id, how, to_seconds(now - task.started)));
  const Duration ready_for =
      task.first_ready ? std::max(now - *task.first_ready, Duration(1)) : Duration::zero();
  remember_end(task.number, EndedTask{task.zone, "the task " + how, task.log->last_words()}, ready_for);
}

Task<void> SupervisorImpl::tend(RunningTask& task) {
  const net::ExitStatus status = co_await task.process->wait();
  registry_.remove_target(task.id);
  task.attendants.cancel();
  co_await task.attendants.join();
  const TimePoint patience = clock_.now() + last_words_pause;
  task.process->output().set_deadline(patience);
  task.process->errors().set_deadline(patience);
  co_await task.followers.join();
  on_exit(task, status);
  running_.erase(task.number);
  task_ended_.notify();
  changed_.notify();
}

Task<void> SupervisorImpl::pump(RunningTask& task, net::Stream& stream, std::string_view source) {
  std::array<char, 16 * 1024> buffer;
  while (true) {
    const auto count = co_await stream.read_some(buffer);
    if (!count || *count == 0) break;
    task.log->feed(source, std::string_view(buffer.data(), *count), clock_.wall());
  }
}

Task<void> SupervisorImpl::deregister(RunningTask& task) {
  co_await registry_.deregister_target(task.id);
  task.handed_over.notify();
}

Task<void> SupervisorImpl::stop_gently(RunningTask& task) {
  task.followers.spawn(deregister(task));
  if (!draining_all_) {
    const auto timer = clock_.make_timer();
    timer->arm(clock_.now() + handover_pause, [&task] { task.handed_over.notify(); });
    co_await task.handed_over.wait();
  }
  task.process->signal(SIGTERM);
  co_await clock_.sleep_for(options_.spec.tasks.drain_timeout + kill_pause);
  task.log->note("task_killed", "it did not end within tasks.drain_timeout", clock_.wall());
  task.process->signal(SIGKILL);
}

Task<void> SupervisorImpl::check_alive(RunningTask& task) {
  std::size_t failures = 0;
  while (failures < failed_checks_max) {
    co_await clock_.sleep_for(options_.check_interval);
    if (task.state == TaskState::draining) co_return;
    if (task.state == TaskState::ready) {
      failures = 0;  // a healthy target has just answered its health check: it lives
      continue;
    }
    net::Endpoint endpoint = task.endpoint();
    const bool alive = co_await options_.check_alive(std::move(endpoint));
    failures = alive ? 0 : failures + 1;
  }
  if (task.state == TaskState::draining) co_return;
  task.state = TaskState::unresponsive;
  task.log->note("task_unresponsive", "GET /healthz does not answer", clock_.wall());
  changed_.notify();
}

void SupervisorImpl::sample(RunningTask& task) {
  const TimePoint now = clock_.now();
  // What a task used when it had hardly begun says nothing, and is soon replaced.
  const bool grown = task.sampled && *task.sampled - task.started >= sample_interval_min;
  if (grown && now - *task.sampled < sample_interval_min) return;
  const TreeUsage usage = read_tree_usage(options_.proc_root, task.process->pid());
  const TimePoint since = task.sampled.value_or(task.started);
  if (now > since)
    task.cpu = std::max(0.0, usage.cpu_seconds - task.usage.cpu_seconds) / to_seconds(now - since);
  task.usage = usage;
  task.sampled = now;
}

TaskStatus SupervisorImpl::status_of(RunningTask& task) {
  sample(task);
  TaskStatus status;
  status.id = task.id;
  status.zone = task.zone;
  status.address = net::to_string(task.endpoint());
  switch (task.state) {
    case TaskState::starting: status.phase = TaskPhase::starting; break;
    case TaskState::draining: status.phase = TaskPhase::stopping; break;
    default: status.phase = TaskPhase::running;
  }
  status.reason = task.reason;
  status.pid = task.process->pid();
  status.cpu = task.cpu;
  status.memory_bytes = task.usage.resident_bytes;
  status.started_unix_ms = to_unix_ms(task.started_wall);
  status.servers = servers_of(task);
  if (const auto restarts = restarts_.find(task.number); restarts != restarts_.end()) {
    status.restarts = restarts->second;
  }
  if (task.state == TaskState::ready || task.state == TaskState::draining) return status;
  status.crash_loop = record_.crash_looping(task.number);
  status.last_words = task.log->last_words();
  const auto before = ended_.find(task.number);
  if (status.last_words.empty() && before != ended_.end()) status.last_words = before->second.last_words;
  return status;
}

TaskStatus SupervisorImpl::status_of(std::size_t number, const EndedTask& ended) const {
  TaskStatus status;
  status.id = std::to_string(number);
  status.zone = ended.zone;
  status.phase = TaskPhase::waiting;
  status.reason = ended.reason;
  const TimePoint now = clock_.now();
  if (const auto next = record_.not_before(number); next && *next > now) {
    status.reason += fmt::format("; it starts again in {:.1f} s", to_seconds(*next - now));
  }
  status.restarts = restarts_.at(number);
  status.crash_loop = record_.crash_looping(number);
  status.last_words = ended.last_words;
  return status;
}

std::vector<TaskStatus> SupervisorImpl::tasks() {
  std::map<std::size_t, TaskStatus> by_number;
  for (const auto& [number, task] : running_) by_number[number] = status_of(*task);
  for (const auto& [number, ended] : ended_) {
    if (by_number.size() >= desired_.count) break;
    if (!by_number.contains(number)) by_number[number] = status_of(number, ended);
  }
  std::vector<TaskStatus> out;
  for (auto& [number, status] : by_number) out.push_back(std::move(status));
  return out;
}

}  // namespace

std::unique_ptr<Supervisor> make_supervisor(SupervisorOptions options, TargetRegistry& registry,
                                            Cgroups& cgroups, net::ProcessLauncher& launcher, Clock& clock,
                                            Log& log, std::function<void(const ServiceEvent&)> on_event) {
  return std::make_unique<SupervisorImpl>(std::move(options), registry, cgroups, launcher, clock, log,
                                          std::move(on_event));
}

}  // namespace berth::cluster
