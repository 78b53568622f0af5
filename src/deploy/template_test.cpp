#include "deploy/template.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/deployable.h"
#include "model/parse.h"
#include "model/testing/golden.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;
using Lines = std::vector<std::string>;

/// The option sets of test/aws/specs, which test/aws/templates.test.mjs checks with AWS's own tools.
constexpr std::string_view options[] = {
    "domain",          "certificate",  "existing-vpc", "existing-vpc-domain",
    "endpoints",       "nat-per-zone", "internal",     "waf",
    "waf-domain",      "kms",          "boundary",     "hours",
    "high-resolution", "open",         "secrets"};

model::Spec spec_of(std::string_view name) {
  std::string path = fmt::format("test/aws/specs/{}.yaml", name);
  model::SpecSource source{.text = model::testing::repository_file(path), .file = path, .directory = "/app"};
  source.keep_variables = true;
  Result<model::Spec> spec = model::parse_spec(source);
  if (!spec) {
    ADD_FAILURE() << spec.error().message();
    return {};
  }
  return std::move(*spec);
}

Template service_of(std::string_view name) {
  Result<Template> made = compose_service(spec_of(name));
  if (!made) {
    ADD_FAILURE() << made.error().message();
    return {};
  }
  return std::move(*made);
}

/// Both templates as a person sees them.
std::string text_of(std::string_view name) {
  Result<Template> base = compose_base(spec_of(name));
  EXPECT_TRUE(base);
  return fmt::format("{}---\n{}", base->yaml, service_of(name).yaml);
}

Lines split(const std::string& text) {
  Lines out;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

/// What an option changes: lines that go (-) and come (+), each run under the last line above it that stays
/// and is less indented. By the longest common subsequence.
std::string difference(const Lines& before, const Lines& after) {
  std::vector<std::vector<std::uint16_t>> common(before.size() + 1,
                                                 std::vector<std::uint16_t>(after.size() + 1));
  for (std::size_t i = before.size(); i-- > 0;) {
    for (std::size_t j = after.size(); j-- > 0;) {
      common[i][j] = before[i] == after[j] ? static_cast<std::uint16_t>(common[i + 1][j + 1] + 1)
                                           : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  std::string out, place;
  bool shown = false;
  for (std::size_t i = 0, j = 0; i < before.size() || j < after.size();) {
    if (i < before.size() && j < after.size() && before[i] == after[j]) {
      bool key =
          before[i].size() > 3 && before[i].starts_with("  ") && before[i][2] != ' ' && before[i][2] != '#';
      if (key) place = before[i];
      shown = false;
      ++i, ++j;
      continue;
    }
    if (!shown) out += fmt::format("@{}\n", place);
    shown = true;
    bool remove = j == after.size() || (i < before.size() && common[i + 1][j] >= common[i][j + 1]);
    out += remove ? fmt::format("-{}\n", before[i++]) : fmt::format("+{}\n", after[j++]);
  }
  return out;
}

const json::object& properties(const Template& made, std::string_view id) {
  return made.document.at("Resources").at(id).at("Properties").as_object();
}

TEST(Template, of_a_spec_without_options_is_the_one_in_the_repository) {
  model::testing::expect_golden("template-default.yaml", text_of("default"));
}

class TemplateOption : public ::testing::TestWithParam<std::string_view> {};

TEST_P(TemplateOption, changes_what_the_repository_says) {
  model::testing::expect_golden(fmt::format("template-{}.diff", GetParam()),
                                difference(split(text_of("default")), split(text_of(GetParam()))));
}

TEST_P(TemplateOption, keeps_the_limits_and_has_nothing_for_our_lint) {
  for (const Template& made : {service_of(GetParam()), compose_base(spec_of(GetParam())).value()}) {
    EXPECT_LT(made.json().size(), 51'200u);
    for (const Finding& finding : lint(made.document))
      ADD_FAILURE() << finding.rule << " " << finding.resource << ": " << finding.message;
  }
}

TEST_P(TemplateOption, refers_only_to_what_is_there) {
  for (const Template& made : {service_of(GetParam()), compose_base(spec_of(GetParam())).value()}) {
    const json::object& resources = made.document.at("Resources").as_object();
    const json::value* parameters = made.document.if_contains("Parameters");
    std::function<void(const json::value&)> check = [&](const json::value& value) {
      if (const json::array* array = value.if_array()) {
        for (const json::value& entry : *array) check(entry);
      }
      const json::object* object = value.if_object();
      if (object == nullptr) return;
      for (const auto& [key, inner] : *object) {
        std::string id;
        if (key == "Ref") id = inner.as_string();
        if (key == "Fn::GetAtt") id = inner.as_array()[0].as_string();
        bool known = id.empty() || id.starts_with("AWS::") || resources.contains(id) ||
                     (parameters != nullptr && parameters->as_object().contains(id));
        EXPECT_TRUE(known) << id;
        if (key == "DependsOn" && inner.is_array()) {
          for (const json::value& need : inner.as_array())
            EXPECT_TRUE(resources.contains(std::string_view(need.as_string()))) << need;
        }
        check(inner);
      }
    };
    check(made.document);
  }
}

INSTANTIATE_TEST_SUITE_P(Each, TemplateOption, ::testing::ValuesIn(options), [](const auto& info) {
  std::string name(info.param);
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(Template, has_the_ids_and_outputs_that_others_rely_on) {
  for (std::string_view name : {"default", "domain", "existing-vpc"}) {
    Template made = service_of(name);
    const json::object& resources = made.document.at("Resources").as_object();
    for (std::string_view id :
         {"Service", "Cluster", "TaskDefinition", "LoadBalancer", "Listener", "TargetGroup", "FileSystem",
          "ArtifactsBucket", "LogsBucket", "LogGroup", "TaskRole", "ExecutionRole"})
      EXPECT_TRUE(resources.contains(id)) << name << " " << id;
    const json::object& outputs = made.document.at("Outputs").as_object();
    for (std::string_view id : {"Url", "ClusterName", "ServiceName", "TargetGroupArn", "LogGroupName",
                                "FileSystemId", "ArtifactsBucketName", "LogsBucketName", "LoadBalancerDns"})
      EXPECT_TRUE(outputs.contains(id)) << name << " " << id;
  }
}

TEST(Template, retains_data_and_nothing_else_that_costs_money) {
  Template made = service_of("default");
  Lines retained;
  for (const auto& [id, resource] : made.document.at("Resources").as_object()) {
    const json::value* policy = resource.as_object().if_contains("DeletionPolicy");
    if (policy != nullptr && *policy != "Delete")
      retained.push_back(fmt::format("{} {}", std::string_view(id), std::string_view(policy->as_string())));
  }
  // A bucket in which AWS has written something cannot be deleted by a rollback; the others can.
  EXPECT_EQ(retained, (Lines{"FileSystem RetainExceptOnCreate", "ArtifactsBucket Retain", "LogsBucket Retain",
                             "TransactionSearchPolicy RetainExceptOnCreate",
                             "TransactionSearchConfig RetainExceptOnCreate"}));
}

TEST(Template, gives_each_secret_to_the_task_and_to_nobody_else) {
  Template made = service_of("secrets");
  EXPECT_EQ(
      json::serialize(properties(made, "TaskDefinition").at("ContainerDefinitions").at(0).at("Secrets")),
      R"([{"Name":"BERTH_FLEET_KEY","ValueFrom":{"Ref":"FleetKeyArn"}},)"
      R"({"Name":"ALICE_KEY","ValueFrom":{"Fn::Sub":"${EnvironmentArn}:ALICE_KEY::"}},)"
      R"({"Name":"TOKEN","ValueFrom":{"Fn::Sub":"${EnvironmentArn}:TOKEN::"}},)"
      R"({"Name":"DATABASE_URL","ValueFrom":"arn:aws:secretsmanager:eu-central-1:123456789012:secret:)"
      R"(orders-db-AbCdEf:url::"},)"
      R"({"Name":"UPSTREAM","ValueFrom":"arn:aws:secretsmanager:eu-central-1:123456789012:secret:)"
      R"(upstream-AbCdEf"}])");
  std::string base = compose_base(spec_of("secrets"))->json();
  EXPECT_TRUE(base.contains("EnvironmentArn"));
  EXPECT_FALSE(base.contains("ApiKeyArn"));
}

TEST(Template, makes_an_api_key_unless_there_are_keys_or_the_service_is_open) {
  EXPECT_TRUE(compose_base(spec_of("default"))->json().contains("ApiKeyArn"));
  EXPECT_FALSE(compose_base(spec_of("open"))->json().contains("ApiKeyArn"));
  EXPECT_TRUE(service_of("open").json().contains(R"({"Name":"BERTH_OPEN","Value":"1"})"));
}

TEST(Template, lets_tasks_call_the_ports_of_their_servers) {
  EXPECT_TRUE(
      json::serialize(properties(service_of("secrets"), "TaskSecurityGroup")).contains(R"("FromPort":8000)"));
  EXPECT_TRUE(json::serialize(properties(service_of("nat-per-zone"), "TaskSecurityGroup"))
                  .contains(R"("FromPort":5432)"));
  EXPECT_FALSE(
      json::serialize(properties(service_of("default"), "TaskSecurityGroup")).contains(R"("FromPort":80)"));
}

TEST(Template, lets_ecs_wait_for_the_slowest_server) {
  model::Spec spec = spec_of("default");
  const auto grace = [&] {
    Result<Template> made = compose_service(spec);
    return made ? properties(*made, "Service").at("HealthCheckGracePeriodSeconds").to_number<int>() : 0;
  };
  EXPECT_EQ(grace(), 60);
  spec.servers.at(0).start_timeout = std::chrono::minutes(10);
  EXPECT_EQ(grace(), 630);
}

TEST(Template, is_refused_for_what_aws_does_not_run) {
  model::Spec spec = spec_of("default");
  spec.tasks.memory_bytes = std::uint64_t{5} << 30;
  spec.tasks.zones = {"a"};
  for (const Result<Template>& made : {compose_base(spec), compose_service(spec)}) {
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), ErrorCode::invalid_argument);
    EXPECT_EQ(made.error().message(),
              "tasks.memory is 5GB, but with 0.5 vCPU Fargate has from 1GB to 4GB in steps of 1GB.\n"
              "tasks.zones has one zone, but a load balancer needs two; write zones: [a, b, c].");
  }
}

TEST(Template, that_outgrows_cloudformation_is_refused) {
  model::Spec spec = spec_of("default");
  for (int i = 0; i < 50; ++i) {
    spec.permissions.push_back({{"s3:GetObject"}, {std::string(900, 'x')}});
  }
  Result<Template> made = compose_service(spec);
  ASSERT_FALSE(made);
  EXPECT_TRUE(made.error().message().contains("more than the 51200")) << made.error().message();
}

TEST(StackTags, are_those_of_the_spec_and_the_service) {
  EXPECT_EQ(stack_tags(spec_of("boundary")),
            (std::map<std::string, std::string>{
                {"berth:service", "orders"}, {"cost-center", "42"}, {"team", "blue"}}));
}

}  // namespace
}  // namespace berth::deploy
