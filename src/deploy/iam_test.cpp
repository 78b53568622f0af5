#include "deploy/iam.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "deploy/document.h"
#include "deploy/iam_table.h"
#include "deploy/template.h"
#include "model/testing/golden.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

json::object with_types(std::initializer_list<std::string_view> types) {
  json::object resources;
  for (std::string_view type : types) resources["R" + std::to_string(resources.size())] = {{"Type", type}};
  return {{"Resources", std::move(resources)}};
}

const json::object* statement(const json::object& policy, std::string_view sid) {
  for (const json::value& one : policy.at("Statement").as_array()) {
    if (text_at(one.as_object(), "Sid") == sid) return &one.as_object();
  }
  return nullptr;
}

TEST(DeployerPolicy, names_region_account_and_service_in_what_it_allows) {
  model::Spec spec;
  spec.name = "Demo-Server";
  spec.aws.region = "eu-central-1";
  spec.aws.account = "123456789012";
  json::object policy = deployer_policy(spec, with_types({"AWS::ECR::Repository"}),
                                        with_types({"AWS::S3::Bucket", "AWS::IAM::Role"}));
  EXPECT_EQ(policy.at("Version"), "2012-10-17");
  const json::object* repository = statement(policy, "Repository");
  ASSERT_NE(repository, nullptr);
  EXPECT_EQ(json::serialize(repository->at("Resource")),
            R"(["arn:aws:ecr:eu-central-1:123456789012:repository/Demo-Server"])");
  EXPECT_EQ(json::serialize(statement(policy, "Buckets")->at("Resource")),
            R"(["arn:aws:s3:::demo-server-*"])");
  EXPECT_EQ(json::serialize(statement(policy, "Roles")->at("Resource")),
            R"(["arn:aws:iam::123456789012:role/Demo-Server-*"])");
}

TEST(DeployerPolicy, allows_any_region_and_account_where_the_spec_says_none) {
  model::Spec spec;
  spec.name = "demo";
  json::object policy = deployer_policy(spec, with_types({"AWS::ECR::Repository"}), {});
  EXPECT_EQ(json::serialize(statement(policy, "Repository")->at("Resource")),
            R"(["arn:aws:ecr:*:*:repository/demo"])");
  spec.aws.region = "cn-north-1";
  policy = deployer_policy(spec, with_types({"AWS::ECR::Repository"}), {});
  EXPECT_EQ(json::serialize(statement(policy, "Repository")->at("Resource")),
            R"(["arn:aws-cn:ecr:cn-north-1:*:repository/demo"])");
}

TEST(DeployerPolicy, holds_only_what_the_templates_need) {
  model::Spec spec;
  spec.name = "demo";
  json::object without = deployer_policy(spec, {}, with_types({"AWS::ECS::Service"}));
  EXPECT_FALSE(allows(without, "ec2:CreateNatGateway"));
  EXPECT_FALSE(allows(without, "cloudfront:CreateDistribution"));
  EXPECT_FALSE(allows(without, "iam:PassRole"));
  EXPECT_TRUE(allows(without, "ecs:CreateService"));
  EXPECT_TRUE(allows(without, "ec2:DescribeSubnets"));
  json::object with =
      deployer_policy(spec, {}, with_types({"AWS::EC2::NatGateway", "AWS::ECS::TaskDefinition"}));
  EXPECT_TRUE(allows(with, "ec2:CreateNatGateway"));
  EXPECT_TRUE(allows(with, "iam:PassRole"));
  EXPECT_EQ(json::serialize(statement(with, "PassRoles")->at("Condition")),
            R"({"StringEquals":{"iam:PassedToService":["ecs-tasks.amazonaws.com"]}})");
}

TEST(DeployerPolicy, reaches_zone_key_trail_and_secrets_that_the_spec_names) {
  model::Spec spec;
  spec.name = "demo";
  spec.aws.hosted_zone = "Z123";
  spec.aws.kms_key = "arn:aws:kms:us-east-1:1:key/k";
  spec.aws.alarms.trail_log_group = "trail";
  spec.aws.secrets = {{"A", "arn:aws:secretsmanager:us-east-1:1:secret:github-x1:token"}, {"B", "plain:key"}};
  json::object policy =
      deployer_policy(spec, {}, with_types({"AWS::Route53::RecordSet", "AWS::Logs::MetricFilter"}));
  EXPECT_EQ(json::serialize(statement(policy, "Zone")->at("Resource")),
            R"(["arn:aws:route53:::hostedzone/Z123"])");
  EXPECT_EQ(json::serialize(statement(policy, "Key")->at("Resource")),
            R"(["arn:aws:kms:us-east-1:1:key/k"])");
  EXPECT_EQ(json::serialize(statement(policy, "Trail")->at("Resource")),
            R"(["arn:aws:logs:*:*:log-group:trail:*"])");
  EXPECT_EQ(
      json::serialize(statement(policy, "Secrets")->at("Resource")),
      R"(["arn:aws:secretsmanager:*:*:secret:demo-*","arn:aws:secretsmanager:us-east-1:1:secret:github-x1",)"
      R"("arn:aws:secretsmanager:*:*:secret:plain-*"])");
}

TEST(DeployerPolicy, has_no_wildcard_over_a_whole_service_and_every_scope_has_an_arn) {
  std::set<std::string> scopes{"any", "zone", "key", "trail"};
  for (const ScopeRow& row : scope_rows()) scopes.insert(std::string(row.scope));
  for (const ActionRow& row : action_rows()) {
    EXPECT_TRUE(scopes.contains(std::string(row.scope))) << row.scope;
    EXPECT_NE(row.actions, "*") << row.type;
    EXPECT_FALSE(row.actions.empty()) << row.type;
    EXPECT_EQ(row.actions.find("  "), std::string_view::npos) << row.type;
  }
}

TEST(DeployerPolicy, is_split_into_managed_policies_that_fit) {
  json::object resources;
  for (const ActionRow& row : action_rows()) resources[row.type] = {{"Type", row.type}};
  model::Spec spec;
  spec.name = "a-rather-long-name-of-a-service";
  spec.aws.region = "ap-southeast-2";
  spec.aws.account = "123456789012";
  json::object policy = deployer_policy(spec, {}, {{"Resources", resources}});
  std::vector<json::object> parts = split_policy(policy);
  EXPECT_GT(parts.size(), 1u);
  std::size_t statements = 0;
  for (const json::object& part : parts) {
    EXPECT_LE(json::serialize(part).size(), policy_characters_max);
    statements += part.at("Statement").as_array().size();
  }
  EXPECT_EQ(statements, policy.at("Statement").as_array().size());
  EXPECT_EQ(split_policy(deployer_policy(spec, {}, {})).size(), 1u);
}

model::Spec everything(bool domain) {
  model::Spec spec;
  spec.name = "demo";
  spec.aws.region = "us-west-2";
  spec.aws.waf = true;
  spec.aws.alarms = {.email = "ops@example.com", .trail_log_group = "trail"};
  spec.scaling.hours = model::HoursSpec{};
  spec.scaling.calls_per_task = 20;
  spec.variables = {"TOKEN"};
  spec.servers.emplace_back();
  spec.servers[0].name = "demo";
  spec.servers[0].builtin = "workspace";
  if (!domain) return spec;
  spec.aws.domain = "mcp.example.com";
  spec.aws.hosted_zone = "Z0123456789";
  spec.aws.network.egress = model::AwsNetworkSpec::Egress::nat_per_zone;
  return spec;
}

TEST(DeployerPolicy, has_a_row_for_every_type_of_the_templates) {
  for (bool domain : {false, true}) {
    model::Spec spec = everything(domain);
    Result<Template> base = compose_base(spec);
    Result<Template> service = compose_service(spec);
    ASSERT_TRUE(base && service);
    EXPECT_EQ(unknown_types(base->document, service->document), std::vector<std::string>());
  }
}

/// Each option that adds a type or a call.
std::vector<model::Spec> all_options() {
  std::vector<model::Spec> out{everything(false), everything(true), everything(false), everything(true)};
  out[2].aws.network.egress = model::AwsNetworkSpec::Egress::endpoints;
  for (std::size_t i : {std::size_t{2}, std::size_t{3}})
    out[i].aws.kms_key = "arn:aws:kms:us-west-2:123456789012:key/k";
  out[0].aws.allow = {"203.0.113.0/24"};
  return out;
}

TEST(DeployerPolicy, allows_what_the_handlers_of_cloudformation_call) {
  const json::value published = json::parse(model::testing::repository_file("test/aws/handlers.json"));
  std::set<std::string> checked;
  for (const model::Spec& spec : all_options()) {
    Result<Template> base = compose_base(spec);
    Result<Template> service = compose_service(spec);
    ASSERT_TRUE(base && service);
    const json::object policy = deployer_policy(spec, base->document, service->document);
    const bool own_key = !spec.aws.kms_key.empty();
    Document document(base->document, service->document);
    for (const Resource& resource : document.all()) {
      const json::value* handlers = published.at("types").as_object().if_contains(resource.type);
      // Route 53's records have no schema with handlers.
      EXPECT_TRUE(handlers != nullptr || resource.type == "AWS::Route53::RecordSet") << resource.type;
      if (handlers == nullptr) continue;
      for (const json::value& call : handlers->at("calls").as_array()) {
        const std::string action(call.as_string());
        if (action.starts_with("kms:") && !own_key) continue;  // AWS's keys let in whoever uses the service
        EXPECT_TRUE(allows(policy, action)) << resource.type << " calls " << action;
        checked.insert(action);
      }
    }
  }
  EXPECT_GT(checked.size(), 200u);
}

/// "service:Operation" of every pair of literals "service", "Operation" in a source.
std::set<std::string> calls_in(const std::string& source) {
  constexpr std::string_view services[] = {"acm",
                                           "application-autoscaling",
                                           "cloudformation",
                                           "ec2",
                                           "ecr",
                                           "ecs",
                                           "elasticloadbalancing",
                                           "events",
                                           "iam",
                                           "logs",
                                           "monitoring",
                                           "route53",
                                           "secretsmanager",
                                           "servicequotas",
                                           "sns",
                                           "sts",
                                           "xray"};
  std::set<std::string> found;
  for (std::string_view service : services) {
    std::string literal = '"' + std::string(service) + "\",";
    for (std::size_t at = source.find(literal); at != std::string::npos; at = source.find(literal, at + 1)) {
      std::size_t next = source.find_first_not_of(" \n", at + literal.size());
      if (next == std::string::npos || source[next] != '"' || source[next + 1] < 'A' ||
          source[next + 1] > 'Z')
        continue;
      std::string operation = source.substr(next + 1, source.find('"', next + 1) - next - 1);
      std::string prefix = service == "monitoring" ? "cloudwatch" : std::string(service);
      found.insert(prefix + ":" + operation);
    }
  }
  return found;
}

TEST(DeployerPolicy, allows_every_call_that_these_sources_make) {
  model::Spec spec = everything(true);
  Result<Template> base = compose_base(spec);
  Result<Template> service = compose_service(spec);
  ASSERT_TRUE(base && service);
  json::object policy = deployer_policy(spec, base->document, service->document);
  std::set<std::string> calls;
  for (const char* folder : {"src/deploy", "src/cli"}) {
    for (const auto& file : std::filesystem::directory_iterator(std::string(BERTH_SOURCE_DIR "/") + folder)) {
      std::string name = file.path().filename().string();
      // The table itself is full of such pairs.
      if (!name.ends_with(".cpp") || name.ends_with("_test.cpp") || name == "iam_table.cpp") continue;
      calls.merge(calls_in(model::testing::repository_file(folder + ("/" + name))));
    }
  }
  EXPECT_GT(calls.size(), 20u);
  for (const std::string& call : calls) {
    // Whoever has credentials may ask who they are of; no policy is needed.
    EXPECT_TRUE(call == "sts:GetCallerIdentity" || allows(policy, call)) << call;
  }
}

TEST(UnknownTypes, are_those_without_a_row) {
  EXPECT_EQ(unknown_types(with_types({"AWS::ECR::Repository"}), with_types({"AWS::Quantum::Chip"})),
            std::vector<std::string>{"AWS::Quantum::Chip"});
}

}  // namespace
}  // namespace berth::deploy
