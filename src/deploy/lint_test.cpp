#include <fmt/format.h>
#include <gtest/gtest.h>

#include "deploy/lint_values.h"
#include "deploy/template.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// A template in miniature that has nothing wrong.
constexpr std::string_view sound =
    R"({"Resources": {
  "Lb": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": {"LoadBalancerAttributes": [
    {"Key": "idle_timeout.timeout_seconds", "Value": "120"}]}},
  "Https": {"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": {"Protocol": "HTTPS",
    "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
    "DefaultActions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Tg"}}]}},
  "Tg": {"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": {"TargetType": "ip",
    "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2,
    "TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}]}},
  "Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": {"NetworkMode": "awsvpc",
    "Volumes": [{"Name": "data", "EFSVolumeConfiguration": {"TransitEncryption": "ENABLED",
      "AuthorizationConfig": {"IAM": "ENABLED", "AccessPointId": "fsap-1"}}}],
    "ContainerDefinitions": [{"Name": "berth", "PortMappings": [{"ContainerPort": 3000}], "StopTimeout": 120,
      "Environment": [{"Name": "BERTH_IDLE_TIMEOUT", "Value": "150"}]}]}},
  "Service": {"Type": "AWS::ECS::Service", "DependsOn": ["Https"], "Properties": {
    "TaskDefinition": {"Ref": "Task"}, "AvailabilityZoneRebalancing": "ENABLED",
    "CapacityProviderStrategy": [{"CapacityProvider": "FARGATE", "Base": 1},
      {"CapacityProvider": "FARGATE_SPOT"}],
    "DeploymentConfiguration": {"MinimumHealthyPercent": 100, "MaximumPercent": 200,
      "EarlySuccessCriteria": {"HealthyPercent": 100}},
    "LoadBalancers": [{"ContainerName": "berth", "ContainerPort": 3000, "TargetGroupArn": {"Ref": "Tg"}}]}},
  "Repo": {"Type": "AWS::ECR::Repository", "Properties": {"LifecyclePolicy": {"LifecyclePolicyText":
    "{\"rules\": [{\"rulePriority\": 1, \"action\": {\"type\": \"expire\"}, \"selection\": {)"
    R"(\"tagStatus\": \"any\", \"countType\": \"sinceImagePushed\", \"countUnit\": \"days\", )"
    R"(\"countNumber\": 90}}]}"}}}
}})";

std::string findings(std::string text) {
  std::string out;
  for (const Finding& finding : lint(json::parse(text).as_object()))
    out += fmt::format("{} {}: {}\n", finding.rule, finding.resource, finding.message);
  return out;
}

TEST(Lint, has_nothing_to_say_of_a_sound_template) {
  EXPECT_EQ(findings(std::string(sound)), "");
  EXPECT_EQ(findings("{}"), "");
  EXPECT_EQ(
      findings(
          R"({"Resources": {"A": 1, "B": {"Type": "AWS::ECS::Service"}, "C": {"Type": 3, "Properties": []})"
          "}}"),
      "");
}

struct Mistake {
  std::string_view before, after, finding;
};
class LintMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(LintMistake, is_found) {
  std::string text(sound);
  std::size_t at = text.find(GetParam().before);
  ASSERT_NE(at, std::string::npos) << GetParam().before;
  text.replace(at, GetParam().before.size(), GetParam().after);
  EXPECT_EQ(findings(text), fmt::format("{}\n", GetParam().finding));
}

constexpr Mistake mistakes[] = {
    {"idle_timeout.timeout_seconds\", \"Value\": \"120\"", "idle_timeout.seconds\", \"Value\": \"60\"",
     "attribute-key Lb: idle_timeout.seconds is no attribute that it has."},
    {"\"Value\": \"120\"", "\"Value\": \"5000\"",
     "attribute-value Lb: idle_timeout.timeout_seconds is 5000, not a number from 1 to 4000.\n"
     "idle-timeout Lb: idle_timeout.timeout_seconds is 5000, but Task keeps idle connections for 150 s, "
     "which must be longer."},
    {"\"Value\": \"150\"", "\"Value\": \"120\"",
     "idle-timeout Lb: idle_timeout.timeout_seconds is 120, but Task keeps idle connections for 120 s, "
     "which must be longer."},
    {"\"Value\": \"30\"", "\"Value\": \"30s\"",
     "attribute-value Tg: deregistration_delay.timeout_seconds is 30s, not a number from 0 to 3600."},
    {"\"HealthCheckTimeoutSeconds\": 2", "\"HealthCheckTimeoutSeconds\": 5",
     "health-check-timeout Tg: HealthCheckTimeoutSeconds (5) must be less than HealthCheckIntervalSeconds "
     "(5)."},
    {"\"TransitEncryption\": \"ENABLED\",", "",
     "efs-encryption Task: Volume data is authorized by IAM or an access point, which needs "
     "TransitEncryption: ENABLED."},
    {"\"TransitEncryption\": \"ENABLED\",", "\"TransitEncryption\": \"ENABLED\", \"RootDirectory\": \"/x\",",
     "efs-root Task: RootDirectory must be absent or / with an access point, which has its own."},
    {"\"AvailabilityZoneRebalancing\"", "\"LaunchType\": \"FARGATE\", \"AvailabilityZoneRebalancing\"",
     "launch-type Service: LaunchType and CapacityProviderStrategy exclude each other; remove LaunchType."},
    {"\"FARGATE_SPOT\"", "\"FARGATE_SPOT\", \"Base\": 1",
     "capacity-base Service: Only one capacity provider may have a Base."},
    {"\"ContainerName\": \"berth\"", "\"ContainerName\": \"mcp\"",
     "container-name Service: The task definition has no container mcp."},
    {"[{\"ContainerPort\": 3000}]", "[{\"ContainerPort\": 3001}]",
     "container-port Service: Container berth of the task definition has no port 3000."},
    {"Res-PQ-2025-09", "Res-PQ-2025-10",
     "ssl-policy Https: SslPolicy ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-10 is no policy that AWS has."},
    {"\"SslPolicy\": \"ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09\",", "",
     "ssl-policy Https: SslPolicy ELBSecurityPolicy-2016-08 allows TLS before 1.2."},
    {"\"TargetType\": \"ip\",", "",
     "target-type Service: Tasks with NetworkMode awsvpc need a target group of TargetType ip, not instance "
     "(the "
     "default)."},
    {"\"countType\\\": \\\"sinceImagePushed", "\"countType\\\": \\\"sincePushed",
     "lifecycle-policy Repo: Rule 1 of LifecyclePolicyText has an unknown countType."},
    {"{\\\"rules\\\": [", "{\\\"rules\\\": {",
     "lifecycle-policy Repo: LifecyclePolicyText is not JSON: syntax error."},
    {"\\\"tagStatus\\\": \\\"any\\\"", "\\\"tagStatus\\\": \\\"tagged\\\"",
     "lifecycle-policy Repo: Rule 1 of LifecyclePolicyText needs a list of tags just when tagStatus is "
     "tagged."},
    {"\"HealthyPercent\": 100", "\"HealthyPercent\": 50",
     "early-success Service: EarlySuccessCriteria.HealthyPercent (50) must be at least MinimumHealthyPercent "
     "(100)."},
    {"\"MaximumPercent\": 200", "\"MaximumPercent\": 100",
     "zone-rebalancing Service: AvailabilityZoneRebalancing needs a MaximumPercent above 100."},
    {"\"StopTimeout\": 120", "\"StopTimeout\": 300",
     "stop-timeout Task: StopTimeout is 300; Fargate takes at most 120."},
    {"\"DependsOn\": [\"Https\"],", "",
     "service-before-listener Service: DependsOn must name a listener or rule that forwards to its target "
     "group."},
};
INSTANTIATE_TEST_SUITE_P(Each, LintMistake, ::testing::ValuesIn(mistakes));

TEST(TlsPolicies, that_allow_old_versions_are_named_as_such) {
  EXPECT_EQ(ssl_policy_problem("ELBSecurityPolicy-TLS13-1-3-PQ-2025-09"), "");
  EXPECT_EQ(ssl_policy_problem("ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04"), "");
  EXPECT_EQ(ssl_policy_problem("ELBSecurityPolicy-TLS13-1-0-2021-06"), "allows TLS before 1.2");
  EXPECT_EQ(ssl_policy_problem("TLS"), "is no policy that AWS has");
}

}  // namespace
}  // namespace berth::deploy
