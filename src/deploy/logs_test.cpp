#include "deploy/logs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "aws/testing/fake_client.h"
#include "base/testing/sim_clock.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// One event of an answer of FilterLogEvents.
std::string event(std::string_view id, std::int64_t time_ms, std::string_view task, std::string_view text) {
  return fmt::format(R"({{"eventId":"{}","timestamp":{},"logStreamName":"task/berth/{}","message":"{}"}})",
                     id, time_ms, task, text);
}
std::string page(const std::vector<std::string>& events, std::string_view token = "") {
  return fmt::format(R"({{"events":[{}]{}}})", fmt::join(events, ","),
                     token.empty() ? "" : fmt::format(R"(,"nextToken":"{}")", token));
}

class Logs : public ::testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    TaskScope scope(clock.executor());
    scope.spawn([](Task<T> inner, std::optional<T>& out) -> Task<void> { out = co_await std::move(inner); }(
                                                             std::move(task), result));
    clock.run_until_idle();
    return std::move(result).value();
  }
  static std::string shown(const aws::Reply<std::vector<LogLine>>& lines) {
    if (!lines) return lines.error().code;
    std::string out;
    for (const LogLine& line : *lines) out += line.task + ":" + line.text + " ";
    return out;
  }
  std::string read(LogQuery query) {
    auto task = read_lines(client, clock, std::move(query));
    return shown(run(std::move(task)));
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  aws::testing::FakeClient client;
};

TEST_F(Logs, OfAllTasksAreMergedByTime) {
  client.answer("logs", "FilterLogEvents",
                page({event("1", 100, "a", "one\\n"), event("3", 300, "a", "three")}, "t"));
  client.answer("logs", "FilterLogEvents", page({event("2", 200, "b", "two")}));
  EXPECT_EQ(read({.group = "/berth/x", .task = {}, .since_ms = 50, .lines = 0}), "a:one b:two a:three ");
  EXPECT_EQ(client.inputs("logs", "FilterLogEvents").at(1).at("nextToken"), "t");
}

TEST_F(Logs, OfOneTaskAreAskedByItsStream) {
  client.answer("logs", "FilterLogEvents", page({}));
  EXPECT_EQ(read({.group = "/berth/x", .task = "ab12", .since_ms = 50}), "");
  EXPECT_EQ(client.inputs("logs", "FilterLogEvents").at(0).at("logStreamNamePrefix"), "task/berth/ab12");
}

TEST_F(Logs, LookFurtherBackUntilThereAreEnough) {
  client.answer("logs", "FilterLogEvents", page({event("2", 200, "a", "two")}));
  client.answer(
      "logs", "FilterLogEvents",
      page({event("0", 10, "a", "zero"), event("1", 100, "a", "one"), event("2", 200, "a", "two")}));
  EXPECT_EQ(read({.group = "g", .task = {}, .since_ms = {}, .lines = 2}), "a:one a:two ");
  EXPECT_EQ(client.count("logs", "FilterLogEvents"), 2u);
}

TEST_F(Logs, ThatCannotBeReadAreAFault) {
  client.fail("logs", "FilterLogEvents", "ResourceNotFoundException", "no such group");
  EXPECT_EQ(read({.group = "g", .task = {}, .since_ms = 0}), "ResourceNotFoundException");
}

TEST_F(Logs, FollowedGiveEachLineOnceHoweverLateItComes) {
  client.answer("logs", "FilterLogEvents", page({event("1", 100'000, "a", "one")}));
  client.answer("logs", "FilterLogEvents",
                page({event("0", 99'000, "b", "late"), event("1", 100'000, "a", "one"),
                      event("2", 101'000, "a", "two")}));
  client.answer("logs", "FilterLogEvents",
                page({event("0", 99'000, "b", "late"), event("2", 101'000, "a", "two")}));
  LogFollower follower(client, {.group = "g", .task = {}, .since_ms = {}}, {},
                       WallTime(std::chrono::seconds(90)));
  auto first = follower.next();
  EXPECT_EQ(shown(run(std::move(first))), "a:one ");
  auto second = follower.next();
  EXPECT_EQ(shown(run(std::move(second))), "b:late a:two ");
  auto third = follower.next();
  EXPECT_EQ(shown(run(std::move(third))), "");
  EXPECT_EQ(client.inputs("logs", "FilterLogEvents").at(2).at("startTime"), 86'000);
}

TEST_F(Logs, FollowedLeaveOutWhatWasThereAndWasNotAskedFor) {
  client.answer("logs", "FilterLogEvents",
                page({event("1", 98'000, "a", "one"), event("2", 99'000, "b", "two"),
                      event("3", 100'000, "a", "three")}));
  const std::vector<LogLine> shown_already{{.id = "2", .time_ms = 99'000, .task = "b", .text = "two"}};
  LogFollower follower(client, {.group = "g", .task = {}, .since_ms = {}, .lines = 1}, shown_already,
                       WallTime(std::chrono::seconds(99)));
  auto next = follower.next();
  EXPECT_EQ(shown(run(std::move(next))), "a:three ");
}

TEST_F(Logs, FollowedOutliveATroubledNetwork) {
  client.fail("logs", "FilterLogEvents", "NetworkError", "gone", 0);
  client.fail("logs", "FilterLogEvents", "AccessDeniedException", "no", 400);
  LogFollower follower(client, {.group = "g", .task = {}, .since_ms = {}}, {}, WallTime{});
  auto first = follower.next();
  EXPECT_EQ(shown(run(std::move(first))), "");
  auto second = follower.next();
  EXPECT_EQ(shown(run(std::move(second))), "AccessDeniedException");
}

TEST(LogsSince, IsATimeBeforeNowOrAMoment) {
  const WallTime now(std::chrono::seconds(1'000'000));
  EXPECT_EQ(parse_since("90s", now).value(), 999'910'000);
  EXPECT_EQ(parse_since("15m", now).value(), 999'100'000);
  EXPECT_EQ(parse_since("2h", now).value(), 992'800'000);
  EXPECT_EQ(parse_since("3d", now).value(), 740'800'000);
  EXPECT_EQ(parse_since("1970-01-02T00:00:00Z", now).value(), 86'400'000);
  for (const std::string_view text : {"", "h", "15", "15 m", "-1h", "9999999999999d", "367d", "yesterday"}) {
    EXPECT_FALSE(parse_since(text, now)) << text;
  }
}

TEST(LogsMetrics, AreToldFromLinesForPeople) {
  EXPECT_TRUE(is_metrics(R"({"_aws":{"Timestamp":1,"CloudWatchMetrics":[]},"Calls":1})"));
  EXPECT_FALSE(is_metrics(R"({"time":"x","event":"_aws"})"));
  EXPECT_FALSE(is_metrics("plain"));
}

}  // namespace
}  // namespace berth::deploy
