#include "cluster/supervisor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/testing/sim_clock.h"
#include "net/testing/memory_network.h"

namespace berth::cluster {
namespace {

using namespace std::chrono_literals;

/// What a fake process did and was told, kept when the supervisor has let it go.
struct FakeState {
  explicit FakeState(Clock& clock) : ended(clock.executor()) {}
  net::ProcessSpec spec;
  std::vector<int> signals;
  std::optional<net::ExitStatus> status;
  bool ends_on_term = true;
  std::unique_ptr<net::Stream> stdout_end;
  std::unique_ptr<net::Stream> stderr_end;
  Signal ended;

  void end(net::ExitStatus how) {
    if (status) return;
    status = how;
    stdout_end->close();
    stderr_end->close();
    ended.notify();
  }
};

class FakeProcess final : public net::Process {
 public:
  FakeProcess(Clock& clock, std::shared_ptr<FakeState> state) : state_(std::move(state)) {
    std::tie(out_, state_->stdout_end) = net::testing::make_stream_pair(clock);
    std::tie(err_, state_->stderr_end) = net::testing::make_stream_pair(clock);
  }
  pid_t pid() const override { return 1'000'000; }
  net::Stream& input() override { return *out_; }
  net::Stream& output() override { return *out_; }
  net::Stream& errors() override { return *err_; }
  Task<net::ExitStatus> wait() override {
    const auto state = state_;
    while (!state->status) co_await state->ended.wait();
    co_return *state->status;
  }
  std::optional<net::ExitStatus> status() const override { return state_->status; }
  void signal(int number) override {
    if (state_->status) return;
    state_->signals.push_back(number);
    if (number == SIGKILL) state_->end({std::nullopt, SIGKILL});
    if (number == SIGTERM && state_->ends_on_term) state_->end({0, std::nullopt});
  }

 private:
  std::shared_ptr<FakeState> state_;
  std::unique_ptr<net::Stream> out_;
  std::unique_ptr<net::Stream> err_;
};

class SupervisorTest : public ::testing::Test,
                       public TargetRegistry,
                       public net::ProcessLauncher,
                       public Cgroups {
 protected:
  SupervisorTest() : clock_(loop_) {
    std::string pattern = ::testing::TempDir() + "berth-supervisor-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    options_.paths.directory = folder_;
    for (const std::string& path : {options_.paths.logs(), options_.paths.tasks()}) {
      std::filesystem::create_directory(path);
    }
    options_.first.spec.name = "test";
    options_.first.spec.directory = folder_;
    options_.task_command = {"/bin/berth", "serve"};
    options_.choose_address = [](const std::string& zone, const std::vector<std::string>&,
                                 const std::vector<std::string>& taken) {
      return Result<std::string>("10.0.0." + zone + std::to_string(taken.size()));
    };
  }
  ~SupervisorTest() override {
    if (supervisor_) stop();
    std::filesystem::remove_all(folder_);
  }

  void start() {
    supervisor_ = make_supervisor(options_, *this, *this, *this, clock_, null_log(),
                                  [this](const ServiceEvent& event) { events_.push_back(event.text); });
    clock_.run_until_idle();
  }

  void stop() {
    TaskScope scope(loop_.get_executor());
    scope.spawn(supervisor_->drain());
    clock_.advance(1min);
    EXPECT_EQ(scope.size(), 0u);
    supervisor_.reset();
  }

  void healthy(const std::string& id) {
    supervisor_->on_health(id, TaskHealth::healthy, "");
    clock_.run_until_idle();
  }

  void start_healthy() {
    start();
    for (const char* id : {"1", "2", "3"}) healthy(id);
  }

  /// Of the processes that run now.
  std::vector<std::string> running() const {
    std::vector<std::string> ids;
    for (const auto& process : processes_) {
      if (!process->status) ids.push_back(id_of(*process));
    }
    return ids;
  }

  static std::string id_of(const FakeState& process) {
    return std::filesystem::path(process.spec.argv.back()).stem().string();
  }

  FakeState& process(const std::string& id) {
    const auto found = std::find_if(processes_.rbegin(), processes_.rend(),
                                    [&](const auto& state) { return id_of(*state) == id; });
    return **found;
  }

  // The supervisor's world.
  Result<void> register_target(const std::string& id, const net::Endpoint&, const std::string&) override {
    targets_.push_back(id);
    return {};
  }
  Task<void> deregister_target(std::string id) override {
    std::erase(targets_, id);
    co_return;
  }
  void remove_target(const std::string& id) override { std::erase(targets_, id); }

  Result<std::unique_ptr<net::Process>> launch(net::ProcessSpec spec) override {
    if (launch_error_) return Failure(*launch_error_);
    auto state = std::make_shared<FakeState>(clock_);
    state->spec = std::move(spec);
    processes_.push_back(state);
    return std::make_unique<FakeProcess>(clock_, std::move(state));
  }

  bool enforced() const override { return true; }
  const std::string& explanation() const override { return folder_; }
  Result<std::vector<std::string>> make_group(std::string_view task, const CgroupLimits&) override {
    return std::vector<std::string>{"/cgroup/" + std::string(task)};
  }
  std::uint64_t memory_kills(std::string_view) const override { return memory_kills_; }
  void remove_group(std::string_view) override {}

  asio::io_context loop_;
  berth::testing::SimClock clock_;
  std::string folder_;
  SupervisorOptions options_;
  std::optional<Error> launch_error_;
  std::uint64_t memory_kills_ = 0;
  std::vector<std::shared_ptr<FakeState>> processes_;
  std::vector<std::string> targets_;
  std::vector<std::string> events_;
  std::unique_ptr<Supervisor> supervisor_;
};

using Ids = std::vector<std::string>;

TEST_F(SupervisorTest, StartsEveryTaskAtOnceUnderAKeeperInItsGroup) {
  start();
  EXPECT_EQ(running(), (Ids{"1", "2", "3"}));
  EXPECT_EQ(targets_, (Ids{"1", "2", "3"}));
  const net::ProcessSpec& spec = process("2").spec;
  EXPECT_EQ(spec.argv, (Ids{"/bin/berth", "serve", "--task-file", folder_ + "/tasks/2.json"}));
  EXPECT_EQ(spec.cgroups, (Ids{"/cgroup/2"}));
  EXPECT_TRUE(spec.keeper);
  const auto mode = std::filesystem::status(folder_ + "/tasks/2.json").permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(events_[1], "task 2 starts in zone b at 10.0.0.b1:3000 (pid 1000000)");
}

TEST_F(SupervisorTest, AKilledTaskIsBackAtOnceInItsZone) {
  start_healthy();
  process("2").end({std::nullopt, SIGKILL});
  clock_.run_until_idle();
  EXPECT_EQ(running(), (Ids{"1", "3", "2"}));
  EXPECT_EQ(targets_, (Ids{"1", "3", "2"}));
  EXPECT_EQ(supervisor_->ready(), 2u);
  const auto tasks = supervisor_->tasks();
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(tasks[1].zone, "b");
  EXPECT_EQ(tasks[1].restarts, 1u);
  EXPECT_EQ(events_[6], "task 2 killed by signal 9 (SIGKILL) after 0.0 s");
}

TEST_F(SupervisorTest, ATaskThatRanOutOfMemoryIsSaidToHaveDoneSo) {
  start_healthy();
  memory_kills_ = 1;
  process("2").end({std::nullopt, SIGKILL});
  clock_.run_until_idle();
  EXPECT_EQ(events_[6],
            "task 2 killed by signal 9 (SIGKILL) because its memory was used up (tasks.memory: 1024 "
            "MB) after 0.0 s");
}

Task<void> say(net::Stream& stream, std::string text) {
  const auto written = co_await stream.write(text);
  EXPECT_TRUE(written);
}

TEST_F(SupervisorTest, ACrashLoopBacksOffAndIsReportedWithItsLastWords) {
  start_healthy();
  TaskScope scope(loop_.get_executor());
  // The first end comes after a healthy life; three more follow without one.
  for (int i = 0; i < 4; ++i) {
    scope.spawn(say(*process("2").stderr_end, "reading\ncannot read config.json"));
    clock_.run_until_idle();
    process("2").end({1, std::nullopt});
    clock_.advance(i < 3 ? 10s : 100ms);
  }
  EXPECT_EQ(events_.back(),
            "task 2 has ended 4 times in a row without becoming healthy: the task exited with code 1; its "
            "last words: "
            "cannot read config.json");
  EXPECT_EQ(running(), (Ids{"1", "3"}));
  const TaskStatus status = supervisor_->tasks()[1];
  EXPECT_EQ(status.phase, TaskPhase::waiting);
  EXPECT_TRUE(status.crash_loop);
  EXPECT_EQ(status.last_words, (Ids{"reading", "cannot read config.json"}));
  EXPECT_TRUE(status.reason.starts_with("the task exited with code 1; it starts again in ")) << status.reason;
  clock_.advance(10s);
  EXPECT_EQ(running(), (Ids{"1", "3", "2"}));
  healthy("2");
  EXPECT_TRUE(supervisor_->tasks()[1].last_words.empty());
  EXPECT_FALSE(supervisor_->tasks()[1].crash_loop);
}

TEST_F(SupervisorTest, WhatCannotBeLaunchedIsRetriedAndSaidWhy) {
  launch_error_ = Error(ErrorCode::not_found, "there is no program /bin/berth; check its path");
  start();
  EXPECT_EQ(events_[0], "task 1 cannot be started: there is no program /bin/berth; check its path");
  EXPECT_EQ(supervisor_->tasks().size(), 3u);
  EXPECT_EQ(supervisor_->tasks()[0].phase, TaskPhase::waiting);
  launch_error_.reset();
  clock_.advance(2s);
  EXPECT_EQ(running().size(), 3u);
}

TEST_F(SupervisorTest, ScalingDownDrainsThenTerminatesThenKills) {
  start_healthy();
  process("3").ends_on_term = false;
  supervisor_->scale(2);
  clock_.run_until_idle();
  EXPECT_EQ(targets_, (Ids{"1", "2"})) << "out of rotation at once";
  clock_.advance(300ms);
  EXPECT_EQ(process("3").signals, (std::vector<int>{SIGTERM}));
  EXPECT_EQ(supervisor_->tasks()[2].phase, TaskPhase::stopping);
  clock_.advance(32s);
  EXPECT_EQ(process("3").signals, (std::vector<int>{SIGTERM})) << "its own drain ends after 30 s";
  clock_.advance(1s);
  EXPECT_EQ(process("3").signals, (std::vector<int>{SIGTERM, SIGKILL}));
  EXPECT_EQ(events_.back(), "task 3 has stopped");
  EXPECT_EQ(running(), (Ids{"1", "2"}));
}

TEST_F(SupervisorTest, ScalingUpFillsTheZones) {
  start_healthy();
  supervisor_->scale(5);
  clock_.run_until_idle();
  EXPECT_EQ(running(), (Ids{"1", "2", "3", "4", "5"}));
  EXPECT_EQ(supervisor_->tasks()[4].zone, "b");
}

TEST_F(SupervisorTest, ARollingRestartReplacesOneAfterAnother) {
  start_healthy();
  supervisor_->restart(options_.first, "");
  clock_.run_until_idle();
  EXPECT_EQ(running(), (Ids{"1", "2", "3", "4"}));
  clock_.advance(1min);
  EXPECT_EQ(running().size(), 4u) << "nothing is drained before the successor is healthy";
  for (int i = 0; i < 12 && processes_.size() < 7; ++i) {
    for (const std::string& id : running()) healthy(id);
    EXPECT_GE(supervisor_->ready(), 3u);
    clock_.advance(1s);
  }
  for (int i = 0; i < 3; ++i) {
    for (const std::string& id : running()) healthy(id);
    clock_.advance(1s);
  }
  EXPECT_EQ(processes_.size(), 6u) << "three successors";
  EXPECT_EQ(running().size(), 3u);
}

TEST_F(SupervisorTest, ARestartIsDoneOnceTheTasksOfBeforeTakeNoCalls) {
  start_healthy();
  for (const auto& process : processes_) process->ends_on_term = false;
  supervisor_->restart(options_.first, "");
  for (int i = 0; i < 12; ++i) {
    for (const std::string& id : running()) healthy(id);
    clock_.advance(1s);
  }
  EXPECT_EQ(running().size(), 6u);
  EXPECT_EQ(supervisor_->rollout().state, RolloutStatus::State::running);
  for (const char* id : {"1", "2", "3"})
    std::ofstream(options_.paths.readiness_file(id)) << R"({"draining":true})";
  clock_.advance(2s);
  EXPECT_EQ(running().size(), 6u);
  EXPECT_EQ(supervisor_->rollout().state, RolloutStatus::State::done);
}

/// A service of the servers good and bad, both answering, whose tasks are asked before they serve.
class RolloutTest : public SupervisorTest {
 protected:
  RolloutTest() {
    for (const char* name : {"good", "bad"}) {
      model::ServerSpec server;
      server.name = name;
      options_.first.spec.servers.push_back(std::move(server));
    }
    options_.first.key = Secret("key");
    options_.ask_server = [this](net::Endpoint, std::string server, Secret key, TimePoint) {
      return ask(std::move(server), std::move(key));
    };
  }

  Task<Result<void>> ask(std::string server, Secret key) {
    asked_.push_back(server);
    EXPECT_EQ(key.reveal(), "key");
    if (server == "bad" && bad_fails_) co_return fail(bad_error_, "It ended.");
    co_return Result<void>();
  }

  void say_ready(const std::string& id, bool bad_answers) {
    std::ofstream(options_.paths.readiness_file(id))
        << R"({"servers":[{"name":"good","ready":true},{"name":"bad","ready":)"
        << (bad_answers ? "true}]}" : R"(false,"reason":"Its last words: no token"}]})");
  }

  /// Everything that runs becomes healthy whose target is registered, again and again.
  void go_on() {
    for (int i = 0; i < 12; ++i) {
      for (const std::string& id : running()) {
        if (std::ranges::count(targets_, id) > 0) healthy(id);
      }
      clock_.advance(1s);
    }
  }

  bool bad_fails_ = false;
  ErrorCode bad_error_ = ErrorCode::unavailable;
  std::vector<std::string> asked_;
};

TEST_F(RolloutTest, ATaskServesOnlyWhenItAnswersForWhatTheTasksBeforeAnswerFor) {
  start_healthy();
  for (const char* id : {"1", "2", "3"}) say_ready(id, true);
  bad_fails_ = true;
  supervisor_->restart(options_.first, "");
  clock_.advance(10s);
  EXPECT_EQ(std::ranges::count(targets_, "4"), 0);
  EXPECT_EQ(supervisor_->rollout().state, RolloutStatus::State::running);
  bad_fails_ = false;
  go_on();
  EXPECT_EQ(std::ranges::count(targets_, "4"), 1);
  EXPECT_EQ(supervisor_->rollout().state, RolloutStatus::State::done);
  EXPECT_EQ(processes_.size(), 6u);
  EXPECT_EQ(running().size(), 3u);
}

TEST_F(RolloutTest, ARestartIsUndoneWhereAServerThatAnsweredDoesNot) {
  start_healthy();
  for (const char* id : {"1", "2", "3"}) say_ready(id, true);
  TaskRevision revision = options_.first;
  revision.spec.tasks.zones = {"z"};
  bad_fails_ = true;
  supervisor_->restart(std::move(revision), "");
  clock_.run_until_idle();
  say_ready("4", false);
  clock_.advance(70s);
  EXPECT_EQ(supervisor_->rollout().state, RolloutStatus::State::undone);
  EXPECT_EQ(supervisor_->rollout().reason, "bad: Its last words: no token");
  EXPECT_EQ(running(), (Ids{"1", "2", "3"}));
  EXPECT_EQ(supervisor_->ready(), 3u);
  EXPECT_EQ(std::ranges::count(targets_, "4"), 0);
  EXPECT_EQ(events_[events_.size() - 2],
            "the restart is undone, the tasks of before go on serving: bad: Its last words: no token");
  // The next one starts from those.
  bad_fails_ = false;
  supervisor_->restart(options_.first, "");
  clock_.run_until_idle();
  go_on();
  EXPECT_EQ(supervisor_->rollout().state, RolloutStatus::State::done);
  EXPECT_EQ(supervisor_->rollout().number, 2u);
  for (const TaskStatus& task : supervisor_->tasks()) EXPECT_NE(task.zone, "z");
}

TEST_F(RolloutTest, AnInternalErrorIsAnAnswerOfAServerThatRuns) {
  start_healthy();
  for (const char* id : {"1", "2", "3"}) say_ready(id, true);
  bad_fails_ = true;
  bad_error_ = ErrorCode::internal;
  supervisor_->restart(options_.first, "");
  clock_.run_until_idle();
  say_ready("4", false);
  clock_.advance(2s);
  EXPECT_EQ(std::ranges::count(targets_, "4"), 0);
  say_ready("4", true);
  clock_.advance(2s);
  EXPECT_EQ(std::ranges::count(targets_, "4"), 1);
}

TEST_F(RolloutTest, ARestartIsUndoneWhereTasksEndBeforeTheyServe) {
  start_healthy();
  for (const char* id : {"1", "2", "3"}) say_ready(id, true);
  bad_fails_ = true;
  supervisor_->restart(options_.first, "");
  clock_.run_until_idle();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(supervisor_->rollout().state, RolloutStatus::State::running);
    process("4").end({1, std::nullopt});
    clock_.advance(2s);
  }
  EXPECT_EQ(supervisor_->rollout().state, RolloutStatus::State::undone);
  EXPECT_EQ(supervisor_->rollout().reason, "the task exited with code 1");
  EXPECT_EQ(running(), (Ids{"1", "2", "3"}));
}

TEST_F(RolloutTest, WhatDidNotAnswerBeforeIsNotWaitedFor) {
  start_healthy();
  for (const char* id : {"1", "2", "3"}) say_ready(id, false);
  bad_fails_ = true;
  supervisor_->restart(options_.first, "");
  clock_.run_until_idle();
  go_on();
  EXPECT_EQ(supervisor_->rollout().state, RolloutStatus::State::done);
  EXPECT_EQ(std::ranges::count(asked_, "bad"), 0);
  EXPECT_EQ(std::ranges::count(asked_, "good"), 3);
}

TEST_F(SupervisorTest, ATaskThatNoLongerAnswersIsKilledAndReplaced) {
  bool alive = false;
  options_.check_alive = [&alive](net::Endpoint) -> Task<bool> { co_return alive; };
  start_healthy();
  clock_.advance(1min);
  EXPECT_EQ(processes_.size(), 3u) << "healthy tasks live";
  alive = true;
  supervisor_->on_health("1", TaskHealth::unhealthy, "GET /readyz answered 503");
  clock_.advance(1min);
  EXPECT_EQ(processes_.size(), 3u) << "a task whose server is down repairs itself";
  EXPECT_EQ(supervisor_->tasks()[0].reason, "GET /readyz answered 503");
  alive = false;
  clock_.advance(16s);
  EXPECT_EQ(processes_[0]->signals, (std::vector<int>{SIGKILL}));
  EXPECT_EQ(running().size(), 3u);
  const auto named = std::ranges::find_if(events_, [](const std::string& event) {
    return event.ends_with(": its event loop is stalled, GET /healthz does not answer");
  });
  EXPECT_NE(named, events_.end());
}

TEST_F(SupervisorTest, ATaskSaysItselfWhyItIsNotReady) {
  const std::string file = options_.paths.readiness_file("1");
  std::ofstream(file) << R"({"servers":[{"name":"old","ready":false,"reason":"of an earlier life"}]})";
  start_healthy();
  EXPECT_TRUE(supervisor_->tasks()[0].servers.empty());
  std::ofstream(file) << R"({"servers":[{"name":"good","ready":true},)"
                      << R"({"name":"bad","ready":false,"reason":"It has no key."}]})";
  supervisor_->on_health("1", TaskHealth::unhealthy, "GET /readyz answered 503 instead of 200.");
  EXPECT_EQ(events_.back(), "task 1 is unhealthy: bad: It has no key.");
  const TaskStatus status = supervisor_->tasks()[0];
  EXPECT_EQ(status.reason, "bad: It has no key.");
  ASSERT_EQ(status.servers.size(), 2u);
  EXPECT_TRUE(status.servers[0].ready);
  EXPECT_EQ(status.servers[1].reason, "It has no key.");
  supervisor_->on_health("1", TaskHealth::unhealthy, "It refuses connections.");
  EXPECT_EQ(supervisor_->tasks()[0].reason, "It refuses connections.");
  process("1").end({1, std::nullopt});
  clock_.run_until_idle();
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(SupervisorTest, DrainingTheServiceTerminatesAllAtOnceAndKillsOnDemand) {
  start_healthy();
  for (const char* id : {"1", "2"}) process(id).ends_on_term = false;
  TaskScope scope(loop_.get_executor());
  scope.spawn(supervisor_->drain());
  clock_.run_until_idle();
  for (const auto& process : processes_) EXPECT_EQ(process->signals, (std::vector<int>{SIGTERM}));
  EXPECT_EQ(running(), (Ids{"1", "2"}));
  EXPECT_EQ(scope.size(), 1u);
  supervisor_->kill();
  clock_.run_until_idle();
  EXPECT_EQ(scope.size(), 0u);
  supervisor_.reset();
}

}  // namespace
}  // namespace berth::cluster
