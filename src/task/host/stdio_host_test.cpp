#include "task/host/stdio_host.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>

#include "base/testing/sim_clock.h"
#include "mcp/message.h"
#include "task/host/testing/stdio_host_fixture.h"

namespace berth::task {
namespace {

using host::testing::Changes;
using host::testing::FakeChild;
using host::testing::FakeLauncher;
using host::testing::FakeScript;
using host::testing::legacy_server;
using host::testing::member;
using host::testing::modern_server;
using host::testing::Observer;
using host::testing::RecordingLog;
using host::testing::StdioHostTest;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(StdioHostTest, keeps_a_child_warm_and_calls_it) {
  spec.environment = {{"HOME", "/tmp"}, {"KEY", "v"}};
  spec.directory = "/srv";
  make();
  ASSERT_EQ(launcher->children().size(), 1u);
  EXPECT_EQ(child(0).spec().argv, (std::vector<std::string>{"fake-server", "--flag"}));
  EXPECT_EQ(child(0).spec().directory, "/srv");
  EXPECT_EQ(child(0).spec().environment, (std::vector<std::pair<std::string, std::string>>{
                                             {"PATH", "/bin"}, {"HOME", "/tmp"}, {"KEY", "v"}}));
  EXPECT_TRUE(host->health().ready);
  EXPECT_EQ(echo().result(), R"({"child":0,"params":{"name":"echo"}})");
  EXPECT_EQ(echo().result(), R"({"child":0,"params":{"name":"echo"}})");
  EXPECT_EQ(launcher->children().size(), 1u);
}

TEST_F(StdioHostTest, describes_the_server_once_it_is_ready) {
  launcher->script.on_line = [](FakeChild&, const std::string&) {};
  make();
  EXPECT_FALSE(host->health().ready);
  EXPECT_EQ(host->health().reason.whole(), "The server 'fake' is starting.");
  EXPECT_FALSE(describe(caller));
  legacy_server(child(0), child(0).lines.at(0));
  const auto described = describe(caller);
  ASSERT_TRUE(described && *described);
  EXPECT_EQ((*described)->server_info, R"({"name":"fake","version":"1"})");
  EXPECT_EQ((*described)->era, mcp::Era::legacy);
}

TEST_F(StdioHostTest, gives_callers_with_other_capabilities_another_child) {
  make();
  echo();
  EXPECT_EQ(call(R"({"name":"echo"})", asker).result(), R"({"child":1,"params":{"name":"echo"}})");
  EXPECT_TRUE(child(1).lines.at(0).find(R"("capabilities":{"elicitation":{}})") != std::string::npos);
  mcp::Caller other;
  other.principal = "other";
  EXPECT_EQ(call(R"({"name":"echo"})", other).result(), R"({"child":3,"params":{"name":"echo"}})")
      << "the third one stands by";
}

TEST_F(StdioHostTest, shares_a_child_between_principals_where_told_to) {
  spec.isolation = model::Isolation::shared;
  make();
  mcp::Caller other;
  other.principal = "other";
  echo();
  EXPECT_EQ(call(R"({"name":"echo"})", other).result(), R"({"child":0,"params":{"name":"echo"}})");
}

TEST_F(StdioHostTest, gives_each_session_a_child_where_told_to_and_ends_it_with_the_session) {
  spec.isolation = model::Isolation::session;
  make();
  mcp::Caller first;
  first.session = "one";
  mcp::Caller second;
  second.session = "two";
  EXPECT_EQ(call(R"({"name":"echo"})", first).result(), R"({"child":0,"params":{"name":"echo"}})");
  EXPECT_EQ(call(R"({"name":"echo"})", second).result(), R"({"child":1,"params":{"name":"echo"}})");
  EXPECT_EQ(alive(), 3u) << "and a spare one";
  host->session_closed("one");
  clock.run_until_idle();
  EXPECT_FALSE(child(0).alive());
  EXPECT_EQ(alive(), 2u);
}

TEST_F(StdioHostTest, a_spare_child_that_was_told_of_another_client_is_no_sessions) {
  spec.isolation = model::Isolation::session;
  make();
  mcp::Caller first;
  first.session = "one";
  first.client_info = R"({"name":"c","version":"1"})";
  mcp::Caller second = first;
  second.session = "two";
  EXPECT_EQ(call(R"({"name":"echo"})", first).result(), R"({"child":1,"params":{"name":"echo"}})");
  EXPECT_EQ(call(R"({"name":"echo"})", second).result(), R"({"child":2,"params":{"name":"echo"}})")
      << "the spare one was told of such a client";
}

TEST_F(StdioHostTest, ends_calls_of_a_child_that_dies_with_its_last_words_and_goes_on_at_once) {
  make();
  Observer& victim = call(R"({"name":"hang"})");
  Observer& killer = call(R"({"name":"die"})");
  EXPECT_EQ(victim.outcome.error.code, -32603);
  EXPECT_EQ(victim.error(),
            "The call may have run; its end is unknown. "
            "The server exited with code 3. Its last words: Error: out of luck");
  EXPECT_EQ(killer.error(), victim.error());
  EXPECT_EQ(echo().result(), R"({"child":1,"params":{"name":"echo"}})") << "without waiting for anything";
  EXPECT_TRUE(host->health().ready);
  EXPECT_EQ(host->health().restarts, 1u);
}

TEST_F(StdioHostTest, keeps_last_words_from_callers_who_may_be_anybody) {
  tells_words = false;
  make();
  Observer& victim = call(R"({"name":"die"})");
  EXPECT_EQ(victim.error(), "The call may have run; its end is unknown. The server exited with code 3.");
}

TEST_F(StdioHostTest, names_the_signal_that_killed_a_child) {
  make();
  Observer& victim = call(R"({"name":"hang"})");
  child(0).die(SIGKILL);
  clock.run_until_idle();
  EXPECT_EQ(victim.error(),
            "The call may have run; its end is unknown. "
            "The server was killed by signal 9 (SIGKILL).");
}

TEST_F(StdioHostTest, runs_a_call_elsewhere_only_when_it_never_left) {
  launcher->script.reads_input = false;
  spec.era = model::EraChoice::legacy;
  make();
  // The child does not read: it is initialized by hand, and its pipe is full after 64 KiB.
  child(0).say(R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}})");
  clock.run_until_idle();
  const std::string big = fmt::format(R"({{"name":"echo","text":"{}"}})", std::string(50'000, 'x'));
  Observer& handed_over = call(big);
  Observer& stuck = call(big);
  Observer& unsent = call(R"({"name":"echo"})");
  launcher->script.reads_input = true;
  child(0).die(SIGKILL);
  clock.run_until_idle();
  EXPECT_EQ(handed_over.error(),
            "The call may have run; its end is unknown. "
            "The server was killed by signal 9 (SIGKILL).");
  EXPECT_TRUE(stuck.result().starts_with(R"({"child":1)"));
  EXPECT_TRUE(unsent.result().starts_with(R"({"child":1)"));
}

TEST_F(StdioHostTest, names_the_process_of_each_call_and_tells_whether_it_still_runs) {
  make();
  const std::uint64_t first = echo().outcome.process;
  EXPECT_EQ(echo().outcome.process, first);
  EXPECT_TRUE(host->runs(first));
  const mcp::Outcome lost = call(R"({"name":"die"})").outcome;
  EXPECT_TRUE(lost.is_lost);
  EXPECT_EQ(lost.process, first);
  EXPECT_FALSE(host->runs(first));
  EXPECT_TRUE(host->runs(echo().outcome.process));
}

TEST_F(StdioHostTest, tells_of_lost_state_before_a_call_runs_in_another_process) {
  spec.state = model::State::process;
  launcher->script.reads_input = false;
  make();
  child(0).say(R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}})");
  clock.run_until_idle();
  call(fmt::format(R"({{"name":"echo","text":"{}"}})", std::string(70'000, 'x')));
  Observer& unread = echo();
  child(0).die(SIGKILL);
  clock.run_until_idle();
  EXPECT_EQ(unread.outcome.error, mcp::state_lost());
  EXPECT_FALSE(unread.outcome.is_lost);
  EXPECT_FALSE(host->runs(unread.outcome.process));
}

TEST_F(StdioHostTest, reports_a_missing_command_and_fails_calls_fast) {
  launcher->refusal = Error(ErrorCode::not_found, "there is no command 'fake-server' in PATH (/bin)");
  make();
  EXPECT_FALSE(host->health().ready);
  EXPECT_EQ(host->health().reason.whole(),
            "The server cannot be started: there is no command 'fake-server' in PATH (/bin).");
  EXPECT_TRUE(host->health().refused);
  EXPECT_EQ(echo().error(),
            "The server cannot be started: there is no command 'fake-server' in PATH (/bin). Berth starts it "
            "again in 0.1 s.");
  const auto described = describe(caller);
  ASSERT_TRUE(described && !*described);
  EXPECT_EQ(described->error().code(), ErrorCode::unavailable);
  launcher->refusal.reset();
  clock.advance(milliseconds(100));
  EXPECT_TRUE(host->health().ready) << "the command was installed meanwhile";
}

TEST_F(StdioHostTest, backs_off_from_a_server_that_exits_before_it_answers) {
  launcher->script.on_start = [](FakeChild& each) {
    each.complain("cannot find module 'x'\n");
    each.exit(1);
  };
  make();
  EXPECT_EQ(launcher->children().size(), 2u) << "once more at once";
  EXPECT_EQ(host->health().reason.whole(),
            "The server exited with code 1 before it answered the handshake. Its last words: cannot find "
            "module 'x'");
  EXPECT_TRUE(echo().error().ends_with("Berth starts it again in 0.1 s."));
  clock.advance(seconds(60));
  EXPECT_LE(launcher->children().size(), 14u);
  EXPECT_GE(launcher->children().size(), 8u);
}

TEST_F(StdioHostTest, kills_a_child_that_asks_without_end_and_reads_no_answer) {
  launcher->script.reads_input = false;
  spec.era = model::EraChoice::legacy;
  make();
  child(0).say(R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}})");
  clock.run_until_idle();
  Observer& victim = call(R"({"name":"echo"})");
  launcher->script.reads_input = true;
  for (int i = 0; i < 40'000; ++i)
    child(0).say(fmt::format(R"({{"jsonrpc":"2.0","id":{},"method":"ping"}})", i));
  clock.run_until_idle();
  EXPECT_EQ(victim.error(),
            "The call may have run; its end is unknown. "
            "The server was killed by Berth: it goes on asking and does not read the answers.");
}

TEST_F(StdioHostTest, kills_a_child_that_writes_an_endless_line) {
  spec.message_bytes_max = 1 << 20;
  make();
  Observer& victim = call(R"({"name":"hang"})");
  child(0).say(std::string(100 << 20, 'x'));
  clock.run_until_idle();
  EXPECT_EQ(victim.error(),
            "The call may have run; its end is unknown. "
            "The server was killed by Berth: it wrote a message longer than 1048576 bytes "
            "(message_bytes_max).");
  EXPECT_EQ(child(0).signals, std::vector<int>{SIGKILL});
  EXPECT_EQ(echo().result(), R"({"child":1,"params":{"name":"echo"}})");
}

TEST_F(StdioHostTest, survives_garbage_on_stdout_a_flood_on_stderr_and_second_answers) {
  make();
  for (int i = 0; i < 1000; ++i) child(0).say("Server listening on port 3000");
  for (int i = 0; i < 1000; ++i) child(0).complain(std::string(5000, 'e') + "\n");
  clock.run_until_idle();
  EXPECT_EQ(call(R"({"name":"twice"})").result(), R"({"n":1})");
  EXPECT_EQ(echo().result(), R"({"child":0,"params":{"name":"echo"}})");
  EXPECT_LE(log.events["server_oddity"], 10);
  EXPECT_LE(log.events["server_stderr"], 200);
}

TEST_F(StdioHostTest, ends_a_call_that_is_never_answered) {
  make();
  Observer& hanging = call(R"({"name":"hang"})");
  clock.advance(seconds(299));
  EXPECT_EQ(hanging.outcomes, 0);
  clock.advance(seconds(1));
  EXPECT_EQ(hanging.error(),
            "The call may have run; its end is unknown. "
            "The server did not answer tools/call within 300 s (call_timeout).");
  EXPECT_EQ(echo().result(), R"({"child":0,"params":{"name":"echo"}})");
}

TEST_F(StdioHostTest, gives_up_on_a_server_that_never_answers_initialize) {
  launcher->script.on_line = [](FakeChild&, const std::string&) {};
  make();
  Observer& waiting = echo();
  clock.advance(seconds(30));
  EXPECT_EQ(
      waiting.error(),
      "The server did not answer the handshake within 30 s (start_timeout). Berth starts it again in 0.1 s.");
  EXPECT_EQ(child(0).signals, std::vector<int>{SIGKILL});
}

TEST_F(StdioHostTest, kills_a_child_that_closes_its_output_but_lives_on) {
  make();
  Observer& victim = call(R"({"name":"hang"})");
  child(0).close_output();
  clock.advance(seconds(1));
  EXPECT_EQ(victim.error(),
            "The call may have run; its end is unknown. "
            "The server was killed by Berth: it closed its output but did not exit.");
}

TEST_F(StdioHostTest, tells_the_child_when_a_client_goes_away) {
  make();
  Observer& gone = call(R"({"name":"hang"})");
  calls.clear();
  clock.run_until_idle();
  EXPECT_EQ(child(0).lines.back(), R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":)"
                                   R"({"requestId":2,"reason":"The client went away"}})");
  EXPECT_EQ(gone.outcomes, 0);
}

TEST_F(StdioHostTest, tells_the_child_why_a_client_cancels) {
  make();
  call(R"({"name":"hang"})");
  calls.back()->set_cancel_reason("changed my mind");
  calls.clear();
  clock.run_until_idle();
  EXPECT_TRUE(child(0).lines.back().ends_with(R"("params":{"requestId":2,"reason":"changed my mind"}})"));
}

TEST_F(StdioHostTest, passes_custom_notifications_to_the_child_and_from_it) {
  make();
  host->notify(caller, "vendor/saved", R"({"x":1})");
  clock.run_until_idle();
  EXPECT_EQ(child(0).lines.back(), R"({"jsonrpc":"2.0","method":"vendor/saved","params":{"x":1}})");
  const Observer& running = call(R"({"name":"hang"})");
  child(0).say(R"({"jsonrpc":"2.0","method":"vendor/step","params":{"n":1}})");
  clock.run_until_idle();
  EXPECT_EQ(running.notes, std::vector<std::string>{R"({"n":1})"});
  EXPECT_TRUE(changes.all.empty());
}

TEST_F(StdioHostTest, what_a_child_says_outside_calls_is_for_those_that_share_it) {
  make();
  child(0).say(R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}})");
  child(0).say(R"({"jsonrpc":"2.0","method":"vendor/idle","params":{}})");
  child(0).say(R"({"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{}})");
  clock.run_until_idle();
  ASSERT_EQ(changes.all.size(), 2u);
  EXPECT_EQ(changes.all[0].message.method, "notifications/message");
  EXPECT_EQ(changes.all[1].message, (mcp::Notification{"vendor/idle", "{}"}));
  EXPECT_EQ(changes.all[1].principal, "anonymous");
}

TEST_F(StdioHostTest, what_is_shared_by_all_tells_nobody_what_may_concern_another) {
  spec.isolation = model::Isolation::shared;
  make();
  child(0).say(R"({"jsonrpc":"2.0","method":"vendor/idle","params":{}})");
  clock.run_until_idle();
  EXPECT_TRUE(changes.all.empty());
}

TEST_F(StdioHostTest, shows_progress_to_its_own_caller_only) {
  make();
  mcp::Call wanting;
  wanting.wants_progress = true;
  Observer& first = call(R"({"name":"hang"})", caller, wanting);
  Observer& second = call(R"({"name":"progress"})", caller, wanting);
  EXPECT_TRUE(first.notes.empty());
  EXPECT_EQ(second.notes, std::vector<std::string>{R"({"progress":1})"});
}

TEST_F(StdioHostTest, parks_a_call_that_asks_and_goes_on_in_the_same_child) {
  make();
  Observer& first = call(R"({"name":"ask"})", asker);
  ASSERT_EQ(first.outcome.kind, mcp::Outcome::Kind::input_required);
  EXPECT_TRUE(first.outcome.input.owned);
  mcp::Call retry;
  retry.request_state = first.outcome.input.state;
  retry.input_responses = R"({"ask-1":{"action":"accept"}})";
  EXPECT_EQ(call(R"({"name":"ask"})", asker, retry).result(), R"({"child":1,"got":{"action":"accept"}})");
  EXPECT_TRUE(
      call(R"({"name":"ask"})", asker, retry).error().contains("This answer can no longer be delivered"));
}

TEST_F(StdioHostTest, runs_calls_that_may_be_asked_about_one_at_a_time_once_the_server_asks) {
  make();
  Observer& first = call(R"({"name":"ask"})", asker);
  Observer& second = call(R"({"name":"ask"})", asker);
  Observer& third = call(R"({"name":"ask"})", asker);
  for (Observer* each : {&first, &second, &third}) {
    ASSERT_EQ(each->outcome.kind, mcp::Outcome::Kind::input_required);
    EXPECT_EQ(each->outcome.input.requests.size(), 1u);
  }
  EXPECT_EQ(alive(), 4u) << "the warm one and one for each asking call";
  mcp::Call retry;
  retry.input_responses = R"({"ask-1":{"action":"decline"}})";
  for (Observer* each : {&third, &first, &second}) {
    retry.request_state = each->outcome.input.state;
    EXPECT_TRUE(call(R"({"name":"ask"})", asker, retry).result().ends_with(R"("got":{"action":"decline"}})"));
  }
}

TEST_F(StdioHostTest, says_that_an_answer_is_lost_when_its_child_died) {
  make();
  Observer& first = call(R"({"name":"ask"})", asker);
  child(1).die(SIGKILL);
  clock.run_until_idle();
  mcp::Call retry;
  retry.request_state = first.outcome.input.state;
  retry.input_responses = R"({"ask-1":{"action":"accept"}})";
  Observer& second = call(R"({"name":"ask"})", asker, retry);
  EXPECT_EQ(second.outcome.error.code, -32603);
}

TEST_F(StdioHostTest, lets_a_call_wait_while_every_child_is_busy_for_others) {
  spec.children_max = 1;
  make();
  call(R"({"name":"hang"})");
  Observer& waiting = call(R"({"name":"echo"})", asker);
  EXPECT_EQ(waiting.outcomes, 0);
  const auto described = describe(asker);
  ASSERT_TRUE(described && *described) << "what the server is does not need a child of one's own";
  calls.front().reset();
  clock.advance(seconds(6));
  EXPECT_EQ(waiting.outcome.kind, mcp::Outcome::Kind::result);
}

TEST_F(StdioHostTest, gives_the_oldest_question_up_before_questions_take_every_child) {
  spec.children_max = 4;
  make();
  std::vector<Observer*> asked;
  for (int i = 0; i < 5; ++i) {
    asked.push_back(&call(R"({"name":"ask"})", asker));
    clock.advance(std::chrono::milliseconds(1));
  }
  clock.advance(seconds(6));
  EXPECT_EQ(echo().outcome.kind, mcp::Outcome::Kind::result) << "of a client that cannot be asked";
  EXPECT_EQ(call(R"({"name":"echo"})", asker).outcome.kind, mcp::Outcome::Kind::result);
  mcp::Call retry;
  retry.input_responses = R"({"ask-1":{"action":"accept"}})";
  retry.request_state = asked[0]->outcome.input.state;
  EXPECT_TRUE(
      call(R"({"name":"ask"})", asker, retry).error().contains("This answer can no longer be delivered"));
  ASSERT_EQ(asked[4]->outcome.input.requests.size(), 1u);
  const std::string answer =
      fmt::format(R"({{"{}":{{"action":"accept"}}}})", asked[4]->outcome.input.requests[0].key);
  retry.input_responses = answer;
  retry.request_state = asked[4]->outcome.input.state;
  const std::string end = R"("got":{"action":"accept"}})";
  const Observer& last = call(R"({"name":"ask"})", asker, retry);
  EXPECT_TRUE(last.result().ends_with(end)) << last.result() << last.error();
}

TEST_F(StdioHostTest, leaves_output_unread_while_its_readers_answers_fill_the_memory) {
  account.set_bytes_max(900);
  make();
  auto unread = account.open(caller.principal, MemoryAccount::Kind::answer);
  ASSERT_TRUE(unread.grow(300));
  EXPECT_EQ(echo().outcomes, 1) << "the read that was under way";
  Observer& paused = echo();
  EXPECT_EQ(paused.outcomes, 0);
  EXPECT_EQ(account.pauses(), 1u);
  unread.shrink(1);
  clock.run_until_idle();
  EXPECT_EQ(paused.outcomes, 1);
  unread.add(1);
  EXPECT_EQ(echo().outcomes, 1);
  Observer& patient = echo();
  clock.advance(seconds(4));
  EXPECT_EQ(patient.outcomes, 0);
  clock.advance(seconds(1));
  EXPECT_EQ(patient.outcomes, 1) << "nobody stops a server for ever by not reading";
}

TEST_F(StdioHostTest, lets_calls_wait_and_refuses_more_than_the_queue_takes) {
  spec.calls_per_child_max = 1;
  spec.queue_max = 1;
  make();
  call(R"({"name":"hang"})");
  Observer& waiting = echo();
  Observer& refused = echo();
  EXPECT_EQ(waiting.outcomes, 0);
  EXPECT_EQ(refused.error(), "1 calls wait already (queue_max); try again in a second.");
  calls.front().reset();
  clock.run_until_idle();
  EXPECT_EQ(waiting.outcomes, 1);
}

TEST_F(StdioHostTest, ends_calls_that_wait_for_ever) {
  spec.calls_per_child_max = 1;
  make();
  mcp::Call wanting;
  wanting.wants_progress = true;
  call(R"({"name":"progress"})", caller, wanting);
  Observer& waiting = echo();
  clock.advance(seconds(200));
  child(0).say(
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":2}})");
  clock.advance(seconds(100));
  EXPECT_TRUE(waiting.error().starts_with("The call waited longer than 300 s (call_timeout)"));
}

TEST_F(StdioHostTest, tells_why_the_server_refuses_a_watch) {
  make();
  std::vector<std::string> said;
  TaskScope scope(clock.executor());
  const auto watch = [&](std::string uri) -> Task<void> {
    host->watch_resource(caller, uri);
    const auto refusal = co_await host->watch_refusal(caller, uri);
    said.push_back(refusal ? refusal->message : "agreed");
  };
  scope.spawn(watch("a:1"));
  clock.run_until_idle();
  const std::string id = member(child(0).lines.back(), "id");
  child(0).say(R"({"jsonrpc":"2.0","id":)" + id +
               R"(,"error":{"code":-32002,"message":"There is no a:1."}})");
  clock.run_until_idle();
  EXPECT_EQ(said, std::vector<std::string>{"There is no a:1."});
  scope.spawn(watch("a:1"));
  clock.run_until_idle();
  EXPECT_EQ(said.back(), "agreed") << "nothing is asked for what is watched already";
  scope.spawn(watch("a:2"));
  clock.run_until_idle();
  clock.advance(milliseconds(4999));
  EXPECT_EQ(said.size(), 2u);
  clock.advance(milliseconds(1));
  EXPECT_EQ(said.size(), 3u) << "a server that says nothing holds nobody up";
}

TEST_F(StdioHostTest, subscribes_for_watchers_by_count_and_reports_changes) {
  make();
  host->watch_resource(caller, "a:1");
  host->watch_resource(caller, "a:1");
  clock.run_until_idle();
  EXPECT_TRUE(child(0).lines.back().find("resources/subscribe") != std::string::npos);
  child(0).say(R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}})");
  clock.run_until_idle();
  EXPECT_EQ(changes.all,
            (std::vector<mcp::Change>{{mcp::Change::Kind::resource_updated, "a:1", "anonymous"}}));
  host->unwatch_resource(caller, "a:1");
  clock.run_until_idle();
  EXPECT_TRUE(child(0).lines.back().find("unsubscribe") == std::string::npos);
  host->unwatch_resource(caller, "a:1");
  clock.run_until_idle();
  EXPECT_TRUE(child(0).lines.back().find("resources/unsubscribe") != std::string::npos);
  host->watch_resource(caller, "a:1");
  child(0).die(SIGKILL);
  clock.run_until_idle();
  EXPECT_TRUE(child(1).lines.back().find("resources/subscribe") != std::string::npos)
      << "again on the new child";
}

TEST_F(StdioHostTest, a_child_that_was_called_is_asked_for_what_is_watched_in_other_tasks) {
  make();
  const auto subscribed = [&](std::size_t index) {
    const auto& lines = child(index).lines;
    return std::ranges::count_if(lines, [](auto& line) { return line.contains("resources/subscribe"); });
  };
  host->watch_elsewhere("anonymous", "a:1", true);
  clock.run_until_idle();
  EXPECT_EQ(subscribed(0), 0) << "nobody has changed anything in it";
  echo();
  EXPECT_EQ(subscribed(0), 1);
  EXPECT_TRUE(child(0).lines.back().contains("tools/call")) << "it is asked before it may change something";
  host->watch_resource(asker, "a:2");
  host->watch_elsewhere("anonymous", "a:3", true);
  host->watch_elsewhere("bob", "b:1", true);
  clock.run_until_idle();
  EXPECT_EQ(subscribed(0), 3);
  host->watch_elsewhere("anonymous", "a:1", false);
  clock.run_until_idle();
  EXPECT_TRUE(child(0).lines.back().contains("resources/unsubscribe"));
}

TEST_F(StdioHostTest, drains_by_letting_calls_finish_and_then_closing_stdin) {
  make();
  Observer& finishing = call(R"({"name":"hang"})");
  std::optional<std::size_t> cut;
  TaskScope scope(clock.executor());
  scope.spawn(drain_into(clock.now() + seconds(10), cut));
  clock.advance(seconds(1));
  EXPECT_TRUE(child(0).alive());
  EXPECT_EQ(echo().error(), "The server is shutting down.");
  child(0).say(R"({"jsonrpc":"2.0","id":2,"result":{"done":true}})");
  clock.run_until_idle();
  EXPECT_EQ(finishing.result(), R"({"done":true})");
  EXPECT_EQ(cut, 0u);
  EXPECT_FALSE(child(0).alive());
  EXPECT_TRUE(child(0).signals.empty()) << "it went by itself when stdin closed";
  calls.clear();
  host.reset();
}

TEST_F(StdioHostTest, cuts_calls_at_the_deadline_and_ends_a_stubborn_child_in_steps) {
  launcher->script.ignores_stdin_close = true;
  launcher->script.ignores_sigterm = true;
  make();
  Observer& hanging = call(R"({"name":"hang"})");
  const TimePoint before = clock.now();
  EXPECT_EQ(drain(seconds(1)), 1u);
  EXPECT_EQ(hanging.error(),
            "The call may have run; its end is unknown. "
            "The call was cut: the server is shutting down.");
  EXPECT_EQ(child(0).signals, (std::vector<int>{SIGTERM, SIGKILL}));
  EXPECT_GE(clock.now() - before, seconds(6));
  calls.clear();
  host.reset();
}

TEST_F(StdioHostTest, ends_idle_children_after_a_while) {
  make();
  echo();
  call(R"({"name":"echo"})", asker);
  EXPECT_EQ(alive(), 3u) << "one stands by";
  clock.advance(seconds(661));
  EXPECT_EQ(alive(), 1u);
  EXPECT_EQ(echo().outcomes, 1);
}

// --- Era

TEST_F(StdioHostTest, probes_a_sibling_while_the_first_child_starts_and_finds_a_legacy_server) {
  spec.era = model::EraChoice::automatic;
  make();
  ASSERT_EQ(launcher->children().size(), 2u);
  EXPECT_TRUE(child(0).lines.at(0).find("initialize") != std::string::npos);
  EXPECT_TRUE(child(1).lines.at(0).find("server/discover") != std::string::npos);
  EXPECT_FALSE(child(1).alive());
  EXPECT_TRUE(host->health().ready);
  EXPECT_EQ(host->health().restarts, 0u);
  EXPECT_EQ(echo().result(), R"({"child":0,"params":{"name":"echo"}})");
}

TEST_F(StdioHostTest, does_not_wait_for_a_probe_that_stays_silent) {
  spec.era = model::EraChoice::automatic;
  launcher->script.on_line = [](FakeChild& each, const std::string& line) {
    if (line.find("server/discover") == std::string::npos) legacy_server(each, line);
  };
  make();
  Observer& early = echo();
  EXPECT_FALSE(host->health().ready);
  clock.advance(milliseconds(300));
  EXPECT_EQ(early.outcomes, 1);
  EXPECT_TRUE(child(1).alive());
  clock.advance(milliseconds(2700));
  EXPECT_FALSE(child(1).alive()) << "probe_timeout";
  EXPECT_EQ(alive(), 2u) << "the first one, and one that stands by";
}

TEST_F(StdioHostTest, counts_the_probes_silence_only_once_the_same_command_has_answered) {
  spec.era = model::EraChoice::automatic;
  std::vector<std::pair<FakeChild*, std::string>> kept;
  launcher->script.on_line = [&](FakeChild& each, const std::string& line) {
    kept.emplace_back(&each, line);
  };
  make();
  clock.advance(seconds(10));  // both are slow, as two starts in half a CPU are
  ASSERT_EQ(kept.size(), 2u);
  modern_server(*kept[0].first, kept[0].second);
  clock.advance(seconds(12));
  EXPECT_TRUE(child(1).alive()) << "the sibling took 10 s, and probe_timeout is 3 s";
  launcher->script.on_line = modern_server;
  modern_server(*kept[1].first, kept[1].second);
  clock.run_until_idle();
  EXPECT_EQ((*describe(caller))->era, mcp::Era::modern);
}

TEST_F(StdioHostTest, asks_again_for_the_era_when_neither_process_has_answered) {
  spec.era = model::EraChoice::automatic;
  launcher->script.on_line = [](FakeChild&, const std::string&) {};
  make();
  clock.advance(milliseconds(30'050));
  EXPECT_FALSE(child(0).alive());
  EXPECT_FALSE(child(1).alive());
  launcher->script.on_line = modern_server;
  clock.advance(seconds(5));
  EXPECT_EQ((*describe(caller))->era, mcp::Era::modern);
}

TEST_F(StdioHostTest, takes_a_refusal_that_lists_versions_for_an_answer) {
  spec.era = model::EraChoice::automatic;
  launcher->script.on_line = [](FakeChild& each, const std::string& line) {
    if (each.index() == 1) return each.exit(1);  // the probe fails for reasons of its own
    if (line.find("\"initialize\"") == std::string::npos) return modern_server(each, line);
    each.say(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"Unsupported protocol version",)"
             R"("data":{"supported":["2026-07-28"],"requested":"2025-11-25"}}})");
  };
  make();
  EXPECT_EQ((*describe(caller))->era, mcp::Era::modern);
  EXPECT_TRUE(echo().result().starts_with(R"({"child":2)"));
}

class StdioHostEras : public StdioHostTest {
 protected:
  StdioHostEras() : folder_(std::filesystem::temp_directory_path() / "berth_host_eras_XXXXXX") {
    if (::mkdtemp(folder_.data()) == nullptr) std::abort();
    eras.emplace(folder_ + "/eras", "1");
    spec.era = model::EraChoice::automatic;
  }
  ~StdioHostEras() override { std::filesystem::remove_all(folder_); }

  std::optional<mcp::Era> recorded() { return eras->recall(spec, clock.wall()); }
  void record(mcp::Era era) { ASSERT_TRUE(eras->keep(spec, era, clock.wall())); }

 private:
  std::string folder_;
};

TEST_F(StdioHostEras, are_asked_once_and_remembered) {
  launcher->script.on_line = modern_server;
  make();
  EXPECT_EQ((*describe(caller))->era, mcp::Era::modern);
  EXPECT_EQ(recorded(), mcp::Era::modern);
  drain(Duration(0));
  const std::size_t before = launcher->children().size();
  make();
  EXPECT_EQ(launcher->children().size(), before + 1) << "no probe";
  EXPECT_EQ((*describe(caller))->era, mcp::Era::modern);
}

TEST_F(StdioHostEras, remember_a_legacy_answer_but_not_silence) {
  make();
  EXPECT_EQ((*describe(caller))->era, mcp::Era::legacy);
  EXPECT_EQ(recorded(), mcp::Era::legacy);
  drain(Duration(0));
  ASSERT_TRUE(eras->keep(spec, std::nullopt, clock.wall()));
  launcher->script.on_line = [](FakeChild& each, const std::string& line) {
    if (line.find("server/discover") == std::string::npos) legacy_server(each, line);
  };
  make();
  clock.advance(seconds(10));
  EXPECT_EQ((*describe(caller))->era, mcp::Era::legacy);
  EXPECT_EQ(recorded(), std::nullopt);
}

TEST_F(StdioHostEras, that_were_recalled_wrongly_cost_one_start) {
  record(mcp::Era::modern);
  make();
  const Observer& asked = call(R"({"name":"ask"})", asker);
  EXPECT_EQ(asked.outcome.kind, mcp::Outcome::Kind::input_required) << "with the caller's own capabilities";
  EXPECT_EQ(recorded(), mcp::Era::legacy);
  drain(Duration(0));
  calls.clear();
  launcher->script.on_line = [](FakeChild& each, const std::string& line) {
    if (line.find("\"initialize\"") == std::string::npos) return modern_server(each, line);
    each.say(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"Unsupported protocol version",)"
             R"("data":{"supported":["2026-07-28"],"requested":"2025-11-25"}}})");
  };
  make();
  EXPECT_TRUE(echo().result().find("echo") != std::string::npos);
  EXPECT_EQ(recorded(), mcp::Era::modern);
}

TEST_F(StdioHostTest, starts_no_spare_where_it_would_not_fit) {
  use = {.used = 550u << 20, .limit = 1000u << 20};
  memory = [this] { return use; };
  make();
  echo();
  clock.advance(seconds(2));
  EXPECT_EQ(alive(), 1u);
  use.used = 400u << 20;
  echo();
  clock.advance(seconds(11));
  EXPECT_EQ(alive(), 2u);
}

TEST_F(StdioHostTest, ends_an_idle_process_for_a_caller_whose_own_would_not_fit_in_memory) {
  spec.warm = 0;
  use = {.used = 700u << 20, .limit = 1000u << 20, .own = 100u << 20};
  memory = [this] { return use; };
  make();
  Observer& running = call(R"({"name":"hang"})");
  mcp::Caller other;
  other.principal = "other";
  Observer& waiting = call(R"({"name":"echo"})", other);
  clock.advance(seconds(2));
  EXPECT_EQ(alive(), 1u) << "one of 600 MB does not fit beside one that has a call";
  EXPECT_EQ(waiting.outcomes, 0);
  calls.front().reset();
  clock.advance(seconds(20));
  EXPECT_FALSE(child(0).alive());
  EXPECT_EQ(waiting.result(), R"({"child":1,"params":{"name":"echo"}})");
  EXPECT_EQ(running.outcomes, 0);
}

TEST_F(StdioHostTest, starts_no_spare_after_the_kernel_killed_for_memory) {
  use = {.used = 100u << 20, .limit = 1000u << 20};
  memory = [this] { return use; };
  make();
  echo();
  clock.advance(seconds(2));
  ASSERT_EQ(alive(), 2u);
  ++use.kills;
  child(1).die(SIGKILL);
  clock.advance(seconds(2));
  echo();
  clock.advance(seconds(2));
  EXPECT_EQ(alive(), 1u);
}

TEST_F(StdioHostTest, names_a_kill_for_want_of_memory_and_no_other) {
  use = {.used = 100, .limit = 512u << 20, .kills = 7};
  memory = [this] { return use; };
  make();
  const Observer& first = call(R"({"name":"hang"})");
  ++use.kills;
  child(0).die(SIGKILL);
  clock.run_until_idle();
  EXPECT_EQ(first.error(),
            "The call may have run; its end is unknown. The server was killed by the kernel: the "
            "task's 512 MB of memory (tasks.memory) are used up.");
  EXPECT_EQ(host->health().oom_kills, 1u);
  const Observer& second = call(R"({"name":"hang"})");
  child(1).die(SIGKILL);
  clock.run_until_idle();
  EXPECT_EQ(second.error(),
            "The call may have run; its end is unknown. The server was killed by signal 9 (SIGKILL).");
  EXPECT_EQ(host->health().oom_kills, 1u);
  EXPECT_EQ(host->health().restarts, 2u);
}

TEST_F(StdioHostTest, says_what_was_written_to_stdout_before_the_handshake) {
  launcher->script.on_start = [](FakeChild& each) {
    each.say("API_TOKEN is not set");
    each.exit(1);
  };
  make();
  EXPECT_NE(host->health().reason.whole().find("API_TOKEN is not set"), std::string::npos);
}

TEST_F(StdioHostTest, takes_the_exit_of_the_probe_for_legacy) {
  spec.era = model::EraChoice::automatic;
  launcher->script.on_line = [](FakeChild& each, const std::string& line) {
    if (line.find("server/discover") != std::string::npos) return each.exit(101);
    legacy_server(each, line);
  };
  make();
  EXPECT_EQ(echo().result(), R"({"child":0,"params":{"name":"echo"}})");
  EXPECT_TRUE(host->health().ready);
}

TEST_F(StdioHostTest, serves_a_dual_era_server_with_the_modern_protocol) {
  spec.era = model::EraChoice::automatic;
  launcher->script.on_line = modern_server;
  make();
  EXPECT_FALSE(child(0).alive()) << "the legacy child is replaced";
  EXPECT_TRUE(child(1).alive()) << "the probe has become the warm child";
  EXPECT_EQ(alive(), 1u);
  const std::string result = call(R"({"name":"echo"})", asker).result();
  EXPECT_TRUE(
      result.starts_with(R"({"child":1,"params":{"_meta":{"io.modelcontextprotocol/protocolVersion")"));
  EXPECT_EQ((*describe(caller))->era, mcp::Era::modern);
  EXPECT_TRUE(echo().result().starts_with(R"({"child":1)")) << "callers share a modern child";
}

TEST_F(StdioHostTest, finds_a_server_that_refuses_initialize_to_be_modern) {
  spec.era = model::EraChoice::automatic;
  launcher->script.on_line = [](FakeChild& each, const std::string& line) {
    if (line.find("\"initialize\"") == std::string::npos) return modern_server(each, line);
    each.say(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"only 2026-07-28"}})");
  };
  make();
  EXPECT_TRUE(host->health().ready);
  EXPECT_TRUE(echo().result().starts_with(R"({"child":1)"));
}

TEST_F(StdioHostTest, moves_waiting_calls_and_watches_to_the_modern_children) {
  spec.era = model::EraChoice::automatic;
  std::vector<std::pair<FakeChild*, std::string>> kept;
  launcher->script.on_line = [&](FakeChild& each, const std::string& line) {
    if (line.find("server/discover") == std::string::npos) return modern_server(each, line);
    kept.emplace_back(&each, line);
  };
  make();
  Observer& waiting = call(R"({"name":"echo"})", asker);
  host->watch_resource(asker, "a:1");
  clock.advance(milliseconds(10));
  EXPECT_EQ(waiting.outcomes, 0);
  launcher->script.on_line = modern_server;
  modern_server(*kept.at(0).first, kept.at(0).second);
  clock.run_until_idle();
  EXPECT_TRUE(waiting.result().starts_with(R"({"child":1)"));
  EXPECT_TRUE(child(1).lines.at(1).find(R"("resourceSubscriptions":["a:1"])") != std::string::npos);
  host->unwatch_resource(asker, "a:1");
  EXPECT_EQ(alive(), 2u) << "it, and one that stands by";
}

Task<void> rest_into(ServerHost& host, bool& done) {
  co_await host.rest();
  done = true;
}

TEST_F(StdioHostTest, runs_the_one_process_of_a_service_from_its_waking_to_its_rest) {
  spec.isolation = model::Isolation::service;
  spec.era = model::EraChoice::automatic;
  make();
  EXPECT_EQ(launcher->children().size(), 0u);
  EXPECT_TRUE(host->health().ready && host->health().rests);
  host->wake();
  clock.run_until_idle();
  mcp::Caller other = asker;
  other.principal = "other";
  const std::string answered = R"({"child":0,"params":{"name":"echo"}})";
  EXPECT_EQ(echo().result(), answered);
  EXPECT_EQ(call(R"({"name":"echo"})", other).result(), answered) << "whoever it is and whatever he can";
  clock.advance(seconds(5));
  EXPECT_EQ(launcher->children().size(), 1u) << "neither a probe nor a spare";
  const Observer& cut = call(R"({"name":"hang"})");
  bool done = false;
  TaskScope scope(clock.executor());
  scope.spawn(rest_into(*host, done));
  for (int i = 0; i < 100 && !done; ++i) clock.advance(milliseconds(100));
  EXPECT_TRUE(done);
  EXPECT_TRUE(cut.error().starts_with("The call may have run")) << cut.error();
  EXPECT_EQ(alive(), 0u);
  host->wake();
  EXPECT_EQ(echo().result(), R"({"child":1,"params":{"name":"echo"}})");
}

}  // namespace
}  // namespace berth::task
