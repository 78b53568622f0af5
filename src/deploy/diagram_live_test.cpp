#include "deploy/diagram_live.h"

#include <gtest/gtest.h>

#include "aws/testing/fake_client.h"
#include "base/testing/sim_clock.h"

namespace berth::deploy {
namespace {

Task<void> read_into(aws::Client& client, Result<LiveState>& live) {
  Names names{"demo-base", "demo", "demo", "/berth/demo"};
  WallTime now{std::chrono::seconds(1'795'378'500)};
  live = co_await read_live_state(client, names, now);
}

Result<LiveState> read(aws::Client& client) {
  Result<LiveState> live = fail(ErrorCode::internal, "nothing was read");
  asio::io_context loop;
  ::berth::testing::SimClock clock(loop);
  TaskScope scope(loop.get_executor());
  scope.spawn(read_into(client, live));
  clock.run_until_idle();
  return live;
}

TEST(LiveState, is_read_from_stack_service_tasks_and_alarms) {
  aws::testing::FakeClient client;
  client.answer("cloudformation", "DescribeStacks", R"({"Stacks": [{"Outputs": [
    {"OutputKey": "ServiceName", "OutputValue": "demo"},
    {"OutputKey": "Url", "OutputValue": "https://d1.cloudfront.net"}]}]})");
  client.answer("ecs", "DescribeServices", R"({"services": [{"desiredCount": 3}]})");
  client.answer("ecs", "ListTasks", R"({"taskArns": ["a", "b", "c"]})");
  client.answer("ecs", "DescribeTasks", R"({"tasks": [
    {"availabilityZone": "us-east-1a", "capacityProviderName": "FARGATE", "lastStatus": "RUNNING",
     "healthStatus": "HEALTHY", "containers": [{"image": "1.dkr/demo@sha256:0123456789abcdef"}]},
    {"availabilityZone": "us-east-1b", "capacityProviderName": "FARGATE_SPOT", "lastStatus": "PENDING"},
    {"availabilityZone": "us-east-1b", "lastStatus": "RUNNING", "healthStatus": "UNHEALTHY",
     "containers": [{"image": "1.dkr/demo:v3"}]},
    {"lastStatus": "STOPPING"}]})");
  client.answer("monitoring", "DescribeAlarms", R"({"MetricAlarms": [
    {"AlarmActions": ["arn:aws:sns:us-east-1:1:demo"]},
    {"AlarmActions": ["arn:aws:autoscaling:us-east-1:1:scalingPolicy:x"]}]})");
  Result<LiveState> live = read(client);
  ASSERT_TRUE(live) << live.error().message();
  EXPECT_EQ(live->as_of, "2026-11-22 20:15 UTC");
  EXPECT_EQ(live->url, "https://d1.cloudfront.net");
  EXPECT_EQ(live->image, "01234567");
  EXPECT_EQ(live->desired, 3u);
  EXPECT_EQ(live->alarms_ringing, 1u);
  ASSERT_EQ(live->tasks.size(), 4u);
  EXPECT_EQ(live->tasks[0].health, "healthy");
  EXPECT_TRUE(live->tasks[1].spot);
  EXPECT_EQ(live->tasks[1].health, "starting");
  EXPECT_EQ(live->tasks[2].health, "unhealthy");
  EXPECT_EQ(live->tasks[3].health, "draining");
}

TEST(LiveState, without_a_stack_says_that_nothing_is_deployed) {
  aws::testing::FakeClient client;
  client.fail("cloudformation", "DescribeStacks", "ValidationError", "Stack with id demo does not exist");
  Result<LiveState> live = read(client);
  ASSERT_FALSE(live);
  EXPECT_EQ(live.error().message(),
            "There is no stack demo in us-east-1: the service is not deployed there.");
}

TEST(LiveState, that_may_not_be_read_names_the_call) {
  aws::testing::FakeClient client;
  client.answer("cloudformation", "DescribeStacks", R"({"Stacks": [{}]})");
  client.fail("ecs", "DescribeServices", "AccessDeniedException", "not authorized", 403);
  Result<LiveState> live = read(client);
  ASSERT_FALSE(live);
  EXPECT_NE(live.error().message().find("DescribeServices"), std::string::npos);
}

}  // namespace
}  // namespace berth::deploy
