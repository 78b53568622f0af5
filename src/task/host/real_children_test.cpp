// The stdio host with real processes: the mini server beside this test.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/clock.h"
#include "net/process.h"
#include "task/host/stdio_host.h"

namespace berth::task {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Observer final : public mcp::CallObserver {
 public:
  void on_notification(mcp::Notification) override {}
  void on_outcome(mcp::Outcome given) override {
    done = true;
    outcome = std::move(given);
  }
  bool done = false;
  mcp::Outcome outcome;
};

class NoChanges final : public ChangeSink {
 public:
  void on_change(const mcp::Change&) override {}
};

/// Remembers the pids of what it launches.
class SpyingLauncher final : public net::ProcessLauncher {
 public:
  explicit SpyingLauncher(Clock& clock) : inner_(net::make_process_launcher(clock)) {}
  Result<std::unique_ptr<net::Process>> launch(net::ProcessSpec spec) override {
    auto launched = inner_->launch(std::move(spec));
    if (launched) pids.push_back((*launched)->pid());
    return launched;
  }
  std::vector<pid_t> pids;

 private:
  std::unique_ptr<net::ProcessLauncher> inner_;
};

/// Whether a process of the group still runs (zombies that nobody has reaped do not).
bool group_lives(pid_t group) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string stat;
    if (!std::getline(file, stat)) continue;
    // "pid (name) state ppid pgrp …"; the name may hold anything.
    char state = 0;
    int parent = 0;
    int process_group = 0;
    const std::size_t end = stat.rfind(')');
    if (end == std::string::npos) continue;
    if (std::sscanf(stat.c_str() + end, ") %c %d %d", &state, &parent, &process_group) != 3) continue;
    if (process_group == group && state != 'Z' && state != 'X') return true;
  }
  return false;
}

class RealChildren : public ::testing::Test {
 public:
  RealChildren() : clock(make_real_clock(loop.get_executor())), launcher(*clock) {
    spec.name = "mini";
    spec.command = {(std::filesystem::read_symlink("/proc/self/exe").parent_path() / "mini_server").string()};
    spec.probe_timeout = milliseconds(2000);
  }

  void run(Task<void> (RealChildren::*test)()) {
    host = make_stdio_host(spec, launcher, changes, *clock, null_log());
    TaskScope scope(loop.get_executor());
    scope.spawn(run_and_drain(test));
    loop.run_for(seconds(60));
    EXPECT_TRUE(finished) << "the test and the drain end";
    for (const pid_t pid : launcher.pids) EXPECT_FALSE(group_lives(pid)) << pid;
  }
  Task<void> run_and_drain(Task<void> (RealChildren::*test)()) {
    co_await (this->*test)();
    const std::size_t cut = co_await host->drain(clock->now());
    EXPECT_EQ(cut, 0u);
    host.reset();
    finished = true;
    loop.stop();
  }
  Task<void> until(std::function<bool()> condition, Duration patience) {
    const TimePoint deadline = clock->now() + patience;
    while (!condition() && clock->now() < deadline) co_await clock->sleep_for(milliseconds(1));
    EXPECT_TRUE(condition());
  }
  Task<mcp::Outcome> call(std::string params) {
    Observer observer;
    mcp::Call call;
    call.caller = &caller;
    call.method = "tools/call";
    call.params = params;
    const auto active = host->start(call, observer);
    auto is_done = [&observer] { return observer.done; };
    co_await until(is_done, seconds(20));
    co_return std::move(observer.outcome);
  }

  Task<void> echo() {
    const mcp::Outcome outcome = co_await call(R"({"name":"echo","arguments":{"message":"hi"}})");
    EXPECT_EQ(outcome.result, R"({"content":[{"type":"text","text":"Echo: hi"}]})");
    EXPECT_TRUE(host->health().ready);
  }
  Task<void> survive_kill() {
    co_await echo();
    ::kill(launcher.pids.at(0), SIGKILL);
    const TimePoint killed_at = clock->now();
    auto noticed = [this] { return host->health().restarts == 1; };
    co_await until(noticed, seconds(20));
    co_await echo();
    EXPECT_LT(clock->now() - killed_at, milliseconds(300) * slowness);
  }
  Task<void> be_killed_before_reading() {
    co_await echo();
    const pid_t child = launcher.pids.at(0);
    ::kill(child, SIGSTOP);
    siginfo_t stopped{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(child), &stopped, WSTOPPED | WNOWAIT), 0);
    TaskScope scope(loop.get_executor());
    scope.spawn(echo());
    co_await clock->sleep_for(milliseconds(20));  // the call is in the pipe of a server that does not read
    ::kill(child, SIGKILL);
    co_await scope.join();
    EXPECT_EQ(host->health().restarts, 1u);
  }
  Task<void> die() {
    const mcp::Outcome outcome = co_await call(R"({"name":"die"})");
    EXPECT_EQ(outcome.error.message,
              "The call may have run; its end is unknown. The server exited with code 3. Its last words: "
              "mini_server: told to die");
    co_await echo();
  }
  Task<void> leave_a_grandchild() {
    const mcp::Outcome outcome = co_await call(R"({"name":"spawn","arguments":{"message":"x"}})");
    EXPECT_EQ(outcome.kind, mcp::Outcome::Kind::result);
  }
  Task<void> be_missing() {
    const mcp::Outcome outcome = co_await call(R"({"name":"echo"})");
    EXPECT_TRUE(outcome.error.message.find("no-such-command") != std::string::npos) << outcome.error.message;
  }

  static constexpr int slowness = 5;  ///< sanitizers and a busy machine
  asio::io_context loop;
  std::unique_ptr<Clock> clock;
  SpyingLauncher launcher;
  NoChanges changes;
  model::ServerSpec spec;
  mcp::Caller caller;
  std::unique_ptr<ServerHost> host;
  bool finished = false;
};

TEST_F(RealChildren, answer) { run(&RealChildren::echo); }
TEST_F(RealChildren, are_replaced_at_once_after_kill_9) { run(&RealChildren::survive_kill); }
TEST_F(RealChildren, that_die_before_they_read_a_call_cost_no_call) {
  run(&RealChildren::be_killed_before_reading);
}
TEST_F(RealChildren, that_die_are_quoted) { run(&RealChildren::die); }
TEST_F(RealChildren, leave_no_grandchildren_behind) { run(&RealChildren::leave_a_grandchild); }
TEST_F(RealChildren, that_do_not_exist_are_named) {
  spec.command = {"no-such-command"};
  run(&RealChildren::be_missing);
}

}  // namespace
}  // namespace berth::task
