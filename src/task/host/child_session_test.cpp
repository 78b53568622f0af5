#include "task/host/child_session.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/version.h"

namespace berth::task::host {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint start_time = TimePoint{} + std::chrono::hours(1);

class Sink final : public CallSink {
 public:
  void on_notification(mcp::Notification notification) override { notes.push_back(notification.params); }
  void on_outcome(mcp::Outcome given) override {
    ++outcomes;
    outcome = std::move(given);
  }
  void on_not_executed() override { not_executed = true; }

  bool done() const { return outcomes == 1; }
  std::string result() const { return outcome.result; }

  std::vector<std::string> notes;
  mcp::Outcome outcome;
  int outcomes = 0;
  bool not_executed = false;
};

/// A session and what it told its owner, driven by lines as a server would write them.
class Fixture : public SessionOwner {
 public:
  void on_ready() override { is_ready = true; }
  void on_start_failed(const std::string& reason) override { failure = reason; }
  void on_change(mcp::Change change) override { changes.push_back(change); }
  void on_watch_answered(const std::string&, const std::optional<mcp::RpcError>&) override {}
  void on_asking(std::string_view) override { asking = true; }
  void on_question(std::string id, mcp::InputRequest request) override {
    questions.emplace_back(std::move(id), std::move(request.method));
  }
  void on_oddity(std::string_view what, std::string_view) override { oddities.emplace_back(what); }
  void on_output() override {}

  void legacy(LegacyOptions options = {}, std::string_view capabilities = "{}") {
    session = make_legacy_session(*this, limits, std::move(options));
    session->start(now);
    EXPECT_TRUE(sent().at(0).starts_with(R"({"jsonrpc":"2.0","id":1,"method":"initialize")"));
    line(R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":)" +
         std::string(capabilities) + R"(,"serverInfo":{"name":"s","version":"1"}}})");
    EXPECT_EQ(sent().at(0), R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
    EXPECT_TRUE(is_ready);
  }
  void asking_legacy() {
    LegacyOptions options;
    options.capabilities.elicitation_form = true;
    options.capabilities.roots = true;
    legacy(options);
  }
  void modern(std::string_view capabilities = "{}") {
    session = make_modern_session(*this, limits);
    session->start(now);
    sent();
    line(R"({"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],)"
         R"("capabilities":)" +
         std::string(capabilities) + "}}");
    EXPECT_TRUE(is_ready);
  }

  void line(const std::string& text) {
    session->receive(text, now);
    session->settle(now);
  }
  std::vector<std::string> sent() {
    std::string bytes;
    session->take_output(bytes);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t end = bytes.find('\n', at);
      lines.push_back(bytes.substr(at, end - at));
      at = end + 1;
    }
    return lines;
  }
  std::int64_t tool(Sink& sink, std::string_view params = R"({"name":"t"})") {
    mcp::Call call;
    call.caller = &caller;
    call.method = "tools/call";
    call.params = params;
    return start(call, sink);
  }
  std::int64_t start(const mcp::Call& call, Sink& sink) { return session->call(call, sink, now); }
  void pass(Duration duration) {
    now += duration;
    while (session->next_tick() <= now) session->tick(now);
    session->settle(now);
  }
  bool resume(const std::string& state, const std::string& responses, Sink& sink) {
    mcp::Call call;
    call.caller = &caller;
    call.method = "tools/call";
    call.params = R"({"name":"t"})";
    call.input_responses = responses;
    const bool found = session->resume(state, call, sink, now).has_value();
    session->settle(now);
    return found;
  }

  SessionLimits limits;
  mcp::Caller caller;
  TimePoint now = start_time;
  bool is_ready = false;
  std::vector<std::pair<std::string, std::string>> questions;  ///< outside calls: id and method
  bool asking = false;
  std::string failure;
  std::vector<mcp::Change> changes;
  std::vector<std::string> oddities;
  std::unique_ptr<ChildSession> session;
};

const std::string ask_name =
    R"({"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"Name?"}})";

TEST(LegacySession, tells_the_server_of_one_session_who_its_client_is) {
  Fixture server;
  LegacyOptions options;
  options.client_info = R"({"name":"c","version":"3"})";
  server.session = make_legacy_session(server, server.limits, std::move(options));
  server.session->start(server.now);
  EXPECT_TRUE(server.sent().at(0).ends_with(R"("clientInfo":{"name":"c","version":"3"}}})"));
}

TEST(LegacySession, tells_the_server_who_calls_and_learns_what_it_is) {
  Fixture server;
  server.session = make_legacy_session(server, server.limits, {});
  server.session->start(server.now);
  EXPECT_EQ(server.sent().at(0),
            R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",)"
            R"("capabilities":{},"clientInfo":{"name":"berth","title":"Berth","version":")" +
                std::string(version()) + R"("}}})");
  server.line(
      R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},)"
      R"("serverInfo":{"name":"x","version":"2"},"instructions":"be \"kind\""}})");
  EXPECT_TRUE(server.is_ready);
  EXPECT_EQ(server.session->description().capabilities, R"({"tools":{}})");
  EXPECT_EQ(server.session->description().server_info, R"({"name":"x","version":"2"})");
  EXPECT_EQ(server.session->description().instructions, "be \"kind\"");
}

TEST(LegacySession, fails_the_start_of_a_server_that_refuses_is_silent_or_speaks_another_version) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no key"}})",
       "The server refused initialize: no key."},
      {R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"1999-01-01"}})",
       "The server wants protocol version '1999-01-01', which Berth does not speak."},
      {R"({"jsonrpc":"2.0","id":1,"result":{}})",
       "The server's answer to initialize has no protocolVersion."},
      {"", "The server did not answer the handshake within 30 s (start_timeout)."}};
  for (const auto& [answer, reason] : cases) {
    Fixture server;
    server.session = make_legacy_session(server, server.limits, {});
    server.session->start(server.now);
    server.sent();
    server.line(answer);
    server.pass(seconds(30));
    EXPECT_EQ(server.failure, reason);
    EXPECT_FALSE(server.is_ready);
  }
}

TEST(LegacySession, passes_params_and_results_on_byte_for_byte) {
  Fixture server;
  server.legacy();
  Sink sink;
  const auto id = server.tool(sink, "{\"name\":\"t\",\n \"arguments\":{\"a\":1.50}}");
  EXPECT_EQ(server.sent().at(0), R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t",  )"
                                 R"("arguments":{"a":1.50}}})");
  EXPECT_EQ(server.session->load().calls, 1u);
  server.line(R"({"id":)" + std::to_string(id) + R"(,"result":{"content":[],  "x":1.50},"jsonrpc":"2.0"})");
  ASSERT_TRUE(sink.done());
  EXPECT_EQ(sink.result(), R"({"content":[],  "x":1.50})");
  EXPECT_EQ(server.session->load(), SessionLoad{});
}

TEST(LegacySession, keeps_callers_progress_apart_by_tokens_of_its_own) {
  Fixture server;
  server.legacy();
  Sink first;
  Sink second;
  mcp::Call call;
  call.caller = &server.caller;
  call.method = "tools/call";
  call.params = R"({"_meta":{"vendor/x":1},"name":"t"})";
  call.wants_progress = true;
  call.trace_parent = "00-abc-def-01";
  server.start(call, first);
  call.params = R"({"name":"t"})";
  call.trace_parent = {};
  server.start(call, second);
  const auto lines = server.sent();
  EXPECT_EQ(lines.at(0),
            R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"_meta":{"progressToken":2,)"
            R"("traceparent":"00-abc-def-01","vendor/x":1},"name":"t"}})");
  EXPECT_EQ(lines.at(1),
            R"({"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"_meta":{"progressToken":3},)"
            R"("name":"t"}})");
  server.line(
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":3,"progress":1}})");
  EXPECT_TRUE(first.notes.empty());
  EXPECT_EQ(second.notes, std::vector<std::string>{R"({"progress":1})"});
  server.line(
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9,"progress":1}})");
  EXPECT_EQ(server.oddities, std::vector<std::string>{"progress of a request that is not under way"});
}

TEST(LegacySession, lets_progress_restart_the_call_timeout) {
  Fixture server;
  server.legacy();
  Sink sink;
  mcp::Call call;
  call.caller = &server.caller;
  call.method = "tools/call";
  call.wants_progress = true;
  server.start(call, sink);
  server.pass(seconds(290));
  server.line(
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1}})");
  server.pass(seconds(290));
  EXPECT_FALSE(sink.done());
  server.sent();
  server.pass(seconds(10));
  ASSERT_TRUE(sink.done());
  EXPECT_EQ(sink.outcome.error.code, -32603);
  EXPECT_EQ(sink.outcome.error.message,
            "The call may have run; its end is unknown. "
            "The server did not answer tools/call within 300 s (call_timeout).");
  EXPECT_EQ(
      server.sent().at(0),
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2,"reason":"timeout"}})");
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{}})");
  EXPECT_EQ(sink.outcomes, 1);
}

TEST(LegacySession, survives_garbage_second_answers_and_answers_to_nobody) {
  Fixture server;
  server.legacy();
  Sink sink;
  server.tool(sink);
  server.line("Listening on port 3000");
  server.line("");
  server.line("42");
  server.line(R"({"hello":"world"})");
  server.line(R"({"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"Unknown notification"}})");
  server.line(R"({"jsonrpc":"2.0","id":77,"result":{}})");
  server.line(R"({"jsonrpc":"2.0","id":77,"result":NaN})");
  server.line(R"({"jsonrpc":"2.0","id":2,"method":"roots/list","params":NaN})");
  EXPECT_FALSE(sink.done());
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{"ok":true}})");
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{"ok":false}})");
  ASSERT_TRUE(sink.done());
  EXPECT_EQ(sink.result(), R"({"ok":true})");
  EXPECT_EQ(server.oddities,
            (std::vector<std::string>{"a line that is not JSON", "a line that is not a JSON-RPC message",
                                      "a line that is not a JSON-RPC message",
                                      "an answer to a request Berth did not make",
                                      "an answer to a request Berth did not make", "a line that is not JSON",
                                      "a line that is not JSON", "a second or late answer"}));
}

TEST(LegacySession, takes_answers_for_what_they_mean) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"jsonrpc":"2.0","id":"2","result":{"a":1}})", R"({"a":1})"},
      {R"({"jsonrpc":"2.0","id":2.0,"result":{"a":1}})", R"({"a":1})"},
      {R"({"jsonrpc":"2.0","\u0069d":2,"re\u0073ult":{"a":1}})", R"({"a":1})"},
      {R"({"jsonrpc":"2.0","id":2,"result":{"a":1},"error":null})", R"({"a":1})"},
      {"\xEF\xBB\xBF{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}", "{}"},
      {"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"t\":\"caf\xE9\"}}", "{\"t\":\"caf\xEF\xBF\xBD\"}"}};
  for (const auto& [answer, result] : cases) {
    Fixture server;
    server.legacy();
    Sink sink;
    server.tool(sink);
    server.line(answer);
    ASSERT_TRUE(sink.done()) << answer;
    EXPECT_EQ(sink.result(), result);
    EXPECT_TRUE(server.oddities.empty());
  }
}

TEST(LegacySession, ends_the_call_that_an_unusable_line_names) {
  const std::string cases[] = {R"({"jsonrpc":"2.0","id":2,"result":{"x":NaN}})",
                               R"({"jsonrpc":"2.0","result":{"x":"a } \" b"},,"id" : "2"})",
                               R"({"jsonrpc":"2.0","id":2,"result":{},"error":{"code":1,"message":"m"}})",
                               R"(Done. {"jsonrpc":"2.0","id":2,"result":{}})",
                               R"({"jsonrpc":"2.0","id":2})"};
  for (const std::string& line : cases) {
    Fixture server;
    server.legacy();
    Sink named;
    Sink other;
    server.tool(named);
    server.tool(other);
    server.line(line);
    ASSERT_TRUE(named.done()) << line;
    EXPECT_EQ(named.outcome.error.code, -32603);
    EXPECT_TRUE(named.outcome.error.message.starts_with("The server's answer cannot be used: it is a line"));
    EXPECT_EQ(other.outcomes, 0);
    EXPECT_EQ(server.oddities.size(), 1u);
  }
}

TEST(LegacySession, ends_the_only_call_with_an_unusable_answer_that_names_none) {
  const std::string cases[] = {R"({"jsonrpc":"2.0")", R"({"jsonrpc":"2.0","result":{}})", "{",
                               R"({"content":[{"type":"text","text":"half of a)",
                               R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Bad"}})"};
  for (const std::string& line : cases) {
    Fixture server;
    server.legacy();
    Sink only;
    Sink second;
    server.tool(only);
    server.line(line);
    ASSERT_TRUE(only.done()) << line;
    EXPECT_EQ(only.outcome.kind, mcp::Outcome::Kind::error);
    Sink third;
    server.tool(second);
    server.tool(third);
    server.line(line);
    EXPECT_EQ(second.outcomes + third.outcomes, 0) << line;
  }
}

TEST(LegacySession, takes_what_a_server_merely_prints_for_nobodys_answer) {
  Fixture server;
  server.legacy();
  Sink only;
  server.tool(only);
  for (const std::string line : {"Processing...", R"({"level":"info","msg":"working"})", "{'a': 1}", "[1, 2",
                                 R"("text")", "null", "12"}) {
    server.line(line);
    EXPECT_EQ(only.outcomes, 0) << line;
  }
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{}})");
  EXPECT_EQ(only.outcomes, 1);
}

TEST(LegacySession, fails_the_start_at_once_when_the_handshakes_answer_cannot_be_used) {
  Fixture server;
  server.session = make_legacy_session(server, server.limits, {});
  server.session->start(server.now);
  server.line("Listening on port 3000");
  EXPECT_TRUE(server.failure.empty());
  server.line(R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":)");
  EXPECT_EQ(server.failure,
            "The server refused initialize: The server's answer cannot be used: it is a line that is not "
            "JSON.");
}

TEST(LegacySession, reads_progress_whose_token_became_text_and_whose_method_is_escaped) {
  Fixture server;
  server.legacy();
  Sink sink;
  mcp::Call call;
  call.caller = &server.caller;
  call.method = "tools/call";
  call.wants_progress = true;
  server.start(call, sink);
  server.line(R"({"jsonrpc":"2.0","method":"notifications\/progress",)"
              R"("params":{"progressToken":"2","progress":1}})");
  EXPECT_EQ(sink.notes, std::vector<std::string>{R"({"progress":1})"});
  EXPECT_TRUE(server.oddities.empty());
}

TEST(LegacySession, ends_a_call_whose_result_is_not_an_object) {
  Fixture server;
  server.legacy();
  Sink sink;
  server.tool(sink);
  server.line(R"({"jsonrpc":"2.0","id":2,"result":[1]})");
  EXPECT_EQ(sink.outcome.error.message, "The server's result is not valid: it is not an object.");
}

TEST(LegacySession, tells_the_server_of_a_cancelled_call_and_hears_no_more_of_it) {
  Fixture server;
  server.legacy();
  Sink gone;
  Sink other;
  const auto id = server.tool(gone);
  server.tool(other);
  server.sent();
  server.session->cancel(id, "the client went away", server.now);
  EXPECT_EQ(server.sent().at(0), R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":)"
                                 R"({"requestId":2,"reason":"the client went away"}})");
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{}})");
  server.line(R"({"jsonrpc":"2.0","id":3,"result":{}})");
  EXPECT_EQ(gone.outcomes, 0);
  EXPECT_TRUE(other.done());
  EXPECT_TRUE(server.oddities.empty());
}

TEST(LegacySession, answers_itself_what_the_server_need_not_ask_its_client) {
  Fixture server;
  server.asking_legacy();
  const std::pair<std::string, std::string> cases[] = {
      {R"({"jsonrpc":"2.0","id":0,"method":"ping"})", R"({"jsonrpc":"2.0","id":0,"result":{}})"},
      {R"({"jsonrpc":"2.0","id":2,"method":"sampling/createMessage","params":{}})",
       R"({"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":)"
       R"("Method not found: the client has not declared {\"sampling\":{}}."}})"},
      {R"({"jsonrpc":"2.0","id":3,"method":"vendor/x"})",
       R"({"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"Method not found"}})"}};
  for (const auto& [request, answer] : cases) {
    server.line(request);
    EXPECT_EQ(server.sent(), std::vector<std::string>{answer});
  }
  EXPECT_FALSE(server.asking);
}

TEST(LegacySession, hands_on_what_the_server_asks_outside_any_call) {
  Fixture server;
  server.asking_legacy();
  server.line(R"({"jsonrpc":"2.0","id":"r","method":"roots/list"})");
  server.line(R"({"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"?"}})");
  using Question = std::pair<std::string, std::string>;
  EXPECT_EQ(server.questions, (std::vector<Question>{{"\"r\"", "roots/list"}, {"7", "elicitation/create"}}));
  EXPECT_FALSE(server.asking);
  EXPECT_TRUE(server.sent().empty());
  server.session->answer_outside("\"r\"", R"({"roots":[]})");
  EXPECT_EQ(server.sent(), std::vector<std::string>{R"({"jsonrpc":"2.0","id":"r","result":{"roots":[]}})"});
  server.session->answer_outside("\"r\"", R"({"roots":[]})");
  server.line(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}})");
  server.session->answer_outside("7", R"({"error":{"code":-1,"message":"no"}})");
  EXPECT_TRUE(server.sent().empty()) << "each is answered once, and what is withdrawn never";
}

TEST(LegacySession, makes_one_round_of_what_the_server_asks_at_once) {
  Fixture server;
  server.limits.ask_gather = std::chrono::milliseconds(10);
  server.asking_legacy();
  Sink sink;
  server.tool(sink);
  server.line(ask_name);
  server.pass(std::chrono::milliseconds(5));
  server.line(R"({"jsonrpc":"2.0","id":8,"method":"roots/list"})");
  server.pass(std::chrono::milliseconds(4));
  EXPECT_FALSE(sink.done());
  server.pass(std::chrono::milliseconds(1));
  ASSERT_TRUE(sink.done());
  EXPECT_EQ(sink.outcome.input.requests.size(), 2u);
}

TEST(LegacySession, tells_a_modern_client_what_it_would_have_to_declare_where_its_call_fails_for_it) {
  for (const mcp::Era era : {mcp::Era::modern, mcp::Era::legacy}) {
    Fixture server;
    server.caller.era = era;
    server.legacy();
    Sink does_without;
    const std::int64_t first = server.tool(does_without);
    server.line(ask_name);
    server.line(R"({"jsonrpc":"2.0","id":)" + std::to_string(first) + R"(,"result":{"content":[]}})");
    EXPECT_EQ(does_without.outcome.kind, mcp::Outcome::Kind::result);
    Sink fails;
    const std::int64_t second = server.tool(fails);
    server.line(ask_name);
    server.line(R"({"jsonrpc":"2.0","id":)" + std::to_string(second) +
                R"(,"result":{"content":[],"isError":true}})");
    if (era == mcp::Era::legacy) {
      EXPECT_EQ(fails.outcome.kind, mcp::Outcome::Kind::result);
    } else {
      EXPECT_EQ(fails.outcome.error.code, -32021);
      EXPECT_EQ(fails.outcome.error.data, R"({"requiredCapabilities":{"elicitation":{}}})");
    }
  }
}

TEST(LegacySession, parks_a_call_that_asks_and_goes_on_with_the_answer) {
  Fixture server;
  server.asking_legacy();
  Sink first;
  server.tool(first);
  server.sent();
  server.line(ask_name);
  EXPECT_TRUE(server.asking);
  ASSERT_EQ(first.outcome.kind, mcp::Outcome::Kind::input_required);
  EXPECT_TRUE(first.outcome.input.owned);
  EXPECT_EQ(first.outcome.input.requests,
            (std::vector<mcp::InputRequest>{{"ask-1", "elicitation/create", R"({"message":"Name?"})"}}));
  EXPECT_EQ(server.session->load().candidates, 1u);
  EXPECT_EQ(server.session->load().calls, 0u);
  Sink second;
  const std::string state = first.outcome.input.state;
  EXPECT_TRUE(
      server.resume(state, R"({"ask-1":{"action":"accept","content":{"name":"Ada"}},"x":{}})", second));
  EXPECT_EQ(server.sent(),
            std::vector<std::string>{
                R"({"jsonrpc":"2.0","id":"q1","result":{"action":"accept","content":{"name":"Ada"}}})"});
  Sink replay;
  EXPECT_FALSE(server.resume(state, R"({"ask-1":{"action":"accept"}})", replay));
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{"content":[]}})");
  EXPECT_TRUE(second.done());
  EXPECT_EQ(first.outcomes, 1);
}

TEST(LegacySession, asks_again_for_answers_that_are_missing_and_for_later_asks) {
  Fixture server;
  server.asking_legacy();
  Sink first;
  server.tool(first);
  server.session->receive(ask_name, server.now);
  server.session->receive(R"({"jsonrpc":"2.0","id":8,"method":"roots/list"})", server.now);
  server.session->settle(server.now);
  ASSERT_EQ(first.outcome.input.requests.size(), 2u);
  server.line(R"({"jsonrpc":"2.0","id":9,"method":"elicitation/create","params":{"message":"Age?"}})");
  server.sent();
  Sink second;
  EXPECT_TRUE(server.resume(first.outcome.input.state, R"({"ask-2":{"roots":[]}})", second));
  EXPECT_EQ(server.sent(), std::vector<std::string>{R"({"jsonrpc":"2.0","id":8,"result":{"roots":[]}})"});
  ASSERT_EQ(second.outcome.kind, mcp::Outcome::Kind::input_required);
  ASSERT_EQ(second.outcome.input.requests.size(), 2u);
  EXPECT_EQ(second.outcome.input.requests[0].key, "ask-1");
  EXPECT_EQ(second.outcome.input.requests[1].key, "ask-3");
  EXPECT_NE(second.outcome.input.state, first.outcome.input.state);
}

TEST(LegacySession, passes_a_refusal_of_the_client_on_as_an_error) {
  Fixture server;
  server.asking_legacy();
  Sink first;
  server.tool(first);
  server.line(ask_name);
  server.sent();
  Sink second;
  EXPECT_TRUE(
      server.resume(first.outcome.input.state, R"({"ask-1":{"error":{"code":-1,"message":"no"}}})", second));
  EXPECT_EQ(server.sent(),
            std::vector<std::string>{R"({"jsonrpc":"2.0","id":"q1","error":{"code":-1,"message":"no"}})"});
}

TEST(LegacySession, holds_an_ask_that_two_calls_could_have_caused_until_one_remains) {
  Fixture server;
  server.asking_legacy();
  Sink first;
  Sink second;
  server.tool(first);
  server.tool(second);
  server.sent();
  server.line(ask_name);
  EXPECT_TRUE(server.session->load().holding);
  EXPECT_EQ(first.outcomes + second.outcomes, 0);
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{}})");
  EXPECT_EQ(first.outcome.kind, mcp::Outcome::Kind::result);
  EXPECT_EQ(second.outcome.kind, mcp::Outcome::Kind::input_required);
  EXPECT_FALSE(server.session->load().holding);
}

TEST(LegacySession, answers_an_ask_it_cannot_attribute_with_an_error_after_a_while) {
  Fixture server;
  server.asking_legacy();
  Sink first;
  Sink second;
  server.tool(first);
  server.tool(second);
  server.sent();
  server.line(ask_name);
  server.pass(seconds(10));
  const auto sent = server.sent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_TRUE(sent[0].starts_with(R"({"jsonrpc":"2.0","id":"q1","error":{"code":-32603)"));
  EXPECT_EQ(first.outcomes + second.outcomes, 0);
}

TEST(LegacySession, never_shows_an_ask_of_a_cancelled_call_to_another_client) {
  Fixture server;
  server.asking_legacy();
  Sink gone;
  Sink other;
  const auto id = server.tool(gone);
  server.tool(other);
  server.session->cancel(id, "gone", server.now);
  server.line(ask_name);
  EXPECT_EQ(other.outcomes, 0);
  server.pass(seconds(5));
  EXPECT_EQ(other.outcome.kind, mcp::Outcome::Kind::input_required);
}

TEST(LegacySession, attributes_asks_within_one_session_at_once) {
  Fixture server;
  LegacyOptions options;
  options.capabilities.elicitation_form = true;
  options.one_session = true;
  server.legacy(options);
  Sink first;
  Sink second;
  server.tool(first);
  server.tool(second);
  server.line(ask_name);
  EXPECT_EQ(second.outcome.kind, mcp::Outcome::Kind::input_required);
  EXPECT_EQ(first.outcomes, 0);
}

TEST(LegacySession, does_not_ask_a_client_that_cannot_answer) {
  Fixture server;
  server.legacy();
  Sink sink;
  server.tool(sink);
  server.sent();
  server.line(ask_name);
  EXPECT_EQ(server.sent(),
            std::vector<std::string>{R"({"jsonrpc":"2.0","id":"q1","error":{"code":-32601,"message":)"
                                     R"("Method not found: the client has not declared )"
                                     R"({\"elicitation\":{}}."}})"});
  EXPECT_FALSE(sink.done());
}

TEST(LegacySession, gives_a_parked_call_up_when_the_user_does_not_answer) {
  Fixture server;
  server.asking_legacy();
  Sink first;
  server.tool(first);
  server.line(ask_name);
  server.sent();
  server.pass(seconds(600));
  EXPECT_EQ(server.sent(),
            (std::vector<std::string>{
                R"({"jsonrpc":"2.0","id":"q1","result":{"action":"cancel"}})",
                R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2,)"
                R"("reason":"The user did not answer in time"}})"}));
  Sink second;
  EXPECT_FALSE(server.resume(first.outcome.input.state, R"({"ask-1":{"action":"accept"}})", second));
  server.pass(seconds(5));
  EXPECT_EQ(server.session->load(), SessionLoad{});
}

TEST(LegacySession, keeps_an_outcome_that_comes_while_the_call_is_parked) {
  Fixture server;
  server.asking_legacy();
  Sink first;
  server.tool(first);
  server.line(ask_name);
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{"late":1}})");
  EXPECT_EQ(server.session->load().candidates, 0u);
  Sink second;
  EXPECT_TRUE(server.resume(first.outcome.input.state, R"({"ask-1":{"action":"accept"}})", second));
  EXPECT_EQ(second.result(), R"({"late":1})");
}

TEST(LegacySession, resumes_only_for_the_caller_who_was_asked) {
  Fixture server;
  server.asking_legacy();
  Sink first;
  server.tool(first);
  server.line(ask_name);
  server.caller.principal = "mallory";
  Sink second;
  EXPECT_FALSE(server.resume(first.outcome.input.state, "{}", second));
  for (const std::string state : {"", "2", "2.", "x.1", "2.99", "99999999999999999999.1"}) {
    EXPECT_FALSE(server.resume(state, "{}", second)) << state;
  }
}

TEST(LegacySession, forgets_an_ask_the_server_withdraws) {
  Fixture server;
  server.asking_legacy();
  Sink first;
  server.tool(first);
  server.line(ask_name);
  server.line(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q1"}})");
  server.sent();
  Sink second;
  EXPECT_TRUE(server.resume(first.outcome.input.state, R"({"ask-1":{"action":"accept"}})", second));
  EXPECT_TRUE(server.sent().empty());
}

TEST(LegacySession, turns_url_elicitation_required_into_a_round_after_which_the_call_is_sent_anew) {
  Fixture server;
  LegacyOptions options;
  options.capabilities.elicitation_url = true;
  server.legacy(options);
  Sink sink;
  server.tool(sink);
  server.line(R"({"jsonrpc":"2.0","id":2,"error":{"code":-32042,"message":"sign in","data":{"elicitations":[)"
              R"({"mode":"url","elicitationId":"e","url":"https://x/","message":"m"}]}}})");
  ASSERT_EQ(sink.outcome.kind, mcp::Outcome::Kind::input_required);
  EXPECT_FALSE(sink.outcome.input.owned);
  EXPECT_EQ(sink.outcome.input.state, "again");
  EXPECT_EQ(sink.outcome.input.requests.at(0).params, R"({"mode":"url","url":"https://x/","message":"m"})");
}

TEST(LegacySession, sets_the_most_verbose_level_wanted_and_filters_for_each_call) {
  Fixture server;
  server.legacy({}, R"({"logging":{}})");
  Sink sink;
  mcp::Call call;
  call.caller = &server.caller;
  call.method = "tools/call";
  call.log_level = mcp::LoggingLevel::info;
  server.start(call, sink);
  EXPECT_EQ(server.sent().at(0),
            R"({"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"info"}})");
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{}})");
  server.line(R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug","data":1}})");
  server.line(R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":2}})");
  EXPECT_EQ(sink.notes, std::vector<std::string>{R"({"level":"error","data":2})"});
  Sink other;
  server.tool(other);
  server.line(R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":3}})");
  EXPECT_EQ(sink.notes.size(), 1u) << "two calls of different clients: nobody may see it";
  EXPECT_EQ(server.sent().size(), 1u);
}

TEST(LegacySession, a_call_that_was_cancelled_keeps_logs_from_no_other_call_of_its_principal) {
  Fixture server;
  server.legacy({}, R"({"logging":{}})");
  Sink gone;
  mcp::Call call;
  call.caller = &server.caller;
  call.method = "tools/call";
  call.log_level = mcp::LoggingLevel::info;
  server.session->cancel(server.start(call, gone), "enough", server.now);
  Sink next;
  server.start(call, next);
  server.line(R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}})");
  EXPECT_EQ(next.notes.size(), 1u);
  server.caller.principal = "mallory";
  Sink another;
  server.session->cancel(server.start(call, another), "enough", server.now);
  server.line(R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":2}})");
  EXPECT_EQ(next.notes.size(), 1u);
}

TEST(LegacySession, what_is_logged_while_no_call_runs_is_for_all_that_the_process_serves) {
  Fixture server;
  server.asking_legacy();
  const std::string log = R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}})";
  Sink gone;
  server.session->cancel(server.tool(gone), "enough", server.now);
  server.line(log);
  EXPECT_EQ(server.changes.size(), 1u) << "a call was cancelled";
  Sink parked;
  server.tool(parked);
  server.pass(std::chrono::seconds(5));
  server.line(ask_name);
  ASSERT_TRUE(parked.done());
  server.line(log);
  EXPECT_EQ(server.changes.size(), 2u) << "a call waits for its user";
}

TEST(LegacySession, wants_a_level_without_a_call) {
  Fixture server;
  server.legacy({}, R"({"logging":{}})");
  server.session->want_level(mcp::LoggingLevel::debug);
  EXPECT_EQ(server.sent(),
            std::vector<std::string>{
                R"({"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"debug"}})"});
  server.session->want_level(mcp::LoggingLevel::info);
  EXPECT_TRUE(server.sent().empty());
}

TEST(LegacySession, subscribes_to_what_is_watched) {
  Fixture server;
  server.session = make_legacy_session(server, server.limits, {});
  server.session->watch({"a:1"});
  server.session->start(server.now);
  server.sent();
  server.line(R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25",)"
              R"("capabilities":{"resources":{"subscribe":true}}}})");
  EXPECT_EQ(server.sent().at(1),
            R"({"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"a:1"}})");
  server.session->watch({"b:2"});
  const auto sent = server.sent();
  EXPECT_EQ(sent.at(0), R"({"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"b:2"}})");
  EXPECT_EQ(sent.at(1),
            R"({"jsonrpc":"2.0","id":4,"method":"resources/unsubscribe","params":{"uri":"a:1"}})");
  server.line(R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"b:2"}})");
  server.line(R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})");
  EXPECT_EQ(server.changes, (std::vector<mcp::Change>{{mcp::Change::Kind::resource_updated, "b:2", ""},
                                                      {mcp::Change::Kind::tools_list, "", ""}}));
}

TEST(LegacySession, ends_calls_with_the_reason_when_the_server_ends_and_tells_which_never_reached_it) {
  Fixture server;
  server.legacy();
  Sink reached;
  Sink unsent;
  server.tool(reached);
  server.sent();
  server.tool(unsent);
  server.session->close({-32603, "The server exited with code 1.", {}}, server.session->taken_bytes());
  EXPECT_EQ(reached.outcome.error.message, "The server exited with code 1.");
  EXPECT_EQ(unsent.outcomes, 0);
  EXPECT_TRUE(unsent.not_executed);
  EXPECT_EQ(server.session->load(), SessionLoad{});
}

/// Cancels another call of the same session when its own outcome comes.
class CancellingSink final : public CallSink {
 public:
  CancellingSink(Fixture& server, std::int64_t other) : server_(server), other_(other) {}
  void on_notification(mcp::Notification) override {}
  void on_outcome(mcp::Outcome) override { server_.session->cancel(other_, "with its sister", server_.now); }
  void on_not_executed() override {}

 private:
  Fixture& server_;
  std::int64_t other_;
};

TEST(LegacySession, lets_a_sink_cancel_other_calls_while_all_are_being_ended) {
  Fixture server;
  server.legacy();
  CancellingSink first(server, 3);
  Sink second;
  mcp::Call call;
  call.caller = &server.caller;
  call.method = "tools/call";
  server.session->call(call, first, server.now);
  server.start(call, second);
  server.sent();
  server.session->close({-32603, "gone", {}}, server.session->taken_bytes());
  EXPECT_EQ(second.outcomes, 0);
}

TEST(ModernSession, puts_the_envelope_on_every_request_and_lifts_the_answer) {
  Fixture server;
  server.modern();
  server.caller.capabilities =
      R"({"sampling":{},"extensions":{"io.modelcontextprotocol/tasks":{},"x/y":{}}})";
  server.caller.client_info = R"({"name":"c","version":"1"})";
  Sink sink;
  mcp::Call call;
  call.caller = &server.caller;
  call.method = "tools/list";
  call.log_level = mcp::LoggingLevel::debug;
  call.wants_progress = true;
  server.start(call, sink);
  EXPECT_EQ(server.sent().at(0),
            R"({"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"_meta":{)"
            R"("io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
            R"("io.modelcontextprotocol/clientCapabilities":{"sampling":{},"extensions":{"x/y":{}}},)"
            R"("io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},)"
            R"("io.modelcontextprotocol/logLevel":"debug","progressToken":2}}})");
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{"resultType":"complete","tools":[],"ttlMs":50,)"
              R"("cacheScope":"public","_meta":{}}})");
  EXPECT_EQ(sink.result(), R"({"tools":[],"_meta":{}})");
  ASSERT_TRUE(sink.outcome.cache);
  EXPECT_EQ(sink.outcome.cache->ttl_ms, 50);
  EXPECT_TRUE(sink.outcome.cache->is_public);
}

TEST(ModernSession, relays_input_required_with_its_state_and_the_answers_back) {
  Fixture server;
  server.modern();
  Sink first;
  server.tool(first);
  server.sent();
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{"resultType":"input_required","requestState":"a\"b",)"
              R"("inputRequests":{"k":{"method":"elicitation/create","params":{"message":"?"}}}}})");
  ASSERT_EQ(first.outcome.kind, mcp::Outcome::Kind::input_required);
  EXPECT_FALSE(first.outcome.input.owned);
  EXPECT_EQ(first.outcome.input.state, "a\"b");
  EXPECT_EQ(first.outcome.input.requests,
            (std::vector<mcp::InputRequest>{{"k", "elicitation/create", R"({"message":"?"})"}}));
  Sink second;
  mcp::Call call;
  call.caller = &server.caller;
  call.method = "tools/call";
  call.params = R"({"name":"t"})";
  call.input_responses = R"({"k":{"action":"accept"}})";
  call.request_state = first.outcome.input.state;
  server.start(call, second);
  EXPECT_TRUE(server.sent().at(0).find(
                  R"(,"inputResponses":{"k":{"action":"accept"}},"requestState":"a\"b","name")") !=
              std::string::npos);
}

TEST(ModernSession, refuses_results_it_cannot_relay) {
  for (const std::string result :
       {R"({"resultType":"task","taskId":"1"})", R"({"resultType":"input_required"})", "7"}) {
    Fixture server;
    server.modern();
    Sink sink;
    server.tool(sink);
    server.line(R"({"jsonrpc":"2.0","id":2,"result":)" + result + "}");
    EXPECT_EQ(sink.outcome.error.code, -32603) << result;
  }
}

TEST(ModernSession, treats_a_missing_result_type_as_complete) {
  Fixture server;
  server.modern();
  Sink sink;
  server.tool(sink);
  server.line(R"({"jsonrpc":"2.0","id":2,"result":{"a":1}})");
  EXPECT_EQ(sink.result(), R"({"a":1})");
  EXPECT_FALSE(sink.outcome.cache);
}

TEST(ModernSession, listens_for_changes_with_the_union_of_what_is_wanted) {
  Fixture server;
  server.modern(R"({"tools":{"listChanged":true},"resources":{}})");
  EXPECT_TRUE(server.sent().at(0).ends_with(R"(,"notifications":{"toolsListChanged":true}}})"))
      << "listens at once";
  server.session->watch({"a:1", "b:2"});
  const auto sent = server.sent();
  EXPECT_TRUE(sent.at(0).ends_with(
      R"("notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:1","b:2"]}}})"));
  EXPECT_TRUE(sent.at(0).find(R"("id":3)") != std::string::npos);
  EXPECT_EQ(sent.at(1), R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":)"
                        R"({"requestId":2,"reason":"replaced"}})");
  server.line(R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1",)"
              R"("_meta":{"io.modelcontextprotocol/subscriptionId":3}}})");
  EXPECT_EQ(server.changes.size(), 1u);
  server.line(R"({"jsonrpc":"2.0","id":3,"result":{"resultType":"complete"}})");
  server.pass(milliseconds(500));
  EXPECT_TRUE(server.sent().empty());
  server.pass(milliseconds(500));
  EXPECT_EQ(server.sent().size(), 1u) << "a stream the server ended is opened again";
}

TEST(ModernSession, does_not_serve_a_server_that_discovers_another_version) {
  Fixture server;
  server.session = make_modern_session(server, server.limits);
  server.session->start(server.now);
  server.sent();
  server.line(R"({"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2030-01-01"]}})");
  EXPECT_EQ(server.failure, "The server's answer to server/discover does not list version 2026-07-28.");
}

TEST(Capabilities, compare_by_what_servers_act_on) {
  EXPECT_EQ(read_capabilities(R"({"elicitation":{}})"),
            read_capabilities(R"({"elicitation":{"form":{}},"x":1})"));
  EXPECT_EQ(read_capabilities(R"({"elicitation":{"url":{}}})").to_json(), R"({"elicitation":{"url":{}}})");
  EXPECT_EQ(read_capabilities("{}").to_json(), "{}");
  EXPECT_EQ(read_capabilities(R"({"roots":{},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},)"
                              R"("extensions":{"io.modelcontextprotocol/tasks":{},"x/y":{"a":1}}})")
                .to_json(),
            R"({"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{"listChanged":true},)"
            R"("extensions":{"x/y":{"a":1}}})");
}

}  // namespace
}  // namespace berth::task::host
