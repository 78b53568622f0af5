#include "aws/pages.h"

#include <gtest/gtest.h>

#include "aws/testing/fake_client.h"
#include "base/testing/sim_clock.h"

namespace berth::aws {
namespace {

class Pages : public ::testing::Test {
 protected:
  /// The listed items as JSON, or the fault's code.
  std::string list(std::string service, std::string operation, std::string items) {
    std::string shown = "(still waiting)";
    TaskScope scope(clock.executor());
    scope.spawn([](testing::FakeClient& fake, std::string& out, std::string of, std::string what,
                   std::string name) -> Task<void> {
      boost::json::object input;
      auto all = co_await fake.list(std::move(of), std::move(what), std::move(input), std::move(name));
      out = all ? boost::json::serialize(*all) : all.error().code;
    }(client, shown, std::move(service), std::move(operation), std::move(items)));
    clock.run_until_idle();
    return shown;
  }

  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  testing::FakeClient client;
};

TEST_F(Pages, FollowNextToken) {
  client.answer("ecs", "ListTasks", R"({"taskArns": ["a"], "nextToken": "2"})");
  client.answer("ecs", "ListTasks", R"({"taskArns": ["b", "c"]})");
  EXPECT_EQ(list("ecs", "ListTasks", "taskArns"), R"(["a","b","c"])");
  EXPECT_EQ(client.inputs("ecs", "ListTasks").at(1), (boost::json::object{{"nextToken", "2"}}));
}

TEST_F(Pages, SendEc2sTokenUnderItsOtherName) {
  client.answer("ec2", "DescribeSubnets", R"({"subnetSet": ["a"], "nextToken": "2"})");
  client.answer("ec2", "DescribeSubnets", R"({"subnetSet": ["b"], "nextToken": ""})");
  EXPECT_EQ(list("ec2", "DescribeSubnets", "subnetSet"), R"(["a","b"])");
  EXPECT_EQ(client.inputs("ec2", "DescribeSubnets").at(1), (boost::json::object{{"NextToken", "2"}}));
}

TEST_F(Pages, SendMarkersBack) {
  client.answer("elasticloadbalancing", "DescribeTargetGroups",
                R"({"TargetGroups": ["a"], "NextMarker": "m"})");
  client.answer("elasticloadbalancing", "DescribeTargetGroups", R"({"TargetGroups": ["b"]})");
  EXPECT_EQ(list("elasticloadbalancing", "DescribeTargetGroups", "TargetGroups"), R"(["a","b"])");
  EXPECT_EQ(client.inputs("elasticloadbalancing", "DescribeTargetGroups").at(1),
            (boost::json::object{{"Marker", "m"}}));
}

TEST_F(Pages, EndWhereTheListSaysThatItIsWhole) {
  client.answer("iam", "ListRoles", R"({"Roles": ["a"], "IsTruncated": "false", "Marker": "m"})");
  EXPECT_EQ(list("iam", "ListRoles", "Roles"), R"(["a"])");
}

TEST_F(Pages, EndWhenTheSameTokenComesAgain) {
  client.answer("logs", "FilterLogEvents", R"({"events": [1], "nextToken": "same"})");
  EXPECT_EQ(list("logs", "FilterLogEvents", "events"), "[1,1]");
}

TEST_F(Pages, PassAFaultOn) {
  client.answer("ecs", "ListTasks", R"({"taskArns": ["a"], "nextToken": "2"})");
  client.fail("ecs", "ListTasks", "ClusterNotFoundException", "Cluster not found.");
  EXPECT_EQ(list("ecs", "ListTasks", "taskArns"), "ClusterNotFoundException");
}

TEST_F(Pages, HaveALimit) {
  client.handle("ecs", "ListTasks",
                [n = 0](const boost::json::object&) mutable -> Reply<boost::json::object> {
                  return boost::json::object{{"taskArns", {"a"}}, {"nextToken", std::to_string(++n)}};
                });
  EXPECT_EQ(list("ecs", "ListTasks", "taskArns"), "TooManyPages");
}

TEST_F(Pages, OfAnOperationWithoutAScriptSayWhatTheTestLacks) {
  EXPECT_EQ(list("ecs", "ListTasks", "taskArns"), "NotScripted");
  EXPECT_EQ(client.names(), std::vector<std::string>{"ecs ListTasks"});
}

}  // namespace
}  // namespace berth::aws
