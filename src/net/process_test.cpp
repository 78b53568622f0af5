#include "net/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "net/pollable.h"
#include "net/socket_stream.h"

namespace berth::net {
namespace {

using namespace std::chrono_literals;

constexpr auto test_timeout = 10s;

ProcessSpec shell(const std::string& script) {
  ProcessSpec spec;
  spec.argv = {"sh", "-c", script};
  spec.environment = {{"PATH", "/usr/bin:/bin"}};
  return spec;
}

Task<void> read_all(Stream& stream, std::string& out) {
  std::vector<char> buffer(65536);
  while (true) {
    const auto count = co_await stream.read_some(buffer);
    if (!count || *count == 0) co_return;
    out.append(buffer.data(), *count);
  }
}

void write_script(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0755);
  EXPECT_EQ(::write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(file);
}

Task<void> wait_for(Process& process, std::optional<ExitStatus>& status) { status = co_await process.wait(); }

class ProcessTest : public ::testing::Test {
 protected:
  ProcessTest() : clock_(make_real_clock(loop_.get_executor())), launcher_(make_process_launcher(*clock_)) {}

  std::unique_ptr<Process> launch(ProcessSpec spec) {
    auto process = launcher_->launch(std::move(spec));
    EXPECT_TRUE(process) << process.error().message();
    return process ? std::move(*process) : nullptr;
  }

  void run_until(const std::function<bool()>& done) {
    const auto limit = clock_->now() + test_timeout;
    bool is_done = done();
    while (!is_done && clock_->now() < limit) {
      loop_.restart();
      loop_.run_one_for(20ms);
      is_done = done();
    }
    EXPECT_TRUE(is_done) << "not done in time";
  }

  /// Runs to the end; what it wrote to stdout comes back through `output`.
  ExitStatus run(ProcessSpec spec, std::string* output = nullptr, std::string input = "") {
    const auto process = launch(std::move(spec));
    if (!process) return {};
    std::string out;
    std::string errors;
    std::optional<ExitStatus> status;
    TaskScope scope(loop_.get_executor());
    scope.spawn(read_all(process->output(), out));
    scope.spawn(read_all(process->errors(), errors));
    scope.spawn(wait_for(*process, status));
    scope.spawn(feed(*process, std::move(input)));
    run_until([&scope] { return scope.size() == 0; });
    if (output != nullptr) *output = out + errors;
    return status.value_or(ExitStatus{});
  }

  static Task<void> write_and_stay_open(Process& process, std::string input) {
    const auto written = co_await process.input().write(input);
    EXPECT_TRUE(written);
  }

  static Task<void> feed(Process& process, std::string input) {
    const auto written = co_await process.input().write(input);
    EXPECT_TRUE(written || input.empty());
    process.input().close_write();
  }

  asio::io_context loop_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<ProcessLauncher> launcher_;
};

TEST_F(ProcessTest, ExitCodesAndSignalsAreTold) {
  for (const bool keeper : {false, true}) {
    ProcessSpec spec = shell("exit 7");
    spec.keeper = keeper;
    EXPECT_EQ(to_string(run(spec)), "exited with code 7");
    spec = shell("kill -SEGV $$");
    spec.keeper = keeper;
    EXPECT_EQ(to_string(run(spec)), "killed by signal 11 (SIGSEGV)");
    spec = shell("exit 137");
    spec.keeper = keeper;
    EXPECT_EQ(to_string(run(spec)), "exited with code 137");
  }
}

TEST_F(ProcessTest, TellsHowMuchOfItsInputADeadChildNeverRead) {
  ProcessSpec spec = shell("read line; echo got $line; sleep 60");
  // A shell reads a pipe byte by byte, so that it never takes more than its line.
  spec.argv.front() = "/bin/sh";
  const auto process = launch(std::move(spec));
  ASSERT_TRUE(process);
  std::string output;
  std::optional<ExitStatus> status;
  TaskScope scope(loop_.get_executor());
  scope.spawn(read_all(process->output(), output));
  scope.spawn(wait_for(*process, status));
  scope.spawn(write_and_stay_open(*process, "first\nsecond\n"));
  run_until([&output] { return output == "got first\n"; });
  process->signal(SIGKILL);
  run_until([&status] { return status.has_value(); });
  EXPECT_EQ(process->input().unread(), std::string_view("second\n").size());
  process->input().close_write();
  EXPECT_EQ(process->input().unread(), 0u);
  run_until([&scope] { return scope.size() == 0; });
}

TEST_F(ProcessTest, InputReachesTheChildAndItsEndEndsIt) {
  std::string output;
  ProcessSpec spec = shell("cat; echo done >&2");
  EXPECT_EQ(run(spec, &output, std::string(300'000, 'x')).code, 0);
  EXPECT_EQ(output, std::string(300'000, 'x') + "done\n");
}

TEST_F(ProcessTest, TheChildSeesExactlyItsEnvironmentFolderAndThreeDescriptors) {
  std::string output;
  const int leaked = ::open("/dev/null", O_RDONLY);
  ProcessSpec spec = shell("pwd; echo $A-$HOME; ls /proc/self/fd | wc -l");
  spec.directory = "/usr";
  spec.environment.emplace_back("A", "b");
  EXPECT_EQ(run(spec, &output).code, 0);
  ::close(leaked);
  // The fourth is the folder that ls reads.
  EXPECT_EQ(output, "/usr\nb-\n4\n");
}

TEST_F(ProcessTest, NullInputIsAtItsEnd) {
  ProcessSpec spec = shell("cat; echo end");
  spec.input = ProcessSpec::Stdio::null;
  std::string output;
  EXPECT_EQ(run(spec, &output).code, 0);
  EXPECT_EQ(output, "end\n");
}

TEST_F(ProcessTest, SignalDispositionsAndMasksAreTheDefaults) {
  std::string output;
  EXPECT_EQ(run(shell("grep -E 'SigBlk|SigIgn' /proc/self/status"), &output).code, 0);
  EXPECT_EQ(output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_F(ProcessTest, WhatCannotBeStartedIsExplained) {
  ProcessSpec spec = shell("");
  const auto message = [&](std::vector<std::string> argv) {
    spec.argv = std::move(argv);
    const auto process = launcher_->launch(spec);
    EXPECT_FALSE(process);
    return process ? std::string()
                   : std::string(to_string(process.error().code())) + ": " + process.error().message();
  };
  EXPECT_EQ(message({"no-such-command"}),
            "not_found: there is no command 'no-such-command' in PATH (/usr/bin:/bin); install it, or give "
            "its full "
            "path");
  EXPECT_EQ(message({"/no/such"}), "not_found: there is no program /no/such; check its path");
  EXPECT_EQ(message({"/etc/passwd"}),
            "permission_denied: /etc/passwd is not executable; make it so with chmod +x /etc/passwd");
  EXPECT_EQ(message({}), "invalid_argument: the command is empty; give a program to run");
  EXPECT_EQ(message({"/usr"}), "invalid_argument: /usr is a folder, not a program");

  const std::string script = ::testing::TempDir() + "berth-script-" + std::to_string(::getpid());
  write_script(script, "echo no first line\n");
  EXPECT_TRUE(message({script}).starts_with("invalid_argument: " + script + " is not a program"));
  write_script(script, "#!/no/such/interpreter\n");
  EXPECT_TRUE(message({script}).starts_with("not_found: " + script + " names an interpreter"));
  spec.keeper = true;
  EXPECT_TRUE(message({script}).starts_with("not_found: " + script + " names an interpreter"));
  ::unlink(script.c_str());
  spec.directory = "/no/such/folder";
  EXPECT_EQ(message({"sh"}), "not_found: the working directory /no/such/folder does not exist");
}

TEST_F(ProcessTest, AnEndedGroupMemberIsKilledWithItsLeader) {
  // Whoever holds the pipe keeps it open: its end tells that the background process has gone too.
  const auto process = launch(shell("sleep 1000 & echo started; wait"));
  std::string output;
  TaskScope scope(loop_.get_executor());
  scope.spawn(read_all(process->output(), output));
  run_until([&output] { return output == "started\n"; });
  process->signal(SIGTERM);
  run_until([&scope] { return scope.size() == 0; });
}

TEST_F(ProcessTest, DestroyingAProcessKillsIt) {
  std::string output;
  std::string path = ::testing::TempDir() + "berth-fifo-" + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  for (const bool keeper : {false, true}) {
    const auto reader =
        make_pipe_stream(*clock_, ::open(path.c_str(), O_RDONLY | O_NONBLOCK), Direction::read);
    ProcessSpec spec = shell("exec 9>" + path + "; echo up >&9; sleep 1000");
    spec.keeper = keeper;
    auto process = launch(spec);
    output.clear();
    // Opening for writing comes first, so that the reader does not see an end before the beginning.
    run_until([&] {
      char byte[3];
      const int probe = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
      const auto count = ::read(probe, byte, sizeof(byte));
      ::close(probe);
      return count == 3;
    });
    TaskScope scope(loop_.get_executor());
    scope.spawn(read_all(*reader, output));
    process.reset();
    run_until([&scope] { return scope.size() == 0; });
  }
  ::unlink(path.c_str());
}

constexpr const char* tree_script =
    "setsid sh -c 'sleep 1000 & sleep 1000' & sh -c '(setsid sleep 1000 &) ; sleep 1000' & echo up; ";

TEST_F(ProcessTest, AKeeperKillsEveryDescendantWhenTheProcessEnds) {
  ProcessSpec spec = shell(std::string(tree_script) + "sleep 0.1; exit 3");
  spec.keeper = true;
  std::string output;
  // run() waits for the end of stdout, which the descendants hold open in sessions of their own.
  EXPECT_EQ(run(spec, &output).code, 3);
  EXPECT_EQ(output, "up\n");
}

TEST_F(ProcessTest, AKeeperPassesSignalsOnAndReportsTheRealPid) {
  ProcessSpec spec = shell("trap 'echo term; exit 5' TERM; echo $$; while :; do sleep 0.01; done");
  spec.keeper = true;
  const auto process = launch(spec);
  std::string output;
  std::optional<ExitStatus> first;
  std::optional<ExitStatus> second;
  TaskScope scope(loop_.get_executor());
  scope.spawn(read_all(process->output(), output));
  scope.spawn(wait_for(*process, first));
  scope.spawn(wait_for(*process, second));
  run_until([&output] { return !output.empty(); });
  EXPECT_EQ(output, std::to_string(process->pid()) + "\n");
  process->signal(SIGTERM);
  run_until([&scope] { return scope.size() == 0; });
  EXPECT_EQ(first, (ExitStatus{5, std::nullopt}));
  EXPECT_EQ(second, first);
  EXPECT_EQ(process->status(), first);
  process->signal(SIGKILL);
}

TEST_F(ProcessTest, NothingSurvivesTheSuddenDeathOfTheParent) {
  const std::string path = ::testing::TempDir() + "berth-survivors-" + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const int fifo = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  const pid_t parent = ::fork();
  if (parent == 0) {
    asio::io_context loop;
    const auto clock = make_real_clock(loop.get_executor());
    const auto launcher = make_process_launcher(*clock);
    ProcessSpec spec =
        shell("exec 9>" + path + "; trap '' TERM HUP INT; " + tree_script + "echo up >&9; sleep 1000");
    spec.keeper = true;
    const auto process = launcher->launch(spec);
    for (;;) ::pause();
  }
  char text[8] = {};
  run_until([&] { return ::read(fifo, text, sizeof(text)) == 3; });
  const auto reader = make_pipe_stream(*clock_, fifo, Direction::read);
  std::string output;
  TaskScope scope(loop_.get_executor());
  scope.spawn(read_all(*reader, output));
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(scope.size(), 1u) << "they are alive and hold the pipe";
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  run_until([&scope] { return scope.size() == 0; });
  ::unlink(path.c_str());
}

TEST_F(ProcessTest, ManyChildrenRunAtOnce) {
  std::vector<std::unique_ptr<Process>> processes;
  std::vector<std::string> outputs(20);
  std::vector<std::optional<ExitStatus>> statuses(20);
  TaskScope scope(loop_.get_executor());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    ProcessSpec spec = shell("read x; echo $x; exit " + std::to_string(i));
    spec.keeper = i % 2 == 1;
    processes.push_back(launch(spec));
    scope.spawn(read_all(processes[i]->output(), outputs[i]));
    scope.spawn(wait_for(*processes[i], statuses[i]));
    scope.spawn(feed(*processes[i], "hello " + std::to_string(i) + "\n"));
  }
  run_until([&scope] { return scope.size() == 0; });
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_EQ(outputs[i], "hello " + std::to_string(i) + "\n");
    EXPECT_EQ(statuses[i], (ExitStatus{static_cast<int>(i), std::nullopt}));
  }
}

TEST_F(ProcessTest, AFloodOfErrorsDoesNotHoldTheOutputBack) {
  const auto process = launch(shell("yes flood >&2 & echo out; wait"));
  std::string output;
  TaskScope scope(loop_.get_executor());
  scope.spawn(read_all(process->output(), output));
  run_until([&output] { return output == "out\n"; });
  std::size_t flooded = 0;
  const auto drain = [](Stream& stream, std::size_t& total) -> Task<void> {
    std::vector<char> buffer(65536);
    while (total < 5'000'000) {
      const auto count = co_await stream.read_some(buffer);
      if (!count || *count == 0) co_return;
      total += *count;
    }
  };
  scope.spawn(drain(process->errors(), flooded));
  run_until([&flooded] { return flooded >= 5'000'000; });
  process->signal(SIGKILL);
  run_until([&scope] { return scope.size() == 0; });
}

// --- Separation

ProcessSpec separated(const std::string& script, Separation separation = {}) {
  ProcessSpec spec = shell(script);
  spec.separation = std::move(separation);
  return spec;
}

/// A folder with a secret and a folder of data in it, in one that servers work in.
struct StateOfService {
  StateOfService() {
    std::filesystem::create_directories(hidden() + "/data");
    write_script(hidden() + "/fleet.key", "secret");
    write_script(kept() + "/shared", "shared");
  }
  ~StateOfService() { std::filesystem::remove_all(work); }
  StateOfService(const StateOfService&) = delete;
  StateOfService& operator=(const StateOfService&) = delete;
  std::string hidden() const { return work + "/.berth"; }
  std::string kept() const { return hidden() + "/data"; }
  std::string work = ::testing::TempDir() + "separation." + std::to_string(::getpid());
};

TEST_F(ProcessTest, ASeparatedChildHasNoCapabilitiesAndGetsNone) {
  std::string output;
  EXPECT_EQ(
      run(separated("grep -E '^(CapPrm|CapEff|CapInh|CapAmb|NoNewPrivs)' /proc/self/status"), &output).code,
      0);
  EXPECT_EQ(output,
            "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
            "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
}

TEST_F(ProcessTest, ASeparatedChildReadsNoEnvironmentAndSignalsNobodyOutside) {
  const auto other = launch(shell("exec sleep 60"));
  ASSERT_TRUE(other);
  const std::string pid = std::to_string(other->pid());
  const auto probe = launch(separated("true"));
  ASSERT_TRUE(probe);
  if (!probe->separation_problem().empty()) GTEST_SKIP() << probe->separation_problem();
  const std::string read = "cat /proc/" + pid + "/environ /proc/" + std::to_string(::getpid()) + "/environ";
  std::string output;
  EXPECT_EQ(run(shell(read), &output).code, 0);
  EXPECT_NE(output.find("PATH="), std::string::npos);
  EXPECT_EQ(run(separated(read), &output).code, 1);
  EXPECT_EQ(output.find("PATH="), std::string::npos) << output;
  run(separated("kill -9 " + pid), &output);
  EXPECT_FALSE(other->status());
  EXPECT_EQ(::kill(other->pid(), 0), 0);
  // Its own children are its own.
  EXPECT_EQ(run(separated("sleep 60 & kill -9 $!; cat /proc/self/environ >/dev/null; wait $!"), &output).code,
            137);
}

TEST_F(ProcessTest, ASeparatedChildSeesTheHiddenFolderEmptyButForWhatIsKept) {
  const StateOfService state;
  ProcessSpec spec = separated(
      "ls -A .berth; cat .berth/data/shared; cat .berth/fleet.key; "
      "echo new > made && mv made moved && cat moved; echo kept > .berth/data/made",
      {.hidden = state.hidden(), .kept = state.kept(), .secrets = {}});
  spec.directory = state.work;
  const auto probe = launch(spec);
  ASSERT_TRUE(probe);
  if (!probe->separation_problem().empty()) GTEST_SKIP() << probe->separation_problem();
  std::string output;
  run(spec, &output);
  EXPECT_EQ(output.find("secret"), std::string::npos) << output;
  EXPECT_TRUE(output.starts_with("data\nsharednew\n")) << output;
  // What it wrote is there for all.
  EXPECT_TRUE(std::filesystem::exists(state.work + "/moved"));
  EXPECT_TRUE(std::filesystem::exists(state.kept() + "/made"));
  EXPECT_TRUE(std::filesystem::exists(state.hidden() + "/fleet.key"));
}

TEST_F(ProcessTest, ASeparatedChildSeesSecretFilesAndFoldersEmpty) {
  const StateOfService state;
  const std::string file = state.work + "/alice.key";
  write_script(file, "secret");
  ProcessSpec spec =
      separated("exec 2>/dev/null; cat alice.key; ls -A .berth; cat .berth/fleet.key; echo end",
                {.hidden = {}, .kept = {}, .secrets = {file, state.hidden(), "/not/there"}});
  spec.directory = state.work;
  const auto probe = launch(spec);
  ASSERT_TRUE(probe);
  if (!probe->separation_problem().empty()) GTEST_SKIP() << probe->separation_problem();
  std::string output;
  run(spec, &output);
  EXPECT_EQ(output, "end\n");
  EXPECT_EQ(std::filesystem::file_size(file), 6u) << "it is there for all others";
}

TEST_F(ProcessTest, AChildStartsAllTheSameWhereItCannotBeSeparated) {
  const auto process = launch(separated("exit 3", {.hidden = "/nowhere", .kept = {}, .secrets = {}}));
  ASSERT_TRUE(process);
  EXPECT_FALSE(process->separation_problem().empty());
  std::optional<ExitStatus> status;
  TaskScope scope(loop_.get_executor());
  scope.spawn(wait_for(*process, status));
  run_until([&scope] { return scope.size() == 0; });
  EXPECT_EQ(status->code, 3);
}

}  // namespace
}  // namespace berth::net
