#include "net/connection_budget.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "base/testing/sim_clock.h"
#include "net/accept_failures.h"

namespace berth::net {
namespace {

using namespace std::chrono_literals;

class LineLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField> fields) override {
    lines.emplace_back(event);
    for (const LogField& field : fields) {
      if (const auto* number = std::get_if<std::int64_t>(&field.value))
        lines.back() += " " + std::string(field.name) + "=" + std::to_string(*number);
    }
  }
  std::vector<std::string> lines;
};

TEST(ConnectionBudget, IsWhatTheDescriptorsLeave) {
  const std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  EXPECT_EQ(connections_within({unlimited, 100, 2}, 8000), 8000u);
  EXPECT_EQ(connections_within({1024, 100, 2}, 8000), 462u);
  EXPECT_EQ(connections_within({1024, 100, 2}, 50), 50u);
  EXPECT_EQ(connections_within({64, 100, 2}, 8000), 8u) << "a few in any case";
}

TEST(ConnectionBudget, SaysWhenItIsLessThanWasAskedFor) {
  LineLog log;
  EXPECT_EQ(limit_connections({1024, 100, 2}, 400, log), 400u);
  EXPECT_TRUE(log.lines.empty());
  EXPECT_EQ(limit_connections({1024, 100, 2}, 8000, log), 462u);
  EXPECT_EQ(log.lines, (std::vector<std::string>{
                           "connections_max_lowered connections_max=8000 allowed=462 descriptors=1024"}));
}

TEST(AcceptFailures, RestAndAreToldNowAndThen) {
  asio::io_context loop;
  berth::testing::SimClock clock(loop);
  LineLog log;
  AcceptFailures failures(clock, log, Endpoint{"127.0.0.1", 80});
  int rests = 0;
  const auto fail_for = [](AcceptFailures& told, Clock& time, Duration how_long, int& count) -> Task<void> {
    const TimePoint until = time.now() + how_long;
    for (; time.now() < until; ++count) co_await told.rest(Error(ErrorCode::resource_exhausted, "no more"));
  };
  TaskScope scope(loop.get_executor());
  scope.spawn(fail_for(failures, clock, 6s, rests));
  clock.advance(6s);
  EXPECT_EQ(rests, 60);
  EXPECT_EQ(log.lines, (std::vector<std::string>{"accept_failed failures=1", "accept_failed failures=50"}));
}

}  // namespace
}  // namespace berth::net
