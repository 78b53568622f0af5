#include "task/native/native_host.h"

#include <gtest/gtest.h>

#include "base/testing/sim_clock.h"
#include "berth/server.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;

struct Message {
  std::string message;
};
BOOST_DESCRIBE_STRUCT(Message, (), (message))

struct Name {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(Name, (), (name))

struct Sum {
  std::int64_t total = 0;
};
BOOST_DESCRIBE_STRUCT(Sum, (), (total))

/// Writes down what a call's client would see.
class Recorder final : public mcp::CallObserver {
 public:
  void on_notification(mcp::Notification notification) override {
    text += notification.method.substr(notification.method.rfind('/') + 1) + " " + notification.params + "\n";
  }
  void on_outcome(mcp::Outcome outcome) override {
    ++outcomes;
    switch (outcome.kind) {
      case mcp::Outcome::Kind::result: text += "result " + outcome.result + "\n"; break;
      case mcp::Outcome::Kind::error:
        text += "error " + std::to_string(outcome.error.code) + " " + outcome.error.message +
                outcome.error.data + "\n";
        break;
      case mcp::Outcome::Kind::input_required:
        text += "ask";
        for (const auto& request : outcome.input.requests) text += " " + request.key;
        text += "\n";
        state = outcome.input.state;
        EXPECT_TRUE(outcome.input.owned);
    }
  }
  std::string take() { return std::exchange(text, {}); }

  std::string text;
  std::string state;
  int outcomes = 0;
};

class Changes final : public ChangeSink {
 public:
  void on_change(const mcp::Change& change) override {
    text += std::string(mcp::notification_method(change.kind)) + change.uri + ";";
  }
  std::string text;
};

class NativeHostTest : public ::testing::Test {
 protected:
  NativeHostTest() {
    caller.capabilities = R"({"elicitation":{},"sampling":{},"roots":{}})";
    add_tools();
    add_others();
    host = make_native_host(server, changes, identity, clock, null_log(), spec);
  }
  ~NativeHostTest() override { drain(); }

  void add_tools() {
    server.tool<Message>("echo", "Echoes.", [](const Message& arguments) { return arguments.message; })
        .read_only();
    server.tool("add", "Adds.", [] { return Sum{.total = 5}; });
    server.tool("fail", "Fails.", []() -> Result<std::string> {
      return berth::fail(ErrorCode::unavailable, "The disk is away.");
    });
    server.tool("throw", "Throws.", []() -> std::string { throw std::runtime_error("boom"); });
    server.tool("throw_int", "Throws.", []() -> std::string { throw 7; });
    server.tool("late_throw_int", "Throws.", [](Call&) -> Task<void> {
      throw 7;
      co_return;
    });
    server.tool("late_throw", "Throws.", [](Call& call) -> Task<void> {
      co_await call.clock().sleep_for(1s);
      throw std::runtime_error("late boom");
    });
    server.tool("slow", "Sleeps.", [this](Call& call) -> Task<std::string> {
      const Witness witness(unwound);
      call.progress(0, 2);
      co_await call.clock().sleep_for(10s);
      call.progress(1, 2, "half");
      call.progress(1, 2);
      call.log(LoggingLevel::info, "nearly");
      co_await call.clock().sleep_for(10s);
      co_return "slept";
    });
    server.tool("greet", "Greets.", [this](Call& call) -> Task<std::string> {
      const Witness witness(unwound);
      const auto name = co_await call.elicit<Name>("Who?", Key("user_name"));
      if (!name) co_return std::string(to_string(name.action));
      const auto answers = co_await call.ask(Elicit<Name>("Friend?", Key("friend")), ListRoots(Key("roots")));
      const auto& [buddy, roots] = answers;
      co_return name.value.name + " and " + buddy.value.name + " in " + roots.at(0).uri;
    });
  }

  void add_others() {
    server.resource("test://text", "Text", [] { return "hello"; })
        .caching({.time_to_live = 5s, .shared = true});
    server.resource("test://blob", "Blob", [] { return Blob{.bytes = "foo", .media_type = "image/png"}; });
    server.resource_template<Name>("test://people/{name}", "Person",
                                   [](const Name& who) -> std::optional<std::string> {
                                     if (who.name == "nobody") return std::nullopt;
                                     return "I am " + who.name;
                                   });
    server.prompt<Name>("hi", "Says hi.", [](const Name& who) { return "Say hi to " + who.name; })
        .complete("name", [](const Completion& completion) {
          return starting_with(completion.value, {"ada", "alan", "grace"});
        });
  }

  struct Witness {
    explicit Witness(int& counter) : count(counter) {}
    ~Witness() { ++count; }
    int& count;
  };

  std::unique_ptr<mcp::ActiveCall> start(std::string_view method, std::string_view params,
                                         std::string_view responses = {}, std::string_view state = {}) {
    const mcp::Call call{.caller = &caller,
                         .method = method,
                         .params = params,
                         .wants_progress = true,
                         .log_level = mcp::LoggingLevel::info,
                         .input_responses = responses,
                         .request_state = state};
    return host->start(call, recorder);
  }
  /// Starts, lets everything ready run, and tells what the client saw.
  std::string call(std::string_view method, std::string_view params, std::string_view responses = {},
                   std::string_view state = {}) {
    active = start(method, params, responses, state);
    clock.run_until_idle();
    return recorder.take();
  }
  std::string tool(std::string_view name, std::string_view arguments = "{}") {
    return call("tools/call",
                R"({"name":")" + std::string(name) + R"(","arguments":)" + std::string(arguments) + "}");
  }
  std::string retry(std::string_view name, std::string_view responses) {
    const std::string state = recorder.state;
    return call("tools/call", R"({"name":")" + std::string(name) + R"("})", responses, state);
  }

  std::size_t drain(Duration within = 0s) {
    if (!host) return 0;
    std::size_t cut = 0;
    TaskScope scope(loop.get_executor());
    scope.spawn(drain_into(within, cut));
    clock.run_until_idle();
    if (scope.size() != 0) clock.advance(within);
    EXPECT_EQ(scope.size(), 0u);
    host.reset();
    return cut;
  }
  Task<void> drain_into(Duration within, std::size_t& cut) {
    cut = co_await host->drain(clock.now() + within);
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  Server server{"test", "1.0"};
  Changes changes;
  TaskIdentity identity{.id = "2", .zone = "b"};
  model::ServerSpec spec;
  mcp::Caller caller;
  Recorder recorder;
  int unwound = 0;
  std::unique_ptr<ServerHost> host;
  std::unique_ptr<mcp::ActiveCall> active;
};

TEST_F(NativeHostTest, APlainFunctionAnswersInsideStart) {
  active = start("tools/call", R"({"name":"echo","arguments":{"message":"a \"b\"\n"}})");
  EXPECT_EQ(recorder.take(), R"(result {"content":[{"type":"text","text":"a \"b\"\n"}]})"
                             "\n");
}

TEST_F(NativeHostTest, AStructIsAStructuredResultWithItsTextAndSchema) {
  EXPECT_EQ(tool("add"),
            "result {\"content\":[{\"type\":\"text\",\"text\":\"{\\\"total\\\":5}\"}],"
            "\"structuredContent\":{\"total\":5}}\n");
  EXPECT_NE(call("tools/list", "").find(R"("outputSchema":{"type":"object","properties":{"total")"),
            std::string::npos);
}

TEST_F(NativeHostTest, FailuresAreToolErrors) {
  EXPECT_EQ(tool("fail"), R"(result {"content":[{"type":"text","text":"The disk is away."}],"isError":true})"
                          "\n");
  EXPECT_EQ(tool("throw"),
            R"(result {"content":[{"type":"text","text":"throw failed: boom"}],"isError":true})"
            "\n");
  for (const std::string name : {"throw_int", "late_throw_int"}) {
    const std::string answer = tool(name);
    EXPECT_NE(answer.find("an exception of unknown type"), std::string::npos) << answer;
    EXPECT_NE(answer.find(R"("isError":true)"), std::string::npos) << answer;
  }
  EXPECT_EQ(tool("late_throw"), "");
  clock.advance(1s);
  EXPECT_EQ(
      recorder.take(),
      R"(result {"content":[{"type":"text","text":"The server failed to answer: late boom"}],"isError":true})"
      "\n");
}

TEST_F(NativeHostTest, ArgumentsThatDoNotFitAreAToolErrorNamingAllProblems) {
  EXPECT_EQ(tool("echo", R"({"mesage":"x"})"),
            R"(result {"content":[{"type":"text","text":"The arguments of echo do not fit its schema:\n)"
            R"('mesage' is not known; did you mean 'message'?\n'message' is required."}],"isError":true})"
            "\n");
}

TEST_F(NativeHostTest, WhatDoesNotExistIsInvalidParams) {
  EXPECT_EQ(tool("nothing"), "error -32602 Unknown tool: nothing\n");
  EXPECT_EQ(call("tools/call", R"({})"), "error -32602 tools/call needs params.name, the name of a tool.\n");
  EXPECT_EQ(call("tools/call", R"([])"), "error -32602 params must be an object.\n");
  EXPECT_EQ(call("prompts/get", R"({"name":"x"})"), "error -32602 Unknown prompt: x\n");
  EXPECT_EQ(call("resources/read", R"({"uri":"test://none"})"),
            "error -32602 There is no resource 'test://none'.{\"uri\":\"test://none\"}\n");
  EXPECT_EQ(call("resources/read", R"({"uri":"test://people/nobody"})"),
            "error -32602 There is no resource 'test://people/nobody'.{\"uri\":\"test://people/nobody\"}\n");
  EXPECT_EQ(call("unknown/method", "{}"), "error -32601 Method not found: unknown/method\n");
  EXPECT_EQ(call("tools/list", R"({"cursor":"x"})"),
            "error -32602 Unknown cursor: lists of this server have one page.\n");
}

TEST_F(NativeHostTest, ReadsResourcesAndTemplates) {
  EXPECT_EQ(call("resources/read", R"({"uri":"test://text"})"),
            R"(result {"contents":[{"uri":"test://text","mimeType":"text/plain","text":"hello"}]})"
            "\n");
  EXPECT_EQ(call("resources/read", R"({"uri":"test://blob"})"),
            R"(result {"contents":[{"uri":"test://blob","mimeType":"image/png","blob":"Zm9v"}]})"
            "\n");
  EXPECT_EQ(
      call("resources/read", R"({"uri":"test://people/Ada%20L"})"),
      R"(result {"contents":[{"uri":"test://people/Ada%20L","mimeType":"text/plain","text":"I am Ada L"}]})"
      "\n");
}

TEST_F(NativeHostTest, GetsPromptsAndCompletesTheirArguments) {
  EXPECT_EQ(call("prompts/get", R"({"name":"hi","arguments":{"name":"Ada"}})"),
            R"(result {"messages":[{"role":"user","content":{"type":"text","text":"Say hi to Ada"}}]})"
            "\n");
  EXPECT_EQ(call("prompts/get", R"({"name":"hi"})"),
            "error -32602 The arguments of hi do not fit: 'name' is required.\n");
  EXPECT_EQ(call("completion/complete",
                 R"({"ref":{"type":"ref/prompt","name":"hi"},"argument":{"name":"name","value":"a"}})"),
            R"(result {"completion":{"values":["ada","alan"],"total":2,"hasMore":false}})"
            "\n");
  EXPECT_EQ(call("prompts/list", ""), R"(result {"prompts":[{"name":"hi","description":"Says hi.",)"
                                      R"("arguments":[{"name":"name","required":true}]}]})"
                                      "\n");
}

TEST_F(NativeHostTest, TellsProgressOnlyWhileItGrows) {
  EXPECT_EQ(tool("slow"), "progress {\"progress\":0,\"total\":2}\n");
  clock.advance(10s);
  EXPECT_EQ(recorder.take(),
            "progress {\"progress\":1,\"total\":2,\"message\":\"half\"}\n"
            "message {\"level\":\"info\",\"data\":\"nearly\"}\n");
  clock.advance(10s);
  EXPECT_EQ(recorder.take(), "result {\"content\":[{\"type\":\"text\",\"text\":\"slept\"}]}\n");
}

TEST_F(NativeHostTest, DestroyingTheCallUnwindsTheCoroutine) {
  tool("slow");
  active.reset();
  clock.run_until_idle();
  EXPECT_EQ(unwound, 1);
  clock.advance(1h);
  EXPECT_EQ(recorder.take(), "");
}

TEST_F(NativeHostTest, ACallThatNeitherEndsNorProgressesTimesOut) {
  spec.call_timeout = std::chrono::milliseconds(5000);
  EXPECT_EQ(tool("slow"), "progress {\"progress\":0,\"total\":2}\n");
  clock.advance(5s);
  EXPECT_EQ(recorder.take(),
            "error -32603 The call may have run; its end is unknown. It neither finished nor told progress "
            "for 5000 ms (server.call_timeout).\n");
  EXPECT_EQ(unwound, 1);
}

TEST_F(NativeHostTest, AsksInRoundsUntilEverythingIsAnswered) {
  EXPECT_EQ(tool("greet"), "ask user_name\n");
  const std::string first_state = recorder.state;
  active.reset();
  EXPECT_EQ(retry("greet", R"({"wrong":{"action":"accept"}})"), "ask user_name\n");
  EXPECT_EQ(retry("greet", R"({"user_name":12345})"), "ask user_name\n");
  EXPECT_EQ(retry("greet", R"({"user_name":{"action":"accept","content":{"name":"Ada"}}})"),
            "ask friend roots\n");
  EXPECT_NE(recorder.state, first_state);
  EXPECT_EQ(retry("greet", R"({"roots":{"roots":[{"uri":"file:///a"}]}})"), "ask friend\n");
  EXPECT_EQ(retry("greet", R"({"friend":{"action":"accept","content":{"name":"Bob"}}})"),
            "result {\"content\":[{\"type\":\"text\",\"text\":\"Ada and Bob in file:///a\"}]}\n");
  EXPECT_EQ(unwound, 1);
}

TEST_F(NativeHostTest, AClientsErrorCancelsAFormAndEndsACallThatNeedsTheAnswer) {
  tool("greet");
  EXPECT_EQ(retry("greet", R"({"user_name":{"error":{"code":-1,"message":"no"}}})"),
            "result {\"content\":[{\"type\":\"text\",\"text\":\"cancel\"}]}\n");
  tool("greet");
  retry("greet", R"({"user_name":{"action":"accept","content":{"name":"Ada"}}})");
  EXPECT_EQ(retry("greet", R"({"roots":{"error":{"code":-1,"message":"no"}}})"),
            "result {\"content\":[{\"type\":\"text\",\"text\":\"The client refused roots/list: no\"}],"
            "\"isError\":true}\n");
  EXPECT_EQ(unwound, 2);
}

TEST_F(NativeHostTest, TakesAnswersThatCameWithTheFirstCall) {
  EXPECT_EQ(call("tools/call", R"({"name":"greet"})", R"({"user_name":{"action":"decline"},"extra":{}})"),
            "result {\"content\":[{\"type\":\"text\",\"text\":\"decline\"}]}\n");
}

/// The same for clients of both eras: a legacy one has never seen a requestState, and no client is advised to
/// repeat what may have run.
const std::string undeliverable =
    "error -32603 The call may have run; its end is unknown. This answer can no longer be delivered: the "
    "call "
    "it belongs to has ended, or was answered before.\n";

TEST_F(NativeHostTest, AnAnswerWhoseCallHasEndedSaysThatItMayHaveRun) {
  EXPECT_EQ(tool("greet"), "ask user_name\n");
  const std::string state = recorder.state;
  EXPECT_EQ(call("tools/call", R"({"name":"greet"})", "{}", state + "0"), undeliverable);
  EXPECT_EQ(call("prompts/get", R"({"name":"greet"})", "{}", state), undeliverable);
  EXPECT_EQ(call("tools/call", R"({"name":"greet"})", R"({"user_name":{"action":"cancel"}})", state),
            "result {\"content\":[{\"type\":\"text\",\"text\":\"cancel\"}]}\n");
  EXPECT_EQ(call("tools/call", R"({"name":"greet"})", "{}", state), undeliverable);
}

TEST_F(NativeHostTest, AParkedCallIsCancelledWhenItsUserStaysAway) {
  EXPECT_EQ(tool("greet"), "ask user_name\n");
  active.reset();
  clock.advance(std::chrono::milliseconds(spec.input_timeout) - 1ms);
  EXPECT_EQ(unwound, 0);
  clock.advance(1ms);
  EXPECT_EQ(unwound, 1);
  EXPECT_EQ(retry("greet", "{}"), undeliverable);
}

TEST_F(NativeHostTest, NeverAsksForWhatTheClientDidNotDeclare) {
  caller.capabilities = R"({"sampling":{}})";
  EXPECT_EQ(tool("greet"),
            "error -32021 This call needs a client that declares the capabilities {\"elicitation\":{}}."
            "{\"requiredCapabilities\":{\"elicitation\":{}}}\n");
  EXPECT_EQ(unwound, 1);
}

TEST_F(NativeHostTest, ASessionsParkedCallsEndWithIt) {
  caller.session = "s1";
  EXPECT_EQ(tool("greet"), "ask user_name\n");
  host->session_closed("s2");
  clock.run_until_idle();
  EXPECT_EQ(unwound, 0);
  host->session_closed("s1");
  clock.run_until_idle();
  EXPECT_EQ(unwound, 1);
}

TEST_F(NativeHostTest, AnnouncesChangesOfListsAndResources) {
  server.tool("new", "New.", [] { return "new"; });
  server.remove_tool("new");
  server.remove_tool("new");
  server.prompts_changed();
  server.resource_updated("test://text");
  EXPECT_EQ(changes.text,
            "notifications/tools/list_changed;notifications/tools/list_changed;"
            "notifications/prompts/list_changed;notifications/resources/updatedtest://text;");
}

TEST_F(NativeHostTest, DrainWaitsForRunningCallsAndCutsParkedOnes) {
  tool("greet");
  auto parked = std::move(active);
  tool("slow");
  auto running = std::move(active);
  recorder.take();
  EXPECT_EQ(drain(30s), 1u);
  EXPECT_NE(recorder.take().find("slept"), std::string::npos);
  EXPECT_EQ(unwound, 2);
}

TEST_F(NativeHostTest, DrainCutsWhatRunsBeyondTheDeadlineAndRefusesNewCalls) {
  tool("slow");
  EXPECT_EQ(drain(5s), 1u);
  EXPECT_EQ(unwound, 1);
}

}  // namespace
}  // namespace berth::task
