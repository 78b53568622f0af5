#include "deploy/rollout.h"

#include <gtest/gtest.h>

#include "aws/testing/fake_client.h"
#include "base/testing/sim_clock.h"

namespace berth::deploy {
namespace {

class Rollouts : public ::testing::Test {
 protected:
  std::vector<TaskEnd> stopped(StoppedFilter filter) {
    std::vector<TaskEnd> out;
    TaskScope scope(clock.executor());
    scope.spawn([](aws::Client& of, StoppedFilter which, std::vector<TaskEnd>& to) -> Task<void> {
      auto found = co_await stopped_tasks(of, "app", "app", std::move(which));
      if (found) to = std::move(*found);
    }(client, std::move(filter), out));
    clock.run_until_idle();
    return out;
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  aws::testing::FakeClient client;
};

TEST_F(Rollouts, tasks_that_stopped_before_an_operation_say_nothing_about_it) {
  client.answer("ecs", "ListTasks",
                R"({"taskArns":["arn:aws:ecs:r:1:task/app/before","arn:aws:ecs:r:1:task/app/after",
                   "arn:aws:ecs:r:1:task/app/stopping","arn:aws:ecs:r:1:task/app/known"]})");
  client.answer("ecs", "DescribeTasks",
                R"({"tasks":[{"taskArn":"arn:aws:ecs:r:1:task/app/before","stoppedAt":1795305599.5},
                   {"taskArn":"arn:aws:ecs:r:1:task/app/after","stoppedAt":1795305600.5},
                   {"taskArn":"arn:aws:ecs:r:1:task/app/stopping"}]})");
  client.answer("ecs", "DescribeTaskDefinition", R"({"taskDefinition":{"containerDefinitions":[]}})");
  const std::vector<TaskEnd> ends = stopped({.known = {"known"}, .since = 1795305600});
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[0].id, "after");
  EXPECT_EQ(ends[1].id, "stopping");
}

TEST_F(Rollouts, of_events_those_since_a_moment_are_told) {
  ServiceState state;
  state.events = {"old", "new"};
  state.event_times = {10, 20};
  EXPECT_EQ(events_since(state, 15), (std::vector<std::string>{"new"}));
  EXPECT_EQ(events_since(state, 0), state.events);
}

}  // namespace
}  // namespace berth::deploy
