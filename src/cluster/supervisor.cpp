#include "cluster/supervisor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>
#include <optional>

#include "base/random.h"
#include "cluster/addresses.h"
#include "cluster/readiness_file.h"
#include "cluster/rollout.h"
#include "cluster/running_task.h"
#include "cluster/task_file.h"
#include "model/slowest_start.h"

namespace berth::cluster {

namespace {

/// How long a task that is told to stop still gets what the front door was just handing over.
constexpr Duration handover_pause = std::chrono::milliseconds(250);
/// How long the pipes of an ended task are read for its last words.
constexpr Duration last_words_pause = std::chrono::milliseconds(500);
/// How much later than its drain must be over a task is killed: it may still be telling what it cut.
constexpr Duration kill_pause = std::chrono::seconds(3);
/// How long after that a task's sisters may take to know what it has told them.
constexpr Duration farewell_pause = std::chrono::seconds(1);
/// How often it is looked whether a task that was told to stop has begun to.
constexpr Duration drain_look_interval = std::chrono::milliseconds(20);
constexpr std::size_t failed_checks_max = 3;

double to_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

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
        current_(std::move(options_.first)),
        record_(options_.restart_limits),
        wake_(clock.make_timer()),
        changed_(clock.executor()),
        task_ended_(clock.executor()),
        scope_(clock.executor()) {
    desired_.count = current_.spec.tasks.count;
    desired_.zones = current_.spec.tasks.zones;
    carry_out_plan();
    scope_.spawn(keep_planning());
  }

  void scale(std::size_t count) override {
    if (draining_all_) return;
    desired_.count = count;
    changed_.notify();
  }

  void restart(TaskRevision revision, std::string note) override;
  const RolloutStatus& rollout() const override { return rollout_status_; }
  const model::Spec& spec() const override { return current_.spec; }

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
  Task<void> prove(RunningTask& task);
  Task<Result<void>> prove_server(RunningTask& task, std::string server, TimePoint deadline);
  void admit(RunningTask& task);
  void use(TaskRevision revision);
  bool is_on_trial(const RunningTask& task) const {
    return rollout_ && task.revision == desired_.revision && task.state == TaskState::starting;
  }
  std::vector<std::string> answering_servers() const;
  void note_failure(std::string reason);
  void undo_rollout(std::string reason);
  void settle_rollout();

  std::vector<ServerState> servers_of(const RunningTask& task) const {
    return read_readiness_file(options_.paths.readiness_file(task.id)).servers;
  }
  bool says_draining(const RunningTask& task) const {
    return read_readiness_file(options_.paths.readiness_file(task.id)).is_draining;
  }
  bool says_ready(const RunningTask& task, std::string_view server) const {
    return std::ranges::any_of(servers_of(task),
                               [&](const ServerState& state) { return state.name == server && state.ready; });
  }
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
  TaskRevision current_;
  Desired desired_;
  std::optional<Rollout> rollout_;
  RolloutStatus rollout_status_;
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
  if (rollout_ && !draining_all_) settle_rollout();
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
  if (!rollout_) admit(task);
  task.followers.spawn(pump(task, task.process->output(), "stdout"));
  task.followers.spawn(pump(task, task.process->errors(), "stderr"));
  if (options_.check_alive) task.attendants.spawn(check_alive(task));
  if (rollout_) task.attendants.spawn(prove(task));
  scope_.spawn(tend(task));
}

void SupervisorImpl::admit(RunningTask& task) {
  const auto registered = registry_.register_target(task.id, task.endpoint(), task.zone);
  if (!registered)
    log_.error("target_not_registered", {{"task", task.id}, {"error", registered.error().message()}});
}

Result<std::unique_ptr<RunningTask>> SupervisorImpl::launch(std::size_t number, const std::string& zone) {
  auto task = std::make_unique<RunningTask>(number, clock_.executor());
  task->zone = zone;
  task->revision = desired_.revision;
  task->drain_timeout = current_.spec.tasks.drain_timeout;
  task->started = clock_.now();
  task->started_wall = clock_.wall();

  std::vector<std::string> taken;
  for (const auto& [other, running] : running_) taken.push_back(running->host);
  auto host = options_.choose_address(zone, current_.spec.tasks.zones, taken);
  if (!host) return Failure(host.error());
  task->host = std::move(*host);

  const TaskFile file{.spec = current_.spec,
                      .id = task->id,
                      .zone = zone,
                      .listen = task->endpoint(),
                      .peer_address = net::to_string(net::Endpoint{task->host, peer_port}),
                      .data_directory = options_.paths.data(),
                      .fleet_key_file = options_.paths.fleet_key(),
                      .readiness_file = options_.paths.readiness_file(task->id),
                      .authority_directory = options_.authority_directory};
  ::unlink(file.readiness_file.c_str());  // of an earlier life that was killed
  const auto written = write_task_file(options_.paths.task_file(task->id), file);
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
  spec.environment = current_.environment;
  spec.directory = current_.spec.directory;
  spec.input = net::ProcessSpec::Stdio::null;
  spec.keeper = true;
  const CgroupLimits limits{current_.spec.tasks.cpu, current_.spec.tasks.memory_bytes};
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
  if (rollout_) note_failure("a task cannot be started: " + error.message());
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
                                   record_.failures(number), with_last_words(ended));
    tell(ServiceEvent::Kind::crash_loop, std::to_string(number), std::move(text));
  }
  ended_[number] = std::move(ended);
  changed_.notify();
}

void SupervisorImpl::on_exit(RunningTask& task, const net::ExitStatus& status) {
  const TimePoint now = clock_.now();
  std::string how = net::to_string(status);
  if (status.signal == SIGKILL && cgroups_.memory_kills(task.id) > 0) {
    how += fmt::format(" because its memory was used up (tasks.memory: {} MB)",
                       current_.spec.tasks.memory_bytes >> 20);
  }
  const std::string why = task.state == TaskState::draining ? ": " + task.reason : "";
  task.log->finish(clock_.wall());
  task.log->note("task_ended", how, clock_.wall());
  cgroups_.remove_group(task.id);
  // It may hold secrets of the spec, and a task that ended early has not removed it.
  ::unlink(options_.paths.task_file(task.id).c_str());
  ::unlink(options_.paths.readiness_file(task.id).c_str());
  if (task.told_to_stop) {
    ended_.erase(task.number);
    restarts_.erase(task.number);  // the next one of this number is another task
    tell(ServiceEvent::Kind::task_gone, task.id, fmt::format("task {} has stopped", task.id));
    return;
  }
  tell(ServiceEvent::Kind::task_exited, task.id,
       fmt::format("task {} {} after {:.1f} s{}", task.id, how, to_seconds(now - task.started), why));
  const Duration ready_for =
      task.first_ready ? std::max(now - *task.first_ready, Duration(1)) : Duration::zero();
  const bool was_on_trial = rollout_ && task.revision == desired_.revision && !task.first_ready;
  EndedTask ended{task.zone, "the task " + how + why, task.log->last_words()};
  std::string failure = with_last_words(ended);
  remember_end(task.number, std::move(ended), ready_for);
  if (was_on_trial) note_failure(std::move(failure));
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
  const TimePoint until = clock_.now() + task.drain_timeout + kill_pause;
  while (!says_draining(task) && clock_.now() < until) co_await clock_.sleep_for(drain_look_interval);
  co_await clock_.sleep_until(std::min(until, clock_.now() + farewell_pause));  // most end meanwhile
  task.takes_no_calls = true;
  changed_.notify();
  co_await clock_.sleep_until(until);
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
  task.log->note("task_unresponsive", "event loop stalled: GET /healthz does not answer", clock_.wall());
  changed_.notify();
}

void SupervisorImpl::use(TaskRevision revision) {
  const model::TasksSpec& tasks = revision.spec.tasks;
  // What `berth scale` said stays, unless the file says something new.
  if (tasks.count != current_.spec.tasks.count) desired_.count = tasks.count;
  desired_.zones = tasks.zones;
  options_.restart_limits.backoff_min = tasks.restart_backoff_min;
  options_.restart_limits.backoff_max = tasks.restart_backoff_max;
  record_.set_limits(options_.restart_limits);
  current_ = std::move(revision);
}

void SupervisorImpl::restart(TaskRevision revision, std::string note) {
  if (draining_all_) return;
  if (!rollout_) rollout_.emplace(current_, desired_.revision, answering_servers());
  rollout_->failures = 0;
  use(std::move(revision));
  rollout_status_ = {RolloutStatus::State::running, rollout_status_.number + 1, {}, std::move(note)};
  desired_.revision = 1 + rollout_status_.number;
  changed_.notify();
}

std::vector<std::string> SupervisorImpl::answering_servers() const {
  std::vector<std::string> out;
  for (const auto& [number, task] : running_) {
    if (task->state != TaskState::ready) continue;
    for (const ServerState& server : servers_of(*task)) {
      if (server.ready && std::ranges::find(out, server.name) == out.end()) out.push_back(server.name);
    }
  }
  return out;
}

/// Until `deadline`, again and again: a server that starts answers late.
Task<Result<void>> SupervisorImpl::prove_server(RunningTask& task, std::string server, TimePoint deadline) {
  while (true) {
    net::Endpoint endpoint = task.endpoint();
    Secret key = current_.key;
    const auto answer = co_await options_.ask_server(std::move(endpoint), server, std::move(key), deadline);
    if (answer || !is_on_trial(task)) co_return Result<void>();
    // An internal error may be the server's own word; whether it runs, its task knows.
    if (answer.error().code() == ErrorCode::internal && says_ready(task, server)) co_return Result<void>();
    if (clock_.now() >= deadline) co_return answer;
    co_await clock_.sleep_for(proof_interval);
  }
}

/// Lets a task of a new revision into the registry once it answers for what the tasks of before answer for.
Task<void> SupervisorImpl::prove(RunningTask& task) {
  if (!is_on_trial(task)) co_return;
  const TimePoint deadline = clock_.now() + model::slowest_start(current_.spec) + proof_reserve;
  // A restart during this one changes what is wanted, and this task goes anyway.
  std::vector<std::string> wanted;
  for (const model::ServerSpec& server : current_.spec.servers) {
    const bool answered = std::ranges::count(rollout_->answered, server.name) > 0;
    if (answered && options_.ask_server) wanted.push_back(server.name);
  }
  for (const std::string& server : wanted) {
    if (!is_on_trial(task)) co_return;
    const Result<void> proven = co_await prove_server(task, server, deadline);
    if (proven || !is_on_trial(task)) continue;
    const auto states = servers_of(task);
    const auto said = std::ranges::find(states, server, &ServerState::name);
    const bool knows_why = said != states.end() && !said->ready && !said->reason.empty();
    undo_rollout(server + ": " + (knows_why ? said->reason : proven.error().message()));
    co_return;
  }
  if (!is_on_trial(task)) co_return;
  admit(task);
  if (wanted.empty()) co_return;
  const TimePoint late = clock_.now() + admission_patience;
  while (is_on_trial(task) && clock_.now() < late) co_await clock_.sleep_for(proof_interval);
  if (is_on_trial(task))
    undo_rollout(fmt::format("task {} does not become healthy: {}", task.id, task.reason));
}

void SupervisorImpl::note_failure(std::string reason) {
  if (!rollout_ || ++rollout_->failures < options_.restart_limits.crash_loop_failures) return;
  if (!rollout_->answered.empty()) undo_rollout(std::move(reason));
}

void SupervisorImpl::undo_rollout(std::string reason) {
  Rollout rollout = std::move(*rollout_);
  rollout_.reset();
  for (const auto& [number, task] : running_) {
    const bool has_ended = task->process->status().has_value();
    if (!has_ended && task->revision == desired_.revision && task->state == TaskState::starting)
      stop(*task, {number, StopTask::How::drain, "the restart is undone"});
  }
  use(std::move(rollout.before));
  desired_.revision = rollout.revision_before;
  rollout_status_.state = RolloutStatus::State::undone;
  rollout_status_.reason = std::move(reason);
  tell(ServiceEvent::Kind::rollout_ended, "",
       "the restart is undone, the tasks of before go on serving: " + rollout_status_.reason);
  changed_.notify();
}

void SupervisorImpl::settle_rollout() {
  std::size_t renewed = 0;
  for (const auto& [number, task] : running_) {
    if (task->state == TaskState::draining) {
      // Until it knows that it goes, its sisters may hand it a caller who is at home there.
      if (task->revision != desired_.revision && !task->takes_no_calls) return;
      continue;
    }
    if (task->revision != desired_.revision || task->state != TaskState::ready) return;
    ++renewed;
  }
  if (renewed != desired_.count) return;
  rollout_.reset();
  rollout_status_.state = RolloutStatus::State::done;
  tell(ServiceEvent::Kind::rollout_ended, "", "the restart is done: every task is a new one");
}

TaskStatus SupervisorImpl::status_of(RunningTask& task) {
  TaskStatus status = describe(task, options_.proc_root, clock_.now());
  status.servers = servers_of(task);
  if (const auto restarts = restarts_.find(task.number); restarts != restarts_.end())
    status.restarts = restarts->second;
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
