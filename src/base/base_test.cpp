#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/signal.h"
#include "base/task.h"
#include "base/testing/sim_clock.h"

namespace berth {
namespace {

using namespace std::chrono_literals;

Task<void> sleep_then_count(Clock& clock, Duration duration, int& count) {
  co_await clock.sleep_for(duration);
  ++count;
}

TEST(TaskScope, JoinsEveryChildInVirtualTime) {
  asio::io_context loop;
  testing::SimClock clock(loop);
  TaskScope scope(loop.get_executor());
  int done = 0;
  for (int i = 1; i <= 3; ++i) scope.spawn(sleep_then_count(clock, i * 1h, done));
  clock.advance(2h);
  EXPECT_EQ(done, 2);
  EXPECT_EQ(scope.size(), 1u);
  clock.advance(1h);
  EXPECT_EQ(done, 3);
  EXPECT_EQ(scope.size(), 0u);
}

Task<void> join_then_flag(TaskScope& scope, bool& joined) {
  co_await scope.join();
  joined = true;
}

TEST(TaskScope, CancelUnwindsSleepersAndJoinReturns) {
  asio::io_context loop;
  testing::SimClock clock(loop);
  TaskScope outer(loop.get_executor());
  TaskScope scope(loop.get_executor());
  int done = 0;
  bool joined = false;
  for (int i = 0; i < 10; ++i) scope.spawn(sleep_then_count(clock, 1h, done));
  outer.spawn(join_then_flag(scope, joined));
  clock.run_until_idle();
  EXPECT_FALSE(joined);
  scope.cancel();
  clock.run_until_idle();
  EXPECT_TRUE(joined);
  EXPECT_EQ(done, 0);
}

Task<void> wait_for(Signal& signal) { co_await signal.wait(); }

TEST(TaskScope, AChildThatEndsWhileItsCancellationIsUnderWayIsLeftInPeace) {
  asio::io_context loop;
  testing::SimClock clock(loop);
  Signal signal(loop.get_executor());
  TaskScope scope(loop.get_executor());
  scope.spawn(wait_for(signal));
  clock.run_until_idle();
  signal.notify();
  scope.cancel();
  clock.run_until_idle();
  EXPECT_EQ(scope.size(), 0u);
}

Task<void> spawn_and_look(TaskScope& scope, Clock& clock, int& done, int& done_inside) {
  scope.spawn(sleep_then_count(clock, 0h, done));
  done_inside = done;
  co_return;
}

TEST(TaskScope, ATaskNeverStartsInsideSpawn) {
  asio::io_context loop;
  testing::SimClock clock(loop);
  TaskScope scope(loop.get_executor());
  int done = 0;
  int done_inside = -1;
  scope.spawn(spawn_and_look(scope, clock, done, done_inside));
  clock.advance(1ns);
  EXPECT_EQ(done_inside, 0);
  EXPECT_EQ(done, 1);
}

Task<void> count_and_cancel(TaskScope& scope, Clock& clock, int& count) {
  ++count;
  scope.cancel();
  co_await clock.sleep_for(1h);
  ++count;
}

TEST(TaskScope, CancelEndsTasksThatHaveNotStartedOrAreRunning) {
  asio::io_context loop;
  testing::SimClock clock(loop);
  TaskScope scope(loop.get_executor());
  int done = 0;
  int count = 0;
  scope.spawn(count_and_cancel(scope, clock, count));
  clock.run_until_idle();
  EXPECT_EQ(count, 1);
  scope.spawn(sleep_then_count(clock, 0h, done));
  clock.advance(1h);
  EXPECT_EQ(done, 0);
  TaskScope fresh(loop.get_executor());
  fresh.spawn(sleep_then_count(clock, 0h, done));
  fresh.cancel();
  clock.advance(1h);
  EXPECT_EQ(done, 0);
  EXPECT_EQ(scope.size() + fresh.size(), 0u);
}

Task<void> wait_then_count(Signal& signal, int& count) {
  co_await signal.wait();
  ++count;
}

Task<void> step_then_count(Executor executor, int& count) {
  co_await step(executor);
  ++count;
}

Task<void> join_then_count(TaskScope& scope, int& count) {
  co_await scope.join();
  ++count;
}

Task<void> pop_then_count(Queue<int>& queue, int& count) {
  co_await queue.pop();
  ++count;
}

TEST(TaskScope, CancelBetweenNotifyAndResumeUnwindsBeforeTheNextLineRuns) {
  asio::io_context loop;
  testing::SimClock clock(loop);
  Signal signal(loop.get_executor());
  Queue<int> queue(loop.get_executor());
  TaskScope idle(loop.get_executor());
  TaskScope scope(loop.get_executor());
  Signal kept(loop.get_executor());
  int ran_on = 0;
  idle.spawn(wait_for(kept));
  scope.spawn(wait_then_count(signal, ran_on));
  scope.spawn(pop_then_count(queue, ran_on));
  scope.spawn(sleep_then_count(clock, 1h, ran_on));
  scope.spawn(join_then_count(idle, ran_on));
  clock.run_until_idle();
  scope.spawn(step_then_count(loop.get_executor(), ran_on));
  loop.restart();
  loop.run_one();  // it has started
  scope.spawn(sleep_then_count(clock, 0h, ran_on));
  // In the loop, as a client that leaves does it: from outside, cancel() itself is posted, after the rest.
  asio::post(loop, [&] {
    signal.notify();
    queue.push(1);
    kept.notify();
    scope.cancel();
  });
  clock.advance(1h);
  EXPECT_EQ(ran_on, 0);
  EXPECT_EQ(scope.size() + idle.size(), 0u);
  EXPECT_EQ(queue.size(), 1u);
  // Who waits next hears what the cancelled one did not take.
  TaskScope next(loop.get_executor());
  next.spawn(wait_then_count(signal, ran_on));
  clock.run_until_idle();
  EXPECT_EQ(ran_on, 1);
}

Task<void> collect(Queue<int>& queue, std::vector<int>& out, int count) {
  for (int i = 0; i < count; ++i) {
    const int item = co_await queue.pop();
    out.push_back(item);
  }
}

TEST(Queue, DeliversInOrderWhetherPushedBeforeOrAfterThePop) {
  asio::io_context loop;
  testing::SimClock clock(loop);
  Queue<int> queue(loop.get_executor());
  std::vector<int> out;
  queue.push(1);
  TaskScope scope(loop.get_executor());
  scope.spawn(collect(queue, out, 3));
  clock.run_until_idle();
  EXPECT_EQ(out, (std::vector{1}));
  queue.push(2);
  queue.push(3);
  clock.run_until_idle();
  EXPECT_EQ(out, (std::vector{1, 2, 3}));
}

TEST(Timer, ACancelledTimerDoesNotFire) {
  asio::io_context loop;
  testing::SimClock clock(loop);
  int fired = 0;
  const auto timer = clock.make_timer();
  timer->arm(clock.now() + 1s, [&] { ++fired; });
  timer->cancel();
  clock.advance(2s);
  EXPECT_EQ(fired, 0);
  timer->arm(clock.now() + 1s, [&] { ++fired; });
  clock.advance(999ms);
  EXPECT_EQ(fired, 0);
  clock.advance(1ms);
  EXPECT_EQ(fired, 1);
}

TEST(Timer, ARealTimerFiresAndItsCancelHoldsEvenWhenAlreadyDue) {
  asio::io_context loop;
  const auto clock = make_real_clock(loop.get_executor());
  int fired = 0;
  const auto first = clock->make_timer();
  const auto second = clock->make_timer();
  second->arm(clock->now(), [&] { fired += 10; });
  first->arm(clock->now() - 1ms, [&] {
    ++fired;
    second->cancel();
  });
  loop.run();
  EXPECT_EQ(fired, 1);
}

TEST(Error, KeepsCodeAndAddsContextInFront) {
  const Error error(ErrorCode::not_found, "no server named 'x'");
  const Error outer = error.within("berth call");
  EXPECT_EQ(outer.code(), ErrorCode::not_found);
  EXPECT_EQ(outer.message(), "berth call: no server named 'x'");
  EXPECT_EQ(sizeof(void*) * 2, sizeof(Error));
}

TEST(Log, QuotesWhatJsonMustAndReplacesWhatIsNotUtf8) {
  EXPECT_EQ(json_quote("a\"b\\c\n\x01é\xff"), "\"a\\\"b\\\\c\\n\\u0001é\xEF\xBF\xBD\"");
}

TEST(Files, AreReadToTheirEndOrToTheLimit) {
  for (const std::size_t bytes_max : {std::size_t{5}, std::size_t{4}}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const Descriptor reading(ends[0]);
    Descriptor writing(ends[1]);
    EXPECT_TRUE(write_all(writing.number(), "hello"));
    EXPECT_TRUE(writing.close());
    std::string text;
    EXPECT_EQ(read_all(reading.number(), bytes_max, text),
              bytes_max == 5 ? ReadEnd::whole : ReadEnd::too_long);
    EXPECT_EQ(text, "hello");
  }
  std::string text;
  EXPECT_EQ(read_all(-1, 10, text), ReadEnd::failed);
  EXPECT_EQ(errno, EBADF);
  EXPECT_FALSE(write_all(-1, "hello"));
}

TEST(Random, HexHasTheAskedLengthAndDiffers) {
  const std::string a = random_hex(16);
  EXPECT_EQ(a.size(), 32u);
  EXPECT_NE(a, random_hex(16));
}

TEST(WallTimeText, IsRfc3339Utc) {
  EXPECT_EQ(to_rfc3339(WallTime(std::chrono::milliseconds(1795305600123))), "2026-11-22T00:00:00.123Z");
}

}  // namespace
}  // namespace berth
