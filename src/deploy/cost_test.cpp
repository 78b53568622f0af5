#include "deploy/cost.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// Three x86 tasks of 0.5 vCPU and 1 GB on demand behind a public load balancer, with one NAT gateway.
model::Spec plain_spec() {
  model::Spec spec;
  spec.name = "demo";
  spec.aws.region = "us-west-2";
  spec.aws.spot_weight = 0;
  return spec;
}

Inventory plain_inventory() {
  return {.vcpu = 0.5,
          .memory_gb = 1,
          .zones = 3,
          .load_balancers = 1,
          .balancer_addresses = 3,
          .nat_gateways = 1,
          .nat_addresses = 1};
}

double usd(const Estimate& estimate, std::string_view item) {
  double sum = 0;
  for (const CostLine& line : estimate.lines) {
    if (line.item.find(item) != std::string::npos) sum += line.usd;
  }
  return std::round(sum * 100) / 100;
}

Estimate priced(const model::Spec& spec, const Inventory& inventory, const Usage& usage = {}) {
  return estimate(spec, inventory, usage, built_in_prices());
}

TEST(Prices, of_the_program_are_dated_and_each_has_a_source) {
  Prices prices = built_in_prices();
  EXPECT_EQ(prices.date, "2026-11-22");
  EXPECT_GT(prices.items.size(), 30u);
  for (const auto& [name, price] : prices.items) {
    EXPECT_GT(price.usd, 0) << name;
    EXPECT_FALSE(price.unit.empty()) << name;
    EXPECT_FALSE(price.source.empty()) << name;
  }
}

TEST(Prices, of_a_region_that_is_not_in_the_file_are_those_of_us_east_1) {
  Prices prices = built_in_prices();
  EXPECT_EQ(prices.priced_as("us-west-2"), "us-west-2");
  EXPECT_EQ(prices.priced_as("eu-central-1"), "us-east-1");
  EXPECT_EQ(prices.priced_as(""), "us-east-1");
}

TEST(Prices, with_a_mistake_in_the_file_name_it) {
  EXPECT_EQ(parse_prices("[]").error().message(), "The price file is not a JSON object.");
  EXPECT_EQ(parse_prices("{\"regions\": []}").error().message(),
            "The price file needs \"regions\" (a list) and \"prices\" (an object).");
  for (std::string_view bad : {"1", "{}", "{\"price\": \"1\"}", "{\"price\": -1}"}) {
    std::string file = "{\"regions\": [\"x\"], \"prices\": {\"nat_hour\": " + std::string(bad) + "}}";
    EXPECT_EQ(parse_prices(file).error().message(),
              "The price \"nat_hour\" needs a member \"price\" with a number of USD.");
  }
}

TEST(Cost, of_one_task_is_that_of_the_worked_example) {
  model::Spec spec = plain_spec();
  spec.tasks.count = 1;
  Inventory inventory = plain_inventory();
  EXPECT_DOUBLE_EQ(usd(priced(spec, inventory), "on demand"), 18.02);
  inventory.arm = true;
  EXPECT_DOUBLE_EQ(usd(priced(spec, inventory), "on demand"), 14.42);
}

TEST(Cost, of_three_tasks_follows_processor_and_spot) {
  model::Spec spec = plain_spec();
  Inventory inventory = plain_inventory();
  EXPECT_DOUBLE_EQ(usd(priced(spec, inventory), "on demand"), 54.06);
  spec.aws.spot_base = 0;
  spec.aws.spot_weight = 1000;
  EXPECT_DOUBLE_EQ(usd(priced(spec, inventory), "Spot"), 16.22);
  inventory.arm = true;
  EXPECT_DOUBLE_EQ(usd(priced(spec, inventory), "Spot"), 12.98);
  EXPECT_DOUBLE_EQ(usd(priced(spec, inventory, {.spot_percent = 0}), "Spot"), 43.25);
}

TEST(Cost, of_no_task_is_none_and_of_an_unsaid_number_that_of_the_spec) {
  const model::Spec spec = plain_spec();
  EXPECT_DOUBLE_EQ(usd(priced(spec, plain_inventory(), {.tasks = 0}), "on demand"), 0);
  EXPECT_DOUBLE_EQ(usd(priced(spec, plain_inventory(), {.tasks = 1}), "on demand"), 18.02);
  EXPECT_DOUBLE_EQ(usd(priced(spec, plain_inventory()), "on demand"), 54.06);
}

TEST(Cost, of_the_network_is_that_of_the_worked_example) {
  // 730 GB a month is one GB an hour: one LCU.
  Estimate result = priced(plain_spec(), plain_inventory(), {.calls = 1e6, .call_kb = 730});
  EXPECT_DOUBLE_EQ(usd(result, "load balancer capacity"), 5.84);
  EXPECT_NEAR(usd(result, "load balancer") - 5.84 - 10.95, 16.43, 0.006);
  EXPECT_DOUBLE_EQ(usd(result, "public IPv4, load balancer"), 10.95);
  EXPECT_DOUBLE_EQ(usd(result, "public IPv4, NAT"), 3.65);
  Inventory per_zone = plain_inventory();
  per_zone.nat_gateways = per_zone.nat_addresses = 3;
  Estimate three = priced(plain_spec(), per_zone, {.calls = 0});
  EXPECT_NEAR(usd(three, "NAT gateway"), 98.55, 0.01);
  EXPECT_DOUBLE_EQ(usd(three, "public IPv4, NAT"), 10.95);
}

TEST(Cost, of_a_service_that_runs_in_working_hours_counts_those_hours) {
  model::Spec spec = plain_spec();
  spec.aws.spot_weight = 3;
  spec.scaling.hours = model::HoursSpec{};
  Inventory inventory = plain_inventory();
  inventory.arm = true;
  Estimate result = priced(spec, inventory);
  EXPECT_NEAR(result.task_hours, 282, 0.5);
  EXPECT_NEAR(result.total(CostGroup::compute), 8.90, 0.03);
}

TEST(Cost, of_endpoints_is_counted_by_zone) {
  Inventory inventory = plain_inventory();
  inventory.nat_gateways = inventory.nat_addresses = 0;
  inventory.endpoint_zones = 12;
  EXPECT_NEAR(usd(priced(plain_spec(), inventory, {.calls = 0}), "interface endpoints"), 87.60, 0.2);
}

struct Hours {
  std::string days, from, to;
  double expected;
};

TEST(RunningHours, understand_every_form_of_days_and_take_the_rest_as_the_whole_week) {
  const Hours cases[] = {{"mon-fri", "07:00", "20:00", 65}, {"mon,wed", "08:00", "12:30", 9},
                         {"sat-sun", "22:00", "02:00", 8},  {"fri-mon", "00:00", "12:00", 48},
                         {"MON-FRI", "07:00", "20:00", 65}, {"sometimes", "07:00", "08:00", 7},
                         {"", "00:00", "00:00", 168}};
  for (const Hours& one : cases) {
    model::ScalingSpec scaling{.hours = model::HoursSpec{.days = one.days, .from = one.from, .to = one.to}};
    EXPECT_NEAR(running_hours(scaling) * 168 / 730, one.expected, 1e-9) << one.days;
  }
  EXPECT_EQ(running_hours({}), 730);
}

TEST(TaskSplit, fills_the_base_first_and_the_rest_by_weight) {
  auto split = [](std::size_t base, std::size_t weight, double count) {
    TaskSplit result = split_tasks({.spot_base = base, .spot_weight = weight}, count);
    EXPECT_EQ(result.on_demand + result.spot, count);
    return result.spot;
  };
  EXPECT_EQ(split(1, 3, 3), 2);
  EXPECT_EQ(split(1, 3, 5), 3);
  EXPECT_EQ(split(1, 3, 1), 0);
  EXPECT_EQ(split(2, 1, 6), 2);
  EXPECT_EQ(split(0, 0, 4), 0);
}

TEST(MillionCalls, count_only_what_follows_calls) {
  std::vector<CostLine> lines = million_calls(plain_spec(), plain_inventory(), {}, built_in_prices());
  ASSERT_FALSE(lines.empty());
  double sum = 0;
  for (const CostLine& line : lines) {
    EXPECT_TRUE(line.by_use) << line.item;
    sum += line.usd;
  }
  EXPECT_TRUE(std::ranges::is_sorted(lines, std::ranges::greater{}, &CostLine::usd));
  EXPECT_GT(sum, 1);
  EXPECT_LT(sum, 3);
}

TEST(Usage, has_an_option_for_every_assumption_and_every_one_moves_the_total) {
  Inventory inventory = plain_inventory();
  inventory.file_systems = inventory.repositories = inventory.flow_logs_to_s3 = 1;
  model::Spec spec = plain_spec();
  spec.aws.spot_weight = 3;
  Usage usage;
  double before = priced(spec, inventory, usage).total();
  for (const UsageField& field : usage_fields()) {
    Usage changed = usage;
    changed.*field.value = field.option == "clients" ? 1e6 : field.option == "percent-spot" ? 10 : 77;
    EXPECT_NE(priced(spec, inventory, changed).total(), before) << field.option;
    EXPECT_FALSE(field.meaning.empty());
  }
}

TEST(WhatIf, compares_every_variant_and_leaves_out_what_cannot_be_composed) {
  model::Spec spec = plain_spec();
  auto measure = [](const model::Spec& changed) -> Result<Inventory> {
    using Egress = model::AwsNetworkSpec::Egress;
    if (changed.aws.network.egress == Egress::endpoints) {
      return fail(ErrorCode::invalid_argument, "Endpoints do not reach what this server fetches.");
    }
    Inventory inventory = plain_inventory();
    inventory.arm = changed.aws.architecture == model::AwsSpec::Architecture::arm64;
    inventory.zones = changed.tasks.zones.size();
    inventory.balancer_addresses = inventory.zones;
    bool each = changed.aws.network.egress == Egress::nat_per_zone;
    inventory.nat_gateways = inventory.nat_addresses = each ? inventory.zones : 1;
    return inventory;
  };
  std::vector<WhatIf> found = what_if(spec, plain_inventory(), {}, built_in_prices(), measure);
  std::vector<std::string> names;
  for (const WhatIf& one : found) names.push_back(one.name);
  EXPECT_EQ(names, (std::vector<std::string>{"all Spot", "working hours only", "Spot beyond the first task",
                                             "two tasks", "ARM", "two zones", "a NAT gateway per zone"}));
  EXPECT_LT(found.front().difference, -37);
  EXPECT_NEAR(found.back().difference, 73, 0.2);
}

json::object document(std::string_view resources) { return {{"Resources", json::parse(resources)}}; }

TEST(Inventory, counts_what_is_billed) {
  json::object base = document(R"({
    "Repository": {"Type": "AWS::ECR::Repository"},
    "FleetKey": {"Type": "AWS::SecretsManager::Secret"},
    "ApiKey": {"Type": "AWS::SecretsManager::Secret"}})");
  json::object service = document(R"({
    "LoadBalancer": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
      "Properties": {"Scheme": "internet-facing", "Subnets": [{"Ref": "A"}, {"Ref": "B"}]}},
    "Inside": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
      "Properties": {"Scheme": "internal", "Subnets": [{"Ref": "A"}, {"Ref": "B"}]}},
    "Nat": {"Type": "AWS::EC2::NatGateway"}, "NatAddress": {"Type": "AWS::EC2::EIP"},
    "S3": {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcEndpointType": "Gateway"}},
    "Logs": {"Type": "AWS::EC2::VPCEndpoint",
      "Properties": {"VpcEndpointType": "Interface", "SubnetIds": [1, 2, 3]}},
    "Slow": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Period": 60}},
    "Fast": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Period": 20}},
    "Files": {"Type": "AWS::EFS::FileSystem", "Properties": {"BackupPolicy": {"Status": "ENABLED"}}},
    "Acl": {"Type": "AWS::WAFv2::WebACL", "Properties": {"Rules": [{}, {}, {}]}},
    "Cluster": {"Type": "AWS::ECS::Cluster",
      "Properties": {"ClusterSettings": [{"Name": "containerInsights", "Value": "enhanced"}]}},
    "TaskDefinition": {"Type": "AWS::ECS::TaskDefinition",
      "Properties": {"Cpu": "1024", "Memory": "2048", "RuntimePlatform": {"CpuArchitecture": "ARM64"}}},
    "Service": {"Type": "AWS::ECS::Service", "Properties": {"Monitoring": {"MetricConfigurations": [
      {"MetricNames": ["CPUUtilization"], "ResolutionSeconds": 20}]}}},
    "Broken": 7, "Untyped": {}})");
  Inventory expected{.vcpu = 1,
                     .memory_gb = 2,
                     .arm = true,
                     .zones = 3,
                     .load_balancers = 2,
                     .balancer_addresses = 2,
                     .nat_gateways = 1,
                     .nat_addresses = 1,
                     .endpoint_zones = 3,
                     .file_systems = 1,
                     .backups = true,
                     .repositories = 1,
                     .secrets = 2,
                     .alarms = 1,
                     .high_resolution_alarms = 1,
                     .web_acls = 1,
                     .web_acl_rules = 3,
                     .insights = true,
                     .high_resolution = true};
  EXPECT_EQ(take_inventory(plain_spec(), Document(base, service)), expected);
}

TEST(Inventory, of_templates_without_a_resource_is_what_the_spec_says) {
  Inventory expected{.vcpu = 0.5, .memory_gb = 1, .zones = 3};
  EXPECT_EQ(take_inventory(plain_spec(), Document({}, {})), expected);
}

TEST(Document, understands_references) {
  auto value = [](std::string_view text) { return json::parse(text); };
  EXPECT_EQ(referred(value(R"({"Ref": "Vpc"})")), "Vpc");
  EXPECT_EQ(referred(value(R"({"Fn::GetAtt": ["Group", "GroupId"]})")), "Group");
  EXPECT_EQ(referred(value(R"({"Fn::GetAtt": "Bucket.Arn"})")), "Bucket");
  EXPECT_EQ(referred(value(R"({"Fn::Sub": "arn:${AWS::Partition}:s3:::${Bucket}/*"})")), "Bucket");
  EXPECT_EQ(referred(value(R"({"Fn::Sub": ["${Bucket}", {}]})")), "Bucket");
  EXPECT_EQ(referred(value(R"({"Fn::Sub": "${A}${B}"})")), "");
  EXPECT_EQ(referred(value(R"({"Fn::Sub": "${!literal} ${unclosed"})")), "");
  EXPECT_EQ(referred(value("\"sg-1\"")), "");
  EXPECT_TRUE(refers_to(value(R"([{"x": {"Fn::Sub": "${A.Arn}/${B}"}}])"), "B"));
  EXPECT_FALSE(refers_to(value(R"([{"x": {"Fn::Sub": "${A.Arn}/${B}"}}])"), "C"));
}

TEST(Document, reads_by_path_whatever_is_there) {
  json::value value = json::parse(R"({"A": {"B": [1, 2], "C": true, "D": {"Fn::Sub": "x"}}})");
  const json::object& object = value.get_object();
  EXPECT_EQ(list_at(object, "A.B").size(), 2u);
  EXPECT_EQ(list_at(object, "A.C").size(), 1u);
  EXPECT_TRUE(list_at(object, "A.X.Y").empty());
  EXPECT_TRUE(true_at(object, "A.C"));
  EXPECT_EQ(text_at(object, "A.D"), "");
  EXPECT_EQ(text_of(*at(object, "A.D")), "x");
  EXPECT_EQ(text_at(object, "A.B.C"), "");
}

}  // namespace
}  // namespace berth::deploy
