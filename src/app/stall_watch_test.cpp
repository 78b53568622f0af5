#include "app/stall_watch.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <future>
#include <string>

namespace berth::app {
namespace {

using namespace std::chrono_literals;

/// Hands over its first line.
class FirstLine final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField>) override {
    if (!std::exchange(told_, true)) line.set_value(std::string(event));
  }
  std::promise<std::string> line;

 private:
  bool told_ = false;
};

TEST(StallWatch, SaysThatTheLoopDoesNotTurnWhileItDoesNot) {
  boost::asio::io_context loop;
  const auto clock = make_real_clock(loop.get_executor());
  FirstLine log;
  const StallWatch watch(*clock, log, 20ms);
  // Nobody runs the loop.
  EXPECT_EQ(log.line.get_future().get(), "event_loop_stalled");
}

TEST(StallWatch, EndsAtOnceWhileItWaits) {
  boost::asio::io_context loop;
  const auto clock = make_real_clock(loop.get_executor());
  FirstLine log;
  const auto began = std::chrono::steady_clock::now();
  {
    const StallWatch watch(*clock, log, 1h);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, 1min);
}

}  // namespace
}  // namespace berth::app
