#include "deploy/existing.h"

#include <gtest/gtest.h>

#include <optional>

#include "aws/testing/fake_client.h"
#include "base/testing/sim_clock.h"
#include "deploy/account_roles.h"
#include "deploy/stack.h"

namespace berth::deploy {
namespace {

using Problems = std::vector<std::string>;

/// Runs `task` to its end and gives what it gives.
template <class T>
Task<void> into(Task<T> task, std::optional<T>& out) {
  T value = co_await std::move(task);
  out.emplace(std::move(value));
}
template <class T>
T run(Task<T> task) {
  std::optional<T> out;
  asio::io_context loop;
  ::berth::testing::SimClock clock(loop);
  TaskScope scope(loop.get_executor());
  scope.spawn(into(std::move(task), out));
  clock.run_until_idle();
  return std::move(out.value());
}

model::AwsSpec in_vpc() {
  model::AwsSpec aws;
  aws.network.vpc = "vpc-1";
  aws.network.private_subnets = {"subnet-a", "subnet-b"};
  aws.domain = "mcp.example.com";
  return aws;
}

const std::vector<ExistingSubnet> two_zones{{"subnet-a", "vpc-1", "us-east-1a", "use1-az1"},
                                            {"subnet-b", "vpc-1", "us-east-1b", "use1-az2"}};

TEST(Existing, network_with_subnets_in_two_zones_is_fine) {
  EXPECT_EQ(network_problems(in_vpc(), two_zones, false), Problems());
}

TEST(Existing, network_for_cloudfront_has_an_internet_gateway) {
  model::AwsSpec aws = in_vpc();
  aws.domain.clear();
  EXPECT_EQ(network_problems(aws, two_zones, true), Problems());
  const Problems problems = network_problems(aws, two_zones, false);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_TRUE(problems[0].starts_with("vpc-1 has no internet gateway.")) << problems[0];
}

TEST(Existing, subnets_are_in_the_network_and_in_zones_of_their_own_that_run_tasks) {
  EXPECT_EQ(
      network_problems(
          in_vpc(),
          {{"subnet-a", "vpc-1", "us-east-1c", "use1-az3"}, {"subnet-b", "vpc-2", "us-east-1c", "use1-az3"}},
          true),
      (Problems{"The subnet subnet-b belongs to vpc-2, not to vpc-1.",
                "The subnets subnet-a and subnet-b are both in zone us-east-1c; a load balancer and a file "
                "system take one a zone.",
                "The subnet subnet-a is in zone us-east-1c (use1-az3), in which AWS has no Fargate or no way "
                "in for CloudFront; name one of another zone.",
                "The subnet subnet-b is in zone us-east-1c (use1-az3), in which AWS has no Fargate or no way "
                "in for CloudFront; name one of another zone."}));
}

TEST(Existing, zone_is_that_of_the_domain_and_public_unless_there_is_a_certificate) {
  model::AwsSpec aws = in_vpc();
  aws.hosted_zone = "Z1";
  EXPECT_EQ(zone_problem(aws, {"example.com", false}), "");
  EXPECT_EQ(zone_problem(aws, {"mcp.example.com", false}), "");
  EXPECT_EQ(zone_problem(aws, {"ample.com", false}),
            "aws.hosted_zone Z1 is that of ample.com, which mcp.example.com does not belong to.");
  EXPECT_TRUE(zone_problem(aws, {"example.com", true}).contains("a private zone"));
  aws.certificate = "arn:aws:acm:us-east-1:123456789012:certificate/1";
  EXPECT_EQ(zone_problem(aws, {"example.com", true}), "");
}

TEST(Existing, network_and_zone_are_asked_for_where_the_file_names_them) {
  aws::testing::FakeClient client;
  EXPECT_TRUE(run(check_existing(client, {})));
  EXPECT_TRUE(client.calls().empty());

  client.answer("ec2", "DescribeSubnets", R"({"subnetSet": [
    {"subnetId": "subnet-a", "vpcId": "vpc-1", "availabilityZone": "r1a", "availabilityZoneId": "r1-az1"},
    {"subnetId": "subnet-b", "vpcId": "vpc-9", "availabilityZone": "r1b", "availabilityZoneId": "r1-az2"}
  ]})");
  client.answer("ec2", "DescribeInternetGateways", R"({"internetGatewaySet": []})");
  http::Response zone;
  zone.body =
      "<GetHostedZoneResponse><HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name><Config>"
      "<PrivateZone>true</PrivateZone></Config></HostedZone></GetHostedZoneResponse>";
  client.answer_rest("route53", "GetHostedZone", zone);
  model::AwsSpec aws = in_vpc();
  aws.hosted_zone = "Z1";
  const Result<void> checked = run(check_existing(client, aws));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::invalid_argument);
  EXPECT_TRUE(
      checked.error().message().starts_with("The subnet subnet-b belongs to vpc-9, not to vpc-1.\n"
                                            "aws.hosted_zone Z1 is a private zone"))
      << checked.error().message();
}

TEST(ServiceRoles, that_are_there_or_may_not_be_made_are_no_fault) {
  aws::testing::FakeClient client;
  client.answer("iam", "CreateServiceLinkedRole", "{}");
  client.fail("iam", "CreateServiceLinkedRole", "InvalidInput",
              "Service role name AWSServiceRoleForECS has been taken in this account, please try a different "
              "suffix.");
  client.fail("iam", "CreateServiceLinkedRole", "AccessDenied", "User: me is not authorized", 403);
  EXPECT_TRUE(run(make_service_roles(client)));
  EXPECT_EQ(client.inputs("iam", "CreateServiceLinkedRole").front().at("AWSServiceName"),
            "ecs.amazonaws.com");
  client.fail("iam", "CreateServiceLinkedRole", "ServiceFailure", "later", 500);
  const Result<void> made = run(make_service_roles(client));
  EXPECT_FALSE(made);
}

TEST(AccountParameters, name_the_zones_of_the_account_and_leave_those_of_a_stack_as_they_are) {
  aws::testing::FakeClient client;
  client.answer("ec2", "DescribeAvailabilityZones", R"({"availabilityZoneInfo": [
      {"zoneName": "us-east-1a", "zoneId": "use1-az3", "zoneState": "available"},
      {"zoneName": "us-east-1b", "zoneId": "use1-az1", "zoneState": "available"},
      {"zoneName": "us-east-1c", "zoneId": "use1-az2", "zoneState": "impaired"},
      {"zoneName": "us-east-1d", "zoneId": "use1-az4", "zoneState": "available"},
      {"zoneName": "us-east-1e", "zoneId": "use1-az5", "zoneState": "available"}]})");
  const boost::json::object document =
      boost::json::parse(R"({"Parameters": {"ZoneA": {"Default": "a"}, "ZoneB": {"Default": "b"},
                                            "ZoneC": {"Default": "c"}, "Zones": {"Default": "x"}}})")
          .as_object();
  using Letters = std::map<std::string, std::string>;
  const auto first = run(account_parameters(client, document, {}));
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ(*first, (Letters{{"ZoneA", "d"}, {"ZoneB", "b"}, {"ZoneC", "e"}}));
  const StackState stands{.status = "UPDATE_COMPLETE", .parameters = {{"ZoneA", "a"}, {"ZoneB", "d"}}};
  EXPECT_EQ(run(account_parameters(client, document, stands)).value(),
            (Letters{{"ZoneA", "a"}, {"ZoneB", "d"}, {"ZoneC", "b"}}));
}

}  // namespace
}  // namespace berth::deploy
