#include "deploy/audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "deploy/audit_checks.h"
#include "deploy/template.h"
#include "model/testing/golden.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

model::Spec demo() {
  model::Spec spec;
  spec.name = "demo";
  spec.aws.region = "us-west-2";
  spec.aws.alarms.email = "ops@example.com";
  model::ServerSpec server;
  server.name = "demo";
  server.builtin = "workspace";
  spec.servers.push_back(server);
  return spec;
}

model::Spec with_domain() {
  model::Spec spec = demo();
  spec.aws.domain = "mcp.example.com";
  spec.aws.hosted_zone = "Z0123456789";
  return spec;
}

/// The templates of a spec, to be spoiled.
struct Stacks {
  explicit Stacks(const model::Spec& spec) {
    Result<Template> first = compose_base(spec);
    Result<Template> second = compose_service(spec);
    EXPECT_TRUE(first && second);
    if (!first || !second) return;
    base = first->document;
    service = second->document;
  }
  json::value base, service;
};

std::vector<std::string> failing(const model::Spec& spec, const Stacks& stacks) {
  Document document(stacks.base.as_object(), stacks.service.as_object());
  std::vector<std::string> ids;
  for (const AuditResult& result : audit(spec, document)) {
    if (result.verdict != Verdict::failed) continue;
    ids.push_back(result.id);
    EXPECT_FALSE(result.detail.empty()) << result.id;
    EXPECT_FALSE(result.remedy.empty()) << result.id;
  }
  return ids;
}

std::string joined(const std::vector<std::string>& ids) {
  std::string out;
  for (const std::string& id : ids) out += (out.empty() ? "" : " ") + id;
  return out;
}

TEST(Audit, of_the_templates_that_berth_makes_finds_nothing) {
  for (const model::Spec& spec : {demo(), with_domain()}) EXPECT_EQ(joined(failing(spec, Stacks(spec))), "");
  using Egress = model::AwsNetworkSpec::Egress;
  model::Spec other = with_domain();
  other.aws.internal = true;
  other.aws.waf = true;
  other.aws.network.egress = Egress::endpoints;
  other.aws.kms_key = "arn:aws:kms:us-west-2:123456789012:key/k";
  other.aws.permissions_boundary = "arn:aws:iam::123456789012:policy/boundary";
  other.permissions = {
      {.actions = {"dynamodb:GetItem"}, .resources = {"arn:aws:dynamodb:us-west-2:1:table/t"}}};
  other.scaling.hours = model::HoursSpec{};
  EXPECT_EQ(joined(failing(other, Stacks(other))), "");
}

TEST(Audit, judges_every_check_in_one_of_these_services) {
  std::set<std::string> judged;
  std::set<std::string> all;
  model::Spec strict = with_domain();
  strict.aws.waf = true;
  strict.aws.kms_key = "arn:aws:kms:us-west-2:123456789012:key/k";
  strict.aws.permissions_boundary = "arn:aws:iam::123456789012:policy/boundary";
  for (const model::Spec& spec : {demo(), strict}) {
    Stacks stacks(spec);
    Document document(stacks.base.as_object(), stacks.service.as_object());
    for (const AuditResult& result : audit(spec, document)) {
      all.insert(result.id);
      if (result.verdict != Verdict::not_applicable) judged.insert(result.id);
    }
  }
  EXPECT_EQ(judged, all);
  EXPECT_GT(all.size(), 55u);
}

/// A change to a good service, and the checks that it makes fail.
struct Spoiled {
  std::string failing;
  std::string pointer;  ///< RFC 6901, in the service stack; "base:" before it for the other one
  std::string value;    ///< JSON; empty: the member goes
};

void spoil(Stacks& stacks, const Spoiled& change) {
  bool base = change.pointer.starts_with("base:");
  std::string path = base ? change.pointer.substr(5) : change.pointer;
  std::size_t last = path.rfind('/');
  boost::system::error_code error;
  json::value* parent = (base ? stacks.base : stacks.service).find_pointer(path.substr(0, last), error);
  ASSERT_NE(parent, nullptr) << path;
  std::string name = path.substr(last + 1);
  if (json::array* list = parent->if_array(); list != nullptr) {
    if (name == "-") {
      list->push_back(json::parse(change.value));
    } else {
      (*list)[std::stoul(name)] = json::parse(change.value);
    }
  } else if (change.value.empty()) {
    ASSERT_EQ(parent->as_object().erase(name), 1u) << path;
  } else {
    parent->as_object()[name] = json::parse(change.value);
  }
}

constexpr std::string_view container = "/Resources/TaskDefinition/Properties/ContainerDefinitions/0/";

std::vector<Spoiled> spoiled_network() {
  const std::string service = "/Resources/Service/Properties/";
  const std::string network = service + "NetworkConfiguration/AwsvpcConfiguration/";
  return {
      {"tasks-no-public-address", network + "AssignPublicIp", "\"ENABLED\""},
      {"tasks-private-subnets", network + "Subnets/0", R"({"Ref": "PublicSubnetA"})"},
      {"several-zones", network + "Subnets", R"([{"Ref": "PrivateSubnetA"}])"},
      {"public-subnets-balancer-only", "/Resources/MountTargetA/Properties/SubnetId",
       R"({"Ref": "PublicSubnetA"})"},
      {"subnets-no-address-by-default", "/Resources/PrivateSubnetA/Properties/MapPublicIpOnLaunch", "true"},
      {"tasks-from-groups nothing-else-open", "/Resources/Open",
       R"({"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {"IpProtocol": "tcp", "FromPort": 22,
           "ToPort": 22, "CidrIp": "0.0.0.0/0",
           "GroupId": {"Fn::GetAtt": ["TaskSecurityGroup", "GroupId"]}}})"},
      {"balancer-ports nothing-else-open",
       "/Resources/LoadBalancerSecurityGroup/Properties/SecurityGroupIngress/-",
       R"({"IpProtocol": "-1", "CidrIpv6": "::/0"})"},
      {"files-from-tasks", "/Resources/FileSystemSecurityGroup/Properties/SecurityGroupIngress/-",
       R"({"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "CidrIp": "10.0.0.0/8"})"},
      {"egress-limited", "/Resources/FileSystemSecurityGroup/Properties/SecurityGroupEgress", ""},
      {"flow-logs", "/Resources/FlowLog", ""},
      {"capacity-kept", service + "DeploymentConfiguration/MinimumHealthyPercent", "50"},
      {"deployment-rolled-back", service + "DeploymentConfiguration/DeploymentCircuitBreaker/Rollback",
       "false"},
      {"zones-rebalanced", service + "AvailabilityZoneRebalancing", ""},
      {"on-demand-base", service + "CapacityProviderStrategy", R"([{"CapacityProvider": "FARGATE_SPOT"}])"},
      {"no-exec", service + "EnableExecuteCommand", "true"},
  };
}

std::vector<Spoiled> spoiled_encryption() {
  const std::string volume = "/Resources/TaskDefinition/Properties/Volumes/0/EFSVolumeConfiguration/";
  return {
      {"tls-clients", "/Resources/RedirectListener/Properties/DefaultActions",
       R"([{"Type": "forward", "TargetGroupArn": {"Ref": "TargetGroup"}}])"},
      {"tls-policy", "/Resources/Listener/Properties/SslPolicy", ""},
      {"tls-policy", "/Resources/Listener/Properties/SslPolicy", "\"ELBSecurityPolicy-2016-08\""},
      {"tls-tasks", "/Resources/TargetGroup/Properties/Protocol", "\"HTTP\""},
      {"tls-volume", volume + "TransitEncryption", "\"DISABLED\""},
      {"tls-volume", volume + "AuthorizationConfig", ""},
      {"tls-file-policy", "/Resources/FileSystem/Properties/FileSystemPolicy", ""},
      {"tls-buckets", "/Resources/ArtifactsBucketPolicy", ""},
      {"files-encrypted", "/Resources/FileSystem/Properties/Encrypted", "false"},
      {"buckets-encrypted", "/Resources/LogsBucket/Properties/BucketEncryption", ""},
  };
}

std::vector<Spoiled> spoiled_access() {
  const std::string pull = "/Resources/ExecutionRole/Properties/Policies/0/PolicyDocument/Statement/1/";
  return {
      {"narrow-resources", pull + "Resource", "\"*\""},
      {"narrow-actions", pull + "Action", "\"ecr:*\""},
      {"no-wide-managed-policy", "/Resources/TaskRole/Properties/ManagedPolicyArns",
       R"(["arn:aws:iam::aws:policy/AdministratorAccess"])"},
      {"trust-is-narrow", "/Resources/TaskRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition",
       ""},
      {"separate-roles", "/Resources/TaskDefinition/Properties/TaskRoleArn",
       R"({"Fn::GetAtt": ["ExecutionRole", "Arn"]})"},
      {"no-plain-secret", std::string(container) + "Environment/-",
       R"({"Name": "GITHUB_TOKEN", "Value": "x"})"},
      {"no-plain-secret", std::string(container) + "Environment/-",
       R"({"Name": "X", "Value": "ghp_0123456789abcdefghij"})"},
      {"", std::string(container) + "Environment/-", R"({"Name": "TOKEN_FILE", "Value": "/run/token"})"},
      {"secrets-injected", std::string(container) + "Secrets/0/ValueFrom",
       "\"arn:aws:ssm:us-west-2:1:parameter/x\""},
      {"no-secret-in-template", "base:/Resources/FleetKey/Properties/SecretString", "\"hunter2\""},
  };
}

std::vector<Spoiled> spoiled_tasks_and_data() {
  const std::string in(container);
  return {
      {"scan-on-push", "base:/Resources/Repository/Properties/ImageScanningConfiguration/ScanOnPush",
       "false"},
      {"tags-immutable", "base:/Resources/Repository/Properties/ImageTagMutability", "\"MUTABLE\""},
      {"old-images-deleted", "base:/Resources/Repository/Properties/LifecyclePolicy", ""},
      {"image-by-digest", in + "Image", "\"1.dkr.ecr.us-west-2.amazonaws.com/demo:latest\""},
      {"root-read-only", in + "ReadonlyRootFilesystem", "false"},
      {"not-root", in + "User", ""},
      {"not-root", in + "User", "\"0:1000\""},
      {"no-capabilities", in + "LinuxParameters", ""},
      {"containers-logged", in + "LogConfiguration", ""},
      {"time-to-stop", in + "StopTimeout", "30"},
      {"containers-health-checked", in + "HealthCheck", ""},
      {"files-backed-up", "/Resources/FileSystem/Properties/BackupPolicy/Status", "\"DISABLED\""},
      {"cold-files-cheap", "/Resources/FileSystem/Properties/LifecyclePolicies", "[]"},
      {"files-in-a-folder", "/Resources/AccessPoint/Properties/RootDirectory/Path", "\"/\""},
      {"data-kept", "/Resources/ArtifactsBucket/DeletionPolicy", "\"Delete\""},
      {"buckets-private", "/Resources/LogsBucket/Properties/PublicAccessBlockConfiguration/BlockPublicAcls",
       "false"},
      {"buckets-versioned", "/Resources/ArtifactsBucket/Properties/VersioningConfiguration", ""},
      {"buckets-tidy", "/Resources/ArtifactsBucket/Properties/LifecycleConfiguration", ""},
      {"group-changes-watched", "/Resources/SecurityGroupRule", ""},
      {"usual-alarms", "/Resources/MemoryAlarm", ""},
      {"alarms-lead-somewhere", "/Resources/MemoryAlarm/Properties/AlarmActions", ""},
      {"somebody-is-told", "/Resources/AlarmSubscription", ""},
      {"access-logs invalid-headers-dropped", "/Resources/LoadBalancer/Properties/LoadBalancerAttributes",
       "[]"},
      {"logs-expire", "/Resources/LogGroup/Properties/RetentionInDays", ""},
  };
}

class SpoiledService : public ::testing::TestWithParam<Spoiled> {};

TEST_P(SpoiledService, fails_the_checks_that_are_about_it_and_no_other) {
  model::Spec spec = with_domain();
  Stacks stacks(spec);
  spoil(stacks, GetParam());

  EXPECT_EQ(joined(failing(spec, stacks)), GetParam().failing) << GetParam().pointer;
}

INSTANTIATE_TEST_SUITE_P(Network, SpoiledService, ::testing::ValuesIn(spoiled_network()));
INSTANTIATE_TEST_SUITE_P(Encryption, SpoiledService, ::testing::ValuesIn(spoiled_encryption()));
INSTANTIATE_TEST_SUITE_P(Access, SpoiledService, ::testing::ValuesIn(spoiled_access()));
INSTANTIATE_TEST_SUITE_P(TasksAndData, SpoiledService, ::testing::ValuesIn(spoiled_tasks_and_data()));

TEST(Audit, of_a_service_behind_cloudfront_asks_for_an_internal_load_balancer_and_https) {
  model::Spec spec = demo();
  Stacks stacks(spec);
  spoil(stacks, {"", "/Resources/LoadBalancer/Properties/Scheme", "\"internet-facing\""});
  spoil(
      stacks,
      {"", "/Resources/Distribution/Properties/DistributionConfig/DefaultCacheBehavior/ViewerProtocolPolicy",
       "\"allow-all\""});
  EXPECT_EQ(joined(failing(spec, stacks)), "balancer-behind-cloudfront tls-cloudfront");
}

TEST(Audit, reads_what_the_spec_itself_says_wrong) {
  model::Spec spec = with_domain();
  spec.aws.open = true;
  spec.aws.traces = false;
  spec.aws.alarms.email.clear();
  spec.aws.backups = false;
  spec.servers[0].environment = {{"API_TOKEN", "abc"}, {"MODE", "fast"}, {"FROM_ELSEWHERE_TOKEN", "${T}"}};
  spec.servers[0].headers = {{"Authorization", "Bearer x"}};
  spec.permissions = {{.actions = {"s3:*", "dynamodb:GetItem"}, .resources = {"*"}}};
  std::vector<std::string> ids = failing(spec, Stacks(spec));
  for (std::string_view id : {"closed", "traced", "somebody-is-told", "files-backed-up", "no-secret-in-spec",
                              "narrow-actions", "narrow-resources"}) {
    EXPECT_NE(std::ranges::find(ids, id), ids.end()) << id << " in " << joined(ids);
  }
}

TEST(Audit, of_nothing_fails_nothing_but_what_the_spec_says) {
  std::vector<AuditResult> results = audit(demo(), Document({}, {}));
  EXPECT_FALSE(fails(results, Gravity::low));
  json::object out = to_json(results);
  EXPECT_EQ(out.at("failed"), 0);
  EXPECT_EQ(out.at("checks").as_array().size(), results.size());
}

TEST(Audit, fails_from_the_asked_gravity_on) {
  std::vector<AuditResult> results{{.gravity = Gravity::medium, .verdict = Verdict::failed},
                                   {.gravity = Gravity::high, .verdict = Verdict::passed}};
  EXPECT_TRUE(fails(results, Gravity::low));
  EXPECT_TRUE(fails(results, Gravity::medium));
  EXPECT_FALSE(fails(results, Gravity::high));
}

TEST(Audit, says_of_each_check_what_why_and_what_to_do_once) {
  std::set<std::string> ids, titles;
  for (const AuditResult& result : audit(demo(), Document({}, {}))) {
    EXPECT_TRUE(ids.insert(result.id).second) << result.id;
    EXPECT_TRUE(titles.insert(result.title).second) << result.title;
    EXPECT_TRUE(result.why.ends_with('.')) << result.id;
    EXPECT_FALSE(result.remedy.empty()) << result.id;
  }
}

TEST(Audit, is_described_check_by_check_in_the_documentation) {
  std::string page = model::testing::repository_file("docs/aws.md");
  for (const AuditResult& result : audit(demo(), Document({}, {}))) {
    std::string row = "| `" + result.id + "` | " + std::string(to_string(result.gravity)) + " | ";
    EXPECT_NE(page.find(row), std::string::npos) << row;
  }
}

}  // namespace
}  // namespace berth::deploy
