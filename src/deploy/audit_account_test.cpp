#include "deploy/audit_account.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "aws/testing/fake_client.h"
#include "base/testing/sim_clock.h"
#include "deploy/audit.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// An account with one of each resource that is read; everything in it is wrong in one way.
class Careless {
 public:
  Careless() {
    list({{"Repository", "demo", "AWS::ECR::Repository"}});
    list({{"Vpc", "vpc-1", "AWS::EC2::VPC"},
          {"Subnet", "subnet-1", "AWS::EC2::Subnet"},
          {"Table", "rtb-1", "AWS::EC2::RouteTable"},
          {"TaskGroup", "sg-1", "AWS::EC2::SecurityGroup"},
          {"Service", "arn:aws:ecs:us-east-1:1:service/demo/demo", "AWS::ECS::Service"},
          {"Task", "arn:aws:ecs:us-east-1:1:task-definition/demo:1", "AWS::ECS::TaskDefinition"},
          {"Role", "demo-Role-1", "AWS::IAM::Role"},
          {"Bucket", "demo-bucket-1", "AWS::S3::Bucket"},
          {"Files", "fs-1", "AWS::EFS::FileSystem"},
          {"Logs", "/berth/demo", "AWS::Logs::LogGroup"},
          {"Alarm", "demo-Alarm-1", "AWS::CloudWatch::Alarm"},
          {"Dashboard", "demo", "AWS::CloudWatch::Dashboard"}});
    network();
    tasks();
    data();
  }

  Account read() {
    Result<Account> account = fail(ErrorCode::internal, "nothing was read");
    asio::io_context loop;
    ::berth::testing::SimClock clock(loop);
    TaskScope scope(loop.get_executor());
    scope.spawn(read_into(client, account));
    clock.run_until_idle();
    EXPECT_TRUE(account) << account.error().message();
    return account ? *account : Account{};
  }

  static Task<void> read_into(aws::Client& client, Result<Account>& account) {
    Names names{"demo-base", "demo", "demo", "/berth/demo"};
    account = co_await read_account(client, names);
  }

  aws::testing::FakeClient client;

 private:
  struct Listed {
    std::string_view logical, physical, type;
  };
  /// The resources of the next stack that is asked for, and one that was deleted.
  void list(std::initializer_list<Listed> resources) {
    json::array summaries{json::object{{"LogicalResourceId", "Gone"},
                                       {"PhysicalResourceId", "sg-0"},
                                       {"ResourceType", "AWS::EC2::SecurityGroup"},
                                       {"ResourceStatus", "DELETE_COMPLETE"}}};
    for (const Listed& one : resources) {
      summaries.push_back({{"LogicalResourceId", one.logical},
                           {"PhysicalResourceId", one.physical},
                           {"ResourceType", one.type},
                           {"ResourceStatus", "UPDATE_COMPLETE"}});
    }
    json::object answer{{"StackResourceSummaries", std::move(summaries)}};
    client.answer("cloudformation", "ListStackResources", json::serialize(answer));
  }
  void network() {
    client.answer("ec2", "DescribeSubnets", R"({"subnetSet": [{"mapPublicIpOnLaunch": "true"}]})");
    client.answer("ec2", "DescribeRouteTables", R"({"routeTableSet": [{
      "routeSet": [{"gatewayId": "local"}, {"gatewayId": "igw-1"}],
      "associationSet": [{"subnetId": "subnet-1"}]}]})");
    client.answer("ec2", "DescribeSecurityGroups", R"({"securityGroupInfo": [{
      "ipPermissions": [{"ipProtocol": "tcp", "fromPort": "22", "toPort": "22",
                         "ipRanges": [{"cidrIp": "0.0.0.0/0"}], "groups": [{"groupId": "sg-1"}]}],
      "ipPermissionsEgress": [{"ipProtocol": "-1", "ipRanges": [{"cidrIp": "0.0.0.0/0"}]}]}]})");
  }
  void tasks() {
    client.answer("ecs", "DescribeServices", R"({"services": [{"enableExecuteCommand": true,
      "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"],
                                                       "assignPublicIp": "ENABLED"}}}]})");
    client.answer("ecs", "DescribeTaskDefinition", R"({"taskDefinition": {
      "volumes": [{"name": "data", "efsVolumeConfiguration": {"transitEncryption": "DISABLED"}}],
      "containerDefinitions": [{"image": "demo:latest", "user": "root",
                                "environment": [{"name": "API_TOKEN", "value": "x"}]}]}})");
    client.answer("ecr", "DescribeRepositories", R"({"repositories": [{
      "imageScanningConfiguration": {"scanOnPush": false}, "imageTagMutability": "MUTABLE"}]})");
    client.fail("ecr", "GetLifecyclePolicy", "LifecyclePolicyNotFoundException", "There is none.");
    client.answer("iam", "GetRole", R"({"Role": {"AssumeRolePolicyDocument":
      "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%7D%5D%7D"}})");
    client.answer("iam", "ListRolePolicies", R"({"PolicyNames": ["all"]})");
    client.answer("iam", "GetRolePolicy", R"({"PolicyDocument":
      "{%22Statement%22:{%22Effect%22:%22Allow%22,%22Action%22:%22*%22,%22Resource%22:%22*%22}}"})");
    client.answer("iam", "ListAttachedRolePolicies", R"({"AttachedPolicies": [
      {"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}]})");
  }
  void data() {
    client.handle_rest("s3", "GetBucket encryption", [](const aws::Client::RestRequest&) {
      return aws::Reply<http::Response>(std::unexpected(aws::Fault{.service = "s3", .status = 404}));
    });
    for (std::string_view setting : {"publicAccessBlock", "versioning", "lifecycle"}) {
      client.answer_rest("s3", "GetBucket " + std::string(setting), http::text_response(200, "<X></X>"));
    }
    client.answer_rest("s3", "GetBucket policy", http::text_response(200, "{}"));
    client.answer_rest("elasticfilesystem", "DescribeFileSystems",
                       http::json_response(200, R"({"FileSystems": [{"Encrypted": false}]})"));
    client.answer_rest("elasticfilesystem", "DescribeLifecycleConfiguration", http::json_response(200, "{}"));
    client.answer_rest("elasticfilesystem", "DescribeBackupPolicy", http::json_response(200, "{}"));
    client.answer_rest("elasticfilesystem", "DescribeFileSystemPolicy", http::json_response(200, "{}"));
    client.answer("logs", "DescribeLogGroups", R"({"logGroups": [{"logGroupName": "/berth/demo"}]})");
    client.fail("monitoring", "DescribeAlarms", "AccessDenied", "You may not.", 403);
  }
};

TEST(Account, is_judged_by_the_same_checks_as_the_templates) {
  Careless careless;
  Account account = careless.read();
  model::Spec spec;
  spec.name = "demo";
  std::string failed;
  for (const AuditResult& result : audit(spec, Document(account.base, account.service))) {
    if (result.verdict == Verdict::failed) failed += result.id + "\n";
  }
  EXPECT_EQ(
      failed,
      "tasks-no-public-address\ntasks-private-subnets\nsubnets-no-address-by-default\ntasks-from-groups\n"
      "nothing-else-open\negress-limited\nflow-logs\nseveral-zones\ntls-volume\ntls-file-policy\n"
      "tls-buckets\nfiles-encrypted\nbuckets-encrypted\nnarrow-actions\nnarrow-resources\n"
      "no-wide-managed-policy\ntrust-is-narrow\nseparate-roles\nno-exec\nno-plain-secret\nscan-on-push\n"
      "tags-immutable\nold-images-deleted\nimage-by-digest\nroot-read-only\nnot-root\nno-capabilities\n"
      "containers-logged\ntime-to-stop\ncontainers-health-checked\ndeployment-rolled-back\ncapacity-kept\n"
      "zones-rebalanced\nfiles-backed-up\ncold-files-cheap\nbuckets-private\nbuckets-versioned\n"
      "buckets-tidy\ngroup-changes-watched\nusual-alarms\nlogs-expire\n");
}

TEST(Account, says_what_it_was_not_told) {
  Careless careless;
  Account account = careless.read();
  ASSERT_EQ(account.unread.size(), 1u);
  EXPECT_TRUE(account.unread[0].starts_with("Alarm: ")) << account.unread[0];
}

TEST(Account, without_the_stacks_says_that_nothing_is_deployed) {
  aws::testing::FakeClient client;
  client.fail("cloudformation", "ListStackResources", "ValidationError",
              "Stack with id demo-base does not exist");
  Result<Account> account = fail(ErrorCode::internal, "nothing was read");
  asio::io_context loop;
  ::berth::testing::SimClock clock(loop);
  TaskScope scope(loop.get_executor());
  scope.spawn(Careless::read_into(client, account));
  clock.run_until_idle();
  ASSERT_FALSE(account);
  EXPECT_EQ(account.error().code(), ErrorCode::not_found);
  EXPECT_TRUE(account.error().message().starts_with("There is no stack demo-base in us-east-1: "));
}

TEST(Capitalized, changes_names_and_nothing_else) {
  EXPECT_EQ(json::serialize(capitalized(json::parse(R"({"aB": [{"c": "d"}], "E": 1, "": null})"))),
            R"({"AB":[{"C":"d"}],"E":1,"":null})");
}

}  // namespace
}  // namespace berth::deploy
