#include "task/native/workspace.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/testing/sim_clock.h"
#include "berth/server.h"
#include "codec/json.h"
#include "task/native/native_host.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;

class Changes final : public ChangeSink {
 public:
  void on_change(const mcp::Change& change) override { uris += change.uri + ";"; }
  std::string uris;
};

class Recorder final : public mcp::CallObserver {
 public:
  void on_notification(mcp::Notification notification) override {
    notifications += notification.params + "\n";
  }
  void on_outcome(mcp::Outcome outcome) override { last = std::move(outcome); }
  std::string notifications;
  mcp::Outcome last;
};

class WorkspaceTest : public ::testing::Test {
 protected:
  WorkspaceTest() {
    std::string pattern = ::testing::TempDir() + "berth-workspace-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    open(folder);
  }
  ~WorkspaceTest() override {
    drain();
    std::filesystem::remove_all(folder);
  }
  void open(const std::string& data) {
    drain();
    server = make_workspace_server({.data_directory = data, .version = "9.9"});
    host = make_native_host(*server, changes, identity, clock, null_log(), spec);
  }
  void drain() {
    if (!host) return;
    TaskScope scope(loop.get_executor());
    scope.spawn(drain_now());
    clock.run_until_idle();
    host.reset();
  }
  Task<void> drain_now() { co_await host->drain(clock.now()); }

  mcp::Outcome call(std::string_view method, std::string_view params, std::string_view responses = {},
                    std::string_view state = {}) {
    const mcp::Call request{.caller = &caller,
                            .method = method,
                            .params = params,
                            .wants_progress = true,
                            .input_responses = responses,
                            .request_state = state};
    recorder.last = {};
    active = host->start(request, recorder);
    clock.run_until_idle();
    return recorder.last;
  }
  /// The structured content of a tool's answer, or the text of its error.
  std::string tool(std::string_view name, std::string_view arguments) {
    const auto outcome = call("tools/call", R"({"name":")" + std::string(name) + R"(","arguments":)" +
                                                std::string(arguments) + "}");
    const auto result = json::Slice::trusted(outcome.result);
    if (const auto structured = result.find("structuredContent")) return std::string(structured.text());
    std::string text;
    result.find("content").each_element([&text](json::Slice block) {
      text += block.find("text").as_string().value_or(std::string(block.text()));
      return true;
    });
    return text;
  }
  std::string read(std::string_view uri) {
    const auto outcome = call("resources/read", R"({"uri":")" + std::string(uri) + "\"}");
    return outcome.kind == mcp::Outcome::Kind::result ? outcome.result : outcome.error.message;
  }

  std::string folder;
  asio::io_context loop;
  testing::SimClock clock{loop};
  Changes changes;
  TaskIdentity identity{.id = "2", .zone = "b"};
  model::ServerSpec spec;
  mcp::Caller caller{.principal = "ada"};
  Recorder recorder;
  std::unique_ptr<Server> server;
  std::unique_ptr<ServerHost> host;
  std::unique_ptr<mcp::ActiveCall> active;
};

TEST_F(WorkspaceTest, KeepsStateWithVersions) {
  EXPECT_EQ(tool("state_put", R"({"key":"team/plan","value":"a"})"), R"({"key":"team/plan","version":1})");
  EXPECT_EQ(tool("state_put", R"({"key":"team/plan","value":"b","expected_version":1})"),
            R"({"key":"team/plan","version":2})");
  EXPECT_EQ(tool("state_put", R"({"key":"team/plan","value":"c","expected_version":1})"),
            "'team/plan' was expected at version 1, but it is at version 2. Read it again and decide anew.");
  EXPECT_EQ(tool("state_get", R"({"key":"team/plan"})"),
            R"({"key":"team/plan","value":"b","version":2,"written_by":"ada",)"
            R"("written_at":"2026-11-22T00:00:00.000Z"})");
  EXPECT_EQ(tool("state_list", R"({"prefix":"team/"})"),
            R"({"keys":[{"key":"team/plan","version":2,"written_by":"ada",)"
            R"("written_at":"2026-11-22T00:00:00.000Z"}]})");
  EXPECT_EQ(read("workspace://state/team/plan"),
            R"({"contents":[{"uri":"workspace://state/team/plan","mimeType":"text/plain","text":"b"}]})");
  EXPECT_EQ(tool("state_delete", R"({"key":"team/plan"})"), R"({"key":"team/plan","version":3})");
  EXPECT_EQ(tool("state_get", R"({"key":"team/plan"})"), "There is no state under the key 'team/plan'.");
  EXPECT_EQ(read("workspace://state/team/plan"), "There is no resource 'workspace://state/team/plan'.");
  EXPECT_EQ(changes.uris,
            "workspace://state/team/plan;workspace://state/team/plan;workspace://state/team/plan;");
}

TEST_F(WorkspaceTest, KeepsArtifacts) {
  EXPECT_TRUE(tool("artifact_put", R"({"name":"a.bin","content":"/w==","encoding":"base64"})")
                  .starts_with(R"({"name":"a.bin","media_type":"application/octet-stream","size":1,)"));
  EXPECT_EQ(tool("artifact_put", R"({"name":"a.bin","content":"?","encoding":"base64"})"),
            "'content' is not Base64 (RFC 4648, with padding).");
  tool("artifact_put", R"({"name":"notes/1.txt","content":"hello"})");
  EXPECT_EQ(read("workspace://artifacts/a.bin"),
            R"({"contents":[{"uri":"workspace://artifacts/a.bin","mimeType":"application/octet-stream",)"
            R"("blob":"/w=="}]})");
  EXPECT_EQ(
      read("workspace://artifacts/notes/1.txt"),
      R"({"contents":[{"uri":"workspace://artifacts/notes/1.txt","mimeType":"text/plain","text":"hello"}]})");
  EXPECT_NE(tool("artifact_get", R"({"name":"notes/1.txt"})").find(R"("text":"hello")"), std::string::npos);
  EXPECT_EQ(tool("artifact_get", R"({"name":"none"})"), "There is no artifact named 'none'.");
  EXPECT_NE(tool("artifact_list", R"({"prefix":"notes/"})").find(R"("size":5)"), std::string::npos);
}

TEST_F(WorkspaceTest, SaysWhoAndWhereItIs) {
  EXPECT_EQ(tool("whoami", "{}"), R"({"task":"2","zone":"b","principal":"ada","version":"9.9"})");
  EXPECT_EQ(tool("echo", R"({"message":"hi"})"), "hi");
  EXPECT_NE(read("workspace://about").find("task 2 in zone b"), std::string::npos);
}

TEST_F(WorkspaceTest, CountsDownWithProgress) {
  tool("countdown", R"({"from":2,"step_ms":1000})");
  clock.advance(2s);
  EXPECT_EQ(recorder.notifications,
            "{\"progress\":0,\"total\":2,\"message\":\"2 to go\"}\n"
            "{\"progress\":1,\"total\":2,\"message\":\"1 to go\"}\n"
            "{\"progress\":2,\"total\":2,\"message\":\"done\"}\n");
  EXPECT_EQ(recorder.last.result, R"({"content":[{"type":"text","text":"Counted down from 2."}]})");
}

TEST_F(WorkspaceTest, AsksTheUser) {
  caller.capabilities = R"({"elicitation":{}})";
  constexpr std::string_view params = R"({"name":"confirm","arguments":{"question":"Deploy?"}})";
  const auto asked = call("tools/call", params);
  ASSERT_EQ(asked.kind, mcp::Outcome::Kind::input_required);
  EXPECT_EQ(asked.input.requests.at(0).params,
            R"({"message":"Deploy?","requestedSchema":{"type":"object","properties":{)"
            R"("yes":{"type":"boolean","title":"Yes","description":"Go ahead?"},)"
            R"("comment":{"type":"string","title":"Comment","default":""}},"required":["yes"]}})");
  const auto answer = call("tools/call", params,
                           R"({"elicitation-1":{"action":"accept","content":{"yes":true,"comment":"ok"}}})",
                           asked.input.state);
  EXPECT_NE(answer.result.find(R"("structuredContent":{"confirmed":true,"action":"accept","comment":"ok"})"),
            std::string::npos)
      << answer.result;
}

TEST_F(WorkspaceTest, OffersAPromptAndCompletesKeys) {
  tool("state_put", R"({"key":"alpha","value":"1"})");
  tool("state_put", R"({"key":"beta","value":"2"})");
  EXPECT_EQ(call("completion/complete", R"({"ref":{"type":"ref/prompt","name":"summarize_state"},)"
                                        R"("argument":{"name":"key","value":"al"}})")
                .result,
            R"({"completion":{"values":["alpha"],"total":1,"hasMore":false}})");
  EXPECT_NE(call("prompts/get", R"({"name":"summarize_state","arguments":{"key":"beta"}})")
                .result.find(R"("uri":"workspace://state/beta")"),
            std::string::npos);
  EXPECT_EQ(call("prompts/get", R"({"name":"summarize_state","arguments":{"key":"none"}})").error.code,
            -32602);
}

TEST_F(WorkspaceTest, ADataFolderThatCannotBeMadeIsToldByEachCall) {
  open("/proc/nowhere");
  EXPECT_TRUE(
      tool("state_get", R"({"key":"a"})").starts_with("shared state: cannot make folder '/proc/nowhere'"));
  EXPECT_EQ(tool("echo", R"({"message":"still here"})"), "still here");
}

}  // namespace
}  // namespace berth::task
