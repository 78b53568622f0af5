#include "registry/program.h"

#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>

#include "registry/login.h"
#include "registry/testing/world.h"

namespace berth::registry {
namespace {

using namespace std::chrono_literals;

/// Real programs: shell scripts in a folder that is first on PATH.
class Programs : public World {
 protected:
  void script(const std::string& name, const std::string& text) {
    write("bin/" + name, "#!/bin/sh\n" + text, 0755);
  }

  Environment environment() const { return {{"PATH", folder + "/bin:/usr/bin:/bin"}, {"HOME", folder}}; }

  template <class T>
  T run_really(Task<T> task) {
    std::optional<T> outcome;
    scope.spawn(store_outcome(std::move(task), outcome));
    while (!outcome && loop.run_one() > 0) continue;
    return std::move(*outcome);
  }

  Result<ProgramResult> sh(const std::string& text, Duration time_max = 1min) {
    ProgramCall call;
    call.argv = {"sh", "-c", text};
    call.environment = environment();
    call.time_max = time_max;
    call.input = Secret("typed");
    call.on_line = [this](std::string_view line) { lines += std::string(line) + "|"; };
    return run_really(run_program(*processes, *real_clock, std::move(call)));
  }

  std::unique_ptr<Clock> real_clock = make_real_clock(loop.get_executor());
  std::unique_ptr<net::ProcessLauncher> processes = net::make_process_launcher(*real_clock);
  std::string lines;
};

TEST_F(Programs, AreReadToTheirEnd) {
  const auto ran = sh("cat; echo; echo two; echo wrong >&2; exit 3");
  ASSERT_TRUE(ran);
  EXPECT_EQ(ran->output, "typed\ntwo\n");
  EXPECT_EQ(ran->last_words, "wrong");
  EXPECT_EQ(ran->status.code, 3);
  EXPECT_NE(lines.find("two|"), std::string::npos);
}

TEST_F(Programs, AreStoppedAfterTheirTime) {
  const auto ran = sh("exec sleep 60", 50ms);
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().code(), ErrorCode::deadline_exceeded);
}

TEST_F(Programs, ThatAreNotThereAreNamed) {
  ProgramCall call;
  call.argv = {"no-such-program"};
  call.environment = environment();
  const auto ran = run_really(run_program(*processes, *real_clock, std::move(call)));
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().code(), ErrorCode::not_found);
}

TEST_F(Programs, EndWithTheTaskThatRunsThem) {
  ProgramCall call;
  call.argv = {"sh", "-c", "echo started; exec sleep 60"};
  call.environment = environment();
  bool has_started = false;
  call.on_line = [&](std::string_view) { has_started = true; };
  std::optional<Result<ProgramResult>> outcome;
  TaskScope running(loop.get_executor());
  running.spawn(store_outcome(run_program(*processes, *real_clock, std::move(call)), outcome));
  while (!has_started) loop.run_one();
  running.cancel();
  while (running.size() > 0) loop.run_one();
  EXPECT_FALSE(outcome.has_value());
}

TEST_F(Programs, GiveLoginsAsCredentialHelpers) {
  script("docker-credential-good",
         "read server; test \"$1\" = get\n"
         "echo \"{\\\"Username\\\":\\\"$server\\\",\\\"Secret\\\":\\\"s\\\"}\"\n");
  script("docker-credential-none", "echo 'credentials not found in native keychain'; exit 1\n");
  script("docker-credential-bad", "echo 'the keychain is locked' >&2; exit 1\n");
  script("docker-credential-token", "echo '{\"Username\":\"<token>\",\"Secret\":\"refresh\"}'\n");
  write(".docker/config.json",
        R"({"credsStore":"none","auths":{"kept.example":{"username":"u","password":"p"}},)"
        R"("credHelpers":{"good.example":"good","bad.example":"bad","token.example":"token"}})");
  const auto login = [&](const std::string& registry) {
    return run_really(stored_login(registry, environment(), *processes, *real_clock));
  };
  EXPECT_EQ(login("good.example")->user, "good.example");
  EXPECT_EQ(login("token.example")->refresh_token.reveal(), "refresh");
  EXPECT_EQ(login("kept.example")->user, "u");
  EXPECT_TRUE(login("other.example")->empty());
  const auto locked = login("bad.example");
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().code(), ErrorCode::permission_denied);
  EXPECT_NE(locked.error().message().find("the keychain is locked"), std::string::npos);
}

}  // namespace
}  // namespace berth::registry
