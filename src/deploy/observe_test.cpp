#include "deploy/observe.h"

#include <gtest/gtest.h>

#include "aws/testing/fake_client.h"
#include "base/testing/sim_clock.h"

namespace berth::deploy {
namespace {

class Observe : public ::testing::Test {
 protected:
  aws::Reply<LiveService> look() {
    std::optional<aws::Reply<LiveService>> live;
    TaskScope scope(clock.executor());
    scope.spawn([](aws::Client& of, std::optional<aws::Reply<LiveService>>& out) -> Task<void> {
      out = co_await observe(of, "files");
    }(client, live));
    clock.run_until_idle();
    return std::move(live).value();
  }

  void script() {
    client.answer("cloudformation", "DescribeStacks",
                  R"({"Stacks":[{"StackName":"files","StackStatus":"CREATE_COMPLETE","Outputs":[
                     {"OutputKey":"ClusterName","OutputValue":"files"},
                     {"OutputKey":"ServiceName","OutputValue":"files"},
                     {"OutputKey":"TargetGroupArn","OutputValue":"tg"},
                     {"OutputKey":"Url","OutputValue":"https://x"}]}]})");
    client.answer(
        "ecs", "DescribeServices",
        R"({"services":[{"serviceName":"files","status":"ACTIVE","desiredCount":2,"runningCount":2}]})");
    client.answer("ecs", "ListTasks", R"({"taskArns":["arn:aws:ecs:r:1:task/files/bbb"],"nextToken":"n"})");
    client.answer("ecs", "ListTasks", R"({"taskArns":["arn:aws:ecs:r:1:task/files/aaa"]})");
    client.answer("ecs", "DescribeTasks",
                  R"({"tasks":[
                     {"taskArn":"arn:aws:ecs:r:1:task/files/bbb","availabilityZone":"us-east-1b",
                      "lastStatus":"RUNNING",
                      "healthStatus":"HEALTHY","startedAt":1795305600.5,"capacityProviderName":"FARGATE_SPOT",
                      "containers":[{"image":"repo@sha256:1"}],
                      "attachments":[{"details":[{"name":"privateIPv4Address","value":"10.0.0.2"}]}]},
                     {"taskArn":"arn:aws:ecs:r:1:task/files/aaa","availabilityZone":"us-east-1a",
                      "lastStatus":"RUNNING",
                      "containers":[{"networkInterfaces":[{"privateIpv4Address":"10.0.0.1"}]}]}]})");
    client.answer("elasticloadbalancing", "DescribeTargetHealth",
                  R"({"TargetHealthDescriptions":[
                     {"Target":{"Id":"10.0.0.1"},"TargetHealth":{"State":"healthy"}},
                     {"Target":{"Id":"10.0.0.2"},"TargetHealth":{"State":"unhealthy",
                                                                "Reason":"Target.Timeout",
                                                                "Description":"Request timed out"}},
                     {"Target":{"Id":"10.0.0.9"},"TargetHealth":{"State":"draining"}}]})");
    client.answer("cloudformation", "ListStackResources",
                  R"({"StackResourceSummaries":[{"LogicalResourceId":"A","PhysicalResourceId":"files-errors",
                     "ResourceType":"AWS::CloudWatch::Alarm"},{"ResourceType":"AWS::EC2::VPC"}]})");
    client.answer("monitoring", "DescribeAlarms",
                  R"({"MetricAlarms":[{"AlarmName":"files-errors","StateValue":"OK"}]})");
    client.answer("application-autoscaling", "DescribeScalableTargets",
                  R"({"ScalableTargets":[{"MinCapacity":2,"MaxCapacity":5}]})");
    client.answer("application-autoscaling", "DescribeScheduledActions",
                  R"json({"ScheduledActions":[{"Schedule":"cron(0 20 * * ? *)","Timezone":"UTC",
                     "ScalableTargetAction":{"MinCapacity":0,"MaxCapacity":0}}]})json");
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  aws::testing::FakeClient client;
};

TEST_F(Observe, BringsTasksAndTheirTargetsTogether) {
  script();
  const auto live = look();
  ASSERT_TRUE(live);
  ASSERT_EQ(live->tasks.size(), 2u);
  EXPECT_EQ(live->tasks[0].id, "aaa") << "by zone";
  EXPECT_EQ(live->tasks[0].target, "healthy");
  EXPECT_EQ(live->tasks[1].target_reason, "Target.Timeout: Request timed out");
  EXPECT_EQ(live->tasks[1].capacity, "FARGATE_SPOT");
  EXPECT_EQ(live->tasks[1].image, "repo@sha256:1");
  EXPECT_EQ(live->healthy(), 1u);
  EXPECT_FALSE(is_healthy(*live));
  EXPECT_EQ(live->url(), "https://x");
  EXPECT_EQ(client.inputs("monitoring", "DescribeAlarms").at(0).at("AlarmNames"),
            boost::json::array{"files-errors"});
  ASSERT_TRUE(live->scaling);
  EXPECT_EQ(live->scaling->schedules.at(0), "cron(0 20 * * ? *) UTC: 0 to 0");
  EXPECT_TRUE(live->gaps.empty());
  const boost::json::object shown = to_json(*live);
  EXPECT_EQ(shown.at("service").at("healthy").to_number<int>(), 1);
  EXPECT_EQ(shown.at("tasks").as_array().size(), 2u);
}

TEST_F(Observe, TellsWhatMayNotBeSeenAndShowsTheRest) {
  aws::testing::FakeClient& fake = client;
  fake.answer("cloudformation", "DescribeStacks",
              R"({"Stacks":[{"StackName":"files","StackStatus":"CREATE_COMPLETE","Outputs":[
                 {"OutputKey":"ClusterName","OutputValue":"c"},
                 {"OutputKey":"ServiceName","OutputValue":"s"}]}]})");
  fake.answer("ecs", "DescribeServices", R"({"services":[{"status":"ACTIVE","desiredCount":0}]})");
  fake.answer("ecs", "ListTasks", R"({"taskArns":[]})");
  fake.answer(
      "cloudformation", "ListStackResources",
      R"({"StackResourceSummaries":[{"PhysicalResourceId":"a","ResourceType":"AWS::CloudWatch::Alarm"}]})");
  fake.fail("monitoring", "DescribeAlarms", "AccessDenied",
            "User: u is not authorized to perform: cloudwatch:DescribeAlarms", 403);
  fake.fail("application-autoscaling", "DescribeScalableTargets", "ValidationException", "odd");
  const auto live = look();
  ASSERT_TRUE(live);
  EXPECT_EQ(live->gaps,
            (std::vector<std::string>{"alarms: cloudwatch:DescribeAlarms is not allowed", "scaling: odd"}));
}

TEST_F(Observe, FindsNoServiceWithoutAStack) {
  client.fail("cloudformation", "DescribeStacks", "ValidationError", "Stack with id files does not exist");
  const auto live = look();
  ASSERT_TRUE(live);
  EXPECT_FALSE(live->stack.exists());
  EXPECT_EQ(client.calls().size(), 1u);
}

TEST_F(Observe, PassesOnWhatKeepsItFromLooking) {
  client.fail("cloudformation", "DescribeStacks", "ExpiredToken", "expired", 403);
  const auto live = look();
  ASSERT_FALSE(live);
  EXPECT_EQ(live.error().code, "ExpiredToken");
}

}  // namespace
}  // namespace berth::deploy
