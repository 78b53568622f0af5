#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/testing/sim_clock.h"
#include "task/host/stdio_host.h"
#include "task/host/testing/fake_process.h"
#include "task/host/testing/observers.h"

/// Scripted servers, and a host of one on simulated time.
namespace berth::task::host::testing {

using std::chrono::milliseconds;

/// A legacy server. Tools: echo; hang; die; twice (answers two times); ask (elicits, then answers what it
/// got); progress (one notification, then hangs).
inline void legacy_server(FakeChild& child, const std::string& line) {
  const std::string id = member(line, "id");
  const std::string method = member(line, "method");
  const std::string params = member(line, "params");
  const auto answer = [&](const std::string& result) {
    child.say(fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{}}})", id, result));
  };
  if (method == "\"initialize\"") {
    answer(R"({"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{"subscribe":true}},)"
           R"("serverInfo":{"name":"fake","version":"1"}})");
  } else if (method == "\"tools/call\"") {
    const std::string tool = member(params, "name");
    if (tool == "\"echo\"") answer(fmt::format(R"({{"child":{},"params":{}}})", child.index(), params));
    if (tool == "\"die\"") {
      child.complain("Error: out of luck\n");
      child.exit(3);
    }
    if (tool == "\"twice\"") {
      answer(R"({"n":1})");
      answer(R"({"n":2})");
    }
    if (tool == "\"ask\"") {
      child.say(fmt::format(
          R"({{"jsonrpc":"2.0","id":"q{}","method":"elicitation/create","params":{{"message":"?"}}}})", id));
    }
    if (tool == "\"progress\"") {
      child.say(fmt::format(R"({{"jsonrpc":"2.0","method":"notifications/progress","params":)"
                            R"({{"progressToken":{},"progress":1}}}})",
                            member(member(params, "_meta"), "progressToken")));
    }
  } else if (id.starts_with("\"q")) {
    child.say(fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{{"child":{},"got":{}}}}})",
                          id.substr(2, id.size() - 3), child.index(), member(line, "result")));
  } else if (method == "\"server/discover\"") {
    child.say(fmt::format(R"({{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"no"}}}})", id));
  } else if (method == "\"tools/list\"") {
    answer(R"({"tools":[]})");
  }
}

/// A server of both eras.
inline void modern_server(FakeChild& child, const std::string& line) {
  const std::string method = member(line, "method");
  if (method == "\"server/discover\"") {
    child.say(
        fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{{"resultType":"complete","supportedVersions":)"
                    R"(["2026-07-28"],"capabilities":{{"tools":{{}}}}}}}})",
                    member(line, "id")));
    return;
  }
  legacy_server(child, line);
}

class StdioHostTest : public ::testing::Test {
 protected:
  StdioHostTest() : clock(loop), launcher(host::testing::make_fake_launcher(clock)) {
    spec.name = "fake";
    spec.command = {"fake-server", "--flag"};
    spec.era = model::EraChoice::legacy;
    launcher->script.on_line = legacy_server;
    asker.capabilities = R"({"elicitation":{}})";
  }
  ~StdioHostTest() override {
    calls.clear();
    if (host) drain(Duration(0));
    host.reset();
    TaskScope scope(clock.executor());
    scope.spawn(launcher->stop());
    clock.run_until_idle();
  }

  void make() {
    StdioHostOptions options;
    options.environment = {{"PATH", "/bin"}, {"HOME", "/root"}};
    options.memory = memory;
    options.account = &account;
    options.eras = eras;
    options.tells_words = tells_words;
    host = make_stdio_host(spec, *launcher, changes, clock, log, options);
    clock.run_until_idle();
  }
  Observer& call(std::string_view params, const mcp::Caller& who, mcp::Call call = {}) {
    observers.push_back(std::make_unique<Observer>());
    call.caller = &who;
    call.method = "tools/call";
    call.params = params;
    calls.push_back(host->start(call, *observers.back()));
    clock.run_until_idle();
    // What a server asks is gathered so long.
    if (params.contains("ask")) clock.advance(milliseconds(10));
    return *observers.back();
  }
  Observer& call(std::string_view params) { return call(params, caller); }
  Observer& echo() { return call(R"({"name":"echo"})"); }
  FakeChild& child(std::size_t index) { return *launcher->children().at(index); }
  std::size_t alive() {
    std::size_t count = 0;
    for (FakeChild* each : launcher->children()) count += each->alive();
    return count;
  }
  std::size_t drain(Duration patience) {
    std::optional<std::size_t> cut;
    TaskScope scope(clock.executor());
    scope.spawn(drain_into(clock.now() + patience, cut));
    for (int i = 0; i < 200 && !cut; ++i) clock.advance(milliseconds(100));
    EXPECT_TRUE(cut) << "drain ends";
    clock.run_until_idle();
    return cut.value_or(0);
  }
  Task<void> drain_into(TimePoint deadline, std::optional<std::size_t>& cut) {
    const std::size_t count = co_await host->drain(deadline);
    cut = count;
  }
  std::optional<Result<mcp::ServerDescription>> describe(const mcp::Caller& who,
                                                         Duration patience = Duration(0)) {
    std::optional<Result<mcp::ServerDescription>> described;
    TaskScope scope(clock.executor());
    scope.spawn(describe_into(who, described));
    clock.advance(patience);
    scope.cancel();
    clock.run_until_idle();
    return described;
  }
  Task<void> describe_into(const mcp::Caller& who, std::optional<Result<mcp::ServerDescription>>& into) {
    auto described = co_await host->describe(who);
    into = std::move(described);
  }

  asio::io_context loop;
  berth::testing::SimClock clock;
  std::unique_ptr<FakeLauncher> launcher;
  Changes changes;
  RecordingLog log;
  model::ServerSpec spec;
  MemoryUse use;
  std::optional<EraRecord> eras;
  bool tells_words = true;
  std::function<std::optional<MemoryUse>()> memory;
  MemoryAccount account{1u << 20};
  mcp::Caller caller;
  mcp::Caller asker;
  std::vector<std::unique_ptr<Observer>> observers;
  std::unique_ptr<ServerHost> host;
  std::vector<std::unique_ptr<mcp::ActiveCall>> calls;
};

}  // namespace berth::task::host::testing
