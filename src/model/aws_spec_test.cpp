#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model/aws_names.h"
#include "model/deployable.h"
#include "model/parse.h"

namespace berth::model {
namespace {

SpecSource source(std::string text, std::map<std::string, std::string> environment = {}) {
  return {.text = std::move(text),
          .file = "berth.yaml",
          .directory = "/work/app",
          .environment = std::move(environment)};
}

Spec good(std::string text) {
  SpecReading reading = read_spec(source(std::move(text)));
  for (const Problem& problem : reading.problems) ADD_FAILURE() << to_string(problem, "berth.yaml");
  return reading.spec;
}

std::string problems(std::string_view block) {
  std::string out;
  for (const Problem& problem :
       read_spec(source(fmt::format("server: {{builtin: workspace}}\n{}", block))).problems)
    out += to_string(problem, "") + "\n";
  return out;
}

constexpr std::string_view everything = R"(
name: orders
server: {command: [node, server.js], env: {TOKEN: "x"}}
tasks: {count: 3, zones: [a, b]}
image: {dockerfile: docker/Dockerfile, assemble: false, base: scratch, ignore: ["*.log"], stop_at: high}
permissions:
  - actions: [dynamodb:GetItem, "s3:Get*"]
    resources: ["arn:aws:dynamodb:*:*:table/orders", "*"]
scaling:
  min: 3
  max: 6
  cpu: {out: 80, in: 20.5}
  calls_per_task: 50
  high_resolution: true
  hours: {days: Mon - Fri, from: "7:00", to: "20:30", timezone: Europe/Zurich}
aws:
  region: eu-central-1
  profile: work
  account: 012345678901
  architecture: arm64
  network: {cidr: 10.30.0.0/16, egress: endpoints, egress_ports: [5432], flow_logs: false}
  domain: mcp.example.com
  hosted_zone: Z0123456789ABC
  certificate: arn:aws:acm:eu-central-1:012345678901:certificate/0a1b
  allow: [192.0.2.0/24]
  waf: true
  kms_key: arn:aws:kms:eu-central-1:012345678901:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9
  permissions_boundary: arn:aws:iam::012345678901:policy/bound
  tags: {team: "${blue}", cost: "42"}
  spot: {base: 2, weight: 0}
  logs: {days: 90, archive: false}
  backups: false
  traces: false
  exec: true
  bake: 5m
  open: true
  secrets: {TOKEN: "arn:aws:secretsmanager:eu-central-1:012345678901:secret:t-AbCdEf:token"}
  alarms: {email: ops@example.com, trail_log_group: trail}
)";

TEST(AwsSpec, reads_every_key) {
  Spec spec = good(std::string(everything));
  EXPECT_EQ(spec.image.dockerfile, "docker/Dockerfile");
  EXPECT_EQ(spec.image.stop_at, ImageSpec::Severity::high);
  ASSERT_EQ(spec.permissions.size(), 1u);
  EXPECT_EQ(spec.permissions[0].actions, (std::vector<std::string>{"dynamodb:GetItem", "s3:Get*"}));
  EXPECT_EQ(spec.scaling.max, 6u);
  EXPECT_EQ(spec.scaling.cpu_out, 80);
  EXPECT_EQ(spec.scaling.cpu_in, 20.5);
  ASSERT_TRUE(spec.scaling.hours);
  EXPECT_EQ(spec.scaling.hours->days, "mon-fri");
  EXPECT_EQ(spec.scaling.hours->from, "07:00");
  EXPECT_EQ(spec.aws.account, "012345678901");
  EXPECT_EQ(spec.aws.architecture, AwsSpec::Architecture::arm64);
  EXPECT_EQ(spec.aws.network.egress, AwsNetworkSpec::Egress::endpoints);
  EXPECT_EQ(spec.aws.tags.at("team"), "${blue}");
  EXPECT_EQ(spec.aws.spot_base, 2u);
  EXPECT_EQ(spec.aws.spot_weight, 0u);
  EXPECT_EQ(spec.aws.log_days, 90u);
  EXPECT_FALSE(spec.aws.log_archive);
  EXPECT_EQ(spec.aws.bake, std::chrono::minutes(5));
  EXPECT_EQ(spec.aws.alarms.email, "ops@example.com");
}

TEST(AwsSpec, is_written_so_that_it_reads_back) {
  for (std::string_view text : {everything, std::string_view("server: {builtin: workspace}")}) {
    std::string written = write_spec(good(std::string(text)));
    EXPECT_EQ(write_spec(good(written)), written);
  }
  EXPECT_FALSE(good(write_spec(good("server: {builtin: workspace}"))).scaling.hours);
}

TEST(AwsSpec, is_written_without_defaults_that_would_be_refused_beside_what_it_says) {
  for (std::string_view blocks :
       {"aws: {network: {vpc: vpc-0a1b2c3d, private_subnets: [subnet-0a1b2c3d, subnet-1a1b2c3d]}}",
        "tasks: {count: 1}\nscaling: {min: 1, max: 1}"}) {
    const Spec spec = good(fmt::format("server: {{builtin: workspace}}\n{}\n", blocks));
    const Spec again = good(write_spec(spec));
    EXPECT_EQ(again.aws.network.vpc, spec.aws.network.vpc);
    EXPECT_EQ(tasks_max(again), tasks_max(spec));
  }
  EXPECT_EQ(
      good(write_spec(good("server: {builtin: workspace}\nscaling: {hours: {}}"))).scaling.hours.has_value(),
      true);
}

TEST(AwsSpec, has_defaults_that_need_no_file) {
  Spec spec = good("server: {builtin: workspace}");
  EXPECT_EQ(tasks_min(spec), 3u);
  EXPECT_EQ(tasks_max(spec), 6u);
  EXPECT_EQ(spec.aws.allow, (std::vector<std::string>{"0.0.0.0/0"}));
  EXPECT_TRUE(deploy_problems(spec).empty());
}

TEST(AwsSpec, keeps_variables_for_another_machine_and_collects_their_names) {
  SpecSource with = source(R"(
servers:
  a:
    command: x
    env: {T: "a-${B}-${A}", D: "${D:-none}", E: "${E:-none}", L: "$${NOT}", F: "${workspaceFolder}"}
  b: {url: "http://h/mcp", headers: {X: "Bearer ${A}"}}
auth: {keys: [{name: alice, env: ALICE}]}
aws: {secrets: {B: "arn:aws:secretsmanager:eu-central-1:012345678901:secret:b"}, tags: {t: "${TAG}"}}
)",
                           {{"A", "secret"}, {"E", "set"}});
  with.keep_variables = true;
  SpecReading reading = read_spec(with);
  ASSERT_TRUE(reading.ok()) << to_string(reading.problems[0], "");
  EXPECT_EQ(reading.spec.variables, (std::vector<std::string>{"A", "ALICE", "B", "E"}));
  EXPECT_EQ(secret_variables(reading.spec), (std::vector<std::string>{"A", "ALICE", "E"}));
  EXPECT_EQ(reading.spec.servers[0].environment.at("T"), "a-${B}-${A}");
  EXPECT_EQ(reading.spec.servers[0].environment.at("D"), "${D:-none}");
  EXPECT_EQ(reading.spec.servers[0].environment.at("F"), "${workspaceFolder}");

  SpecReading there =
      read_spec(source(write_spec(reading.spec), {{"A", "1"}, {"B", "2"}, {"ALICE", "k"}, {"E", "3"}}));
  ASSERT_TRUE(there.ok()) << to_string(there.problems[0], "");
  EXPECT_EQ(there.spec.servers[0].environment.at("T"), "a-2-1");
  EXPECT_EQ(there.spec.servers[0].environment.at("L"), "${NOT}");
  EXPECT_EQ(there.spec.servers[1].headers.at("X"), "Bearer 1");
}

TEST(AwsSpec, keeps_variables_of_a_clients_file_too) {
  SpecSource file = source(R"({"mcpServers": {"a": {"command": "x", "env": {"T": "${env:TOKEN}"}}}})");
  file.keep_variables = true;
  SpecReading reading = read_client_file(file);
  ASSERT_TRUE(reading.ok());
  EXPECT_EQ(reading.spec.variables, (std::vector<std::string>{"TOKEN"}));
  SpecReading there = read_spec(source(write_spec(reading.spec), {{"TOKEN", "t"}}));
  EXPECT_EQ(there.spec.servers[0].environment.at("T"), "t");
}

struct Mistake {
  std::string_view block, problem;
};
class AwsMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(AwsMistake, has_a_precise_answer) {
  EXPECT_EQ(problems(GetParam().block), fmt::format(":{}\n", GetParam().problem));
}

constexpr Mistake mistakes[] = {
    {"aws: {regoin: eu-west-1}", "2:7: \"regoin\" is not a key of aws; did you mean \"region\"?"},
    {"aws: {region: eu-centrl-1}",
     "2:7: aws.region is \"eu-centrl-1\", which is no region; did you mean \"eu-central-1\"?"},
    {"aws: {region: eu-central-1a}",
     "2:7: aws.region is \"eu-central-1a\", which is a zone; write its region, eu-central-1."},
    {"aws: {region: Frankfurt}",
     "2:7: aws.region is \"Frankfurt\", which is no region; write one such as eu-central-1 or us-east-1."},
    {"aws: {account: 1234}", "2:7: aws.account is \"1234\", which is no account; write its 12 digits."},
    {"aws: {architecture: arm}", "2:21: aws.architecture is \"arm\"; write own or x86_64 or arm64."},
    {"aws: {hosted_zone: Z0123456789ABC}",
     "2:7: aws.hosted_zone needs aws.domain: the name that the record is for."},
    {"aws: {domain: mcp.example.com}",
     "2:7: aws.domain needs aws.hosted_zone, where the record and the certificate are made, or "
     "aws.certificate "
     "and a record that you make."},
    {"aws: {domain: \"https://mcp.example.com\", hosted_zone: Z0123456789ABC}",
     "2:7: aws.domain is \"https://mcp.example.com\", which has a scheme; write the name alone, such as "
     "mcp.example.com."},
    {"aws: {domain: mcp.example.com, hosted_zone: example.com}",
     "2:32: aws.hosted_zone is \"example.com\", which is no id of a zone; write one such as Z0123456789ABC."},
    {"aws: {domain: a.b, region: us-east-1, certificate: "
     "\"arn:aws:acm:us-west-2:123456789012:certificate/a\"}",
     "2:39: aws.certificate is in us-west-2, but the service is in us-east-1; a load balancer takes "
     "certificates "
     "of its own region."},
    {"aws: {domain: a.b, certificate: \"arn:aws:iam::123456789012:server-certificate/a\"}",
     "2:20: aws.certificate is \"arn:aws:iam::123456789012:server-certificate/a\", which is no ARN of acm; "
     "write "
     "arn:aws:acm:eu-central-1:123456789012:certificate/…."},
    {"aws: {internal: true}",
     "2:7: aws.internal needs aws.domain: a load balancer without a public address needs a name and its "
     "certificate."},
    {"aws: {network: {cidr: 10.20.0.1/16}}",
     "2:17: aws.network.cidr is \"10.20.0.1/16\", which has an address inside its block; write "
     "10.20.0.0/16."},
    {"aws: {network: {cidr: 10.20.0.0/24}}",
     "2:17: aws.network.cidr is \"10.20.0.0/24\", which has a prefix that is not from /16 to /20."},
    {"aws: {network: {private_subnets: [subnet-0a1b2c3d, subnet-1a1b2c3d]}}",
     "2:17: aws.network.private_subnets needs aws.network.vpc: the VPC that they are in."},
    {"aws: {network: {vpc: vpc-0a1b2c3d}}",
     "2:17: aws.network.private_subnets has 0 of the at least two subnets, in different zones, that the "
     "service "
     "needs."},
    {"aws: {network: {vpc: vpc-0a1b2c3d, private_subnets: [subnet-0a1b2c3d, subnet-0a1b2c3d]}}",
     "2:36: aws.network.private_subnets names a subnet twice; remove one."},
    {"aws: {network: {vpc: vpc-0a1b2c3d, cidr: 10.0.0.0/16, private_subnets: [subnet-0a1b2c3d, "
     "subnet-1a1b2c3d]}}",
     "2:36: aws.network.cidr is of a VPC that Berth makes, but aws.network.vpc names one that exists; remove "
     "one."},
    {"aws: {network: {vpc: main, private_subnets: [subnet-0a1b2c3d, subnet-1a1b2c3d]}}",
     "2:17: aws.network.vpc is \"main\", which is no id; write one such as vpc-0a1b2c3d4e5f60718."},
    {"aws: {network: {egress_ports: [5432, http]}}",
     "2:17: aws.network.egress_ports is \"http\", which is no TCP port; write a number from 1 to 65535."},
    {"aws: {network: {egress: none}}",
     "2:25: aws.network.egress is \"none\"; write nat or nat_per_zone or endpoints."},
    {"aws: {bake: 90s}", "2:7: aws.bake is 1m30s, but ECS counts whole minutes; write 2m."},
    {"aws: {allow: [10.0.0.0]}\n",
     "2:7: aws.allow is \"10.0.0.0\", which is no CIDR block; write one such as 10.20.0.0/16.\n"
     ":2:7: aws.allow needs aws.domain or aws.waf: true: an address under cloudfront.net is limited to "
     "networks "
     "by the firewall alone."},
    {"aws: {open: true}\nauth: {keys: [{name: a, env: A}]}",
     "2:7: aws.open lets everybody call, but auth.keys asks for keys; remove one."},
    {"aws: {kms_key: alias/mine}",
     "2:7: aws.kms_key is \"alias/mine\", which is no ARN; write "
     "arn:aws:kms:eu-central-1:123456789012:key/…."},
    {"aws: {kms_key: \"arn:aws:kms:eu-central-1:123456789012:key/mine\"}",
     "2:7: aws.kms_key is \"arn:aws:kms:eu-central-1:123456789012:key/mine\", which has no id of a key; "
     "write "
     "key/01234567-89ab-cdef-0123-456789abcdef."},
    {"aws: {permissions_boundary: \"arn:aws:iam::123456789012:role/x\"}",
     "2:7: aws.permissions_boundary is \"arn:aws:iam::123456789012:role/x\", which is not a whole ARN; write "
     "arn:aws:iam::123456789012:policy/…."},
    {"aws: {tags: {\"aws:x\": y}}",
     "2:14: aws.tags.aws:x starts with aws:, which is reserved; use another key."},
    {"aws: {spot: {weight: many}}",
     "2:22: aws.spot.weight is \"many\", which is not a whole number; write a whole number from 0 to 100."},
    {"aws: {spot: {base: 6}}",
     "2:14: aws.spot.base is 6, so none of the at most 6 tasks runs on Spot; lower it, or write weight: 0."},
    {"aws: {logs: {days: 31}}",
     "2:14: aws.logs.days is 31, which CloudWatch does not know; the next step is 60."},
    {"aws: {secrets: {1A: \"arn:aws:secretsmanager:eu-west-1:123456789012:secret:x\"}}",
     "2:17: aws.secrets.1A: \"1A\" is no name of an environment variable."},
    {"aws: {secrets: {BERTH_API_KEY: \"arn:aws:secretsmanager:eu-west-1:123456789012:secret:x\"}}",
     "2:17: aws.secrets.BERTH_API_KEY: names that start with BERTH_, AWS_ or ECS_ are taken."},
    {"aws: {secrets: {A: prod/key}}",
     "2:17: aws.secrets.A is \"prod/key\", which is no ARN; write "
     "arn:aws:secretsmanager:eu-central-1:123456789012:secret:…."},
    {"aws: {alarms: {email: ops}}",
     "2:16: aws.alarms.email is \"ops\", which is no address of e-mail; write one such as ops@example.com."},
    {"permissions: {actions: [a]}",
     "2:14: permissions is a block of keys, but it takes a list; write permissions: [{actions: …}]."},
    {"permissions: [{actions: [\"*\"], resources: [\"*\"]}]",
     "2:16: permissions[0].actions is \"*\", which allows everything; name the actions, such as "
     "dynamodb:GetItem."},
    {"permissions: [{actions: [GetItem], resources: [\"*\"]}]",
     "2:16: permissions[0].actions is \"GetItem\", which is no action of IAM; write SERVICE:Action, such as "
     "dynamodb:GetItem."},
    {"permissions: [{actions: [\"s3:GetObject\"]}]",
     "2:16: permissions[0] has no resources; write {actions: [dynamodb:GetItem], resources: [\"arn:…\"]}."},
    {"permissions: [{actions: [\"s3:GetObject\"], resources: [my-bucket]}]",
     "2:43: permissions[0].resources is \"my-bucket\", which is no ARN; write "
     "arn:aws:SERVICE:REGION:ACCOUNT:…, "
     "or \"*\"."},
    {"scaling: {min: 0}",
     "2:11: scaling.min is 0, but some task must answer; write at least 1, and scaling.hours for times "
     "without "
     "any."},
    {"scaling: {min: 4, max: 2}", "2:19: scaling.max (2) is less than scaling.min (4); raise it."},
    {"scaling: {cpu: {out: 30, in: 70}}",
     "2:11: scaling.cpu.in (70) is not less than out (30): tasks would be added and taken away in turn."},
    {"scaling: {hours: {days: weekdays}}",
     "2:19: scaling.hours.days is \"weekdays\", which names no days; write mon-fri, mon,wed or mon-sun."},
    {"scaling: {hours: {from: 9am}}",
     "2:19: scaling.hours.from is \"9am\", which is no time of day; write HH:MM from 00:00 to 23:59."},
    {"scaling: {hours: {from: \"21:00\"}}",
     "2:19: scaling.hours.to (20:00) is not after from (21:00); hours across midnight are not understood."},
    {"scaling: {hours: {timezone: CET}}",
     "2:19: scaling.hours.timezone is \"CET\", which is no name of a time zone; write one such as "
     "Europe/Zurich, "
     "or UTC."},
    {"image: {stop_at: hihg}", "2:18: image.stop_at is \"hihg\"; did you mean \"high\"?"},
};
INSTANTIATE_TEST_SUITE_P(Each, AwsMistake, ::testing::ValuesIn(mistakes));

TEST(AwsNames, of_newer_regions_are_taken_by_their_shape) {
  for (std::string_view region :
       {"us-east-3", "eu-central-9", "us-gov-west-1", "cn-north-1", "ap-southeast-7"})
    EXPECT_EQ(region_problem(region), "") << region;
  for (std::string_view region : {"", "-", "-1", "us--1", "us-east", "xx-east-1", "us-east-12"})
    EXPECT_NE(region_problem(region), "") << region;
}

TEST(AwsNames, of_days_have_one_spelling) {
  EXPECT_EQ(days_of_week("Monday, wed"), "mon,wed");
  EXPECT_EQ(days_of_week("mon-fri,sun"), "mon-fri,sun");
  for (std::string_view text : {"", "fri-mon", "mon-", "mon-tue-wed", "*", "mon,,tue"})
    EXPECT_EQ(days_of_week(text), "") << text;
}

TEST(AwsNames, of_times_are_minutes_of_the_day) {
  EXPECT_EQ(minutes_of_day("00:00"), 0);
  EXPECT_EQ(minutes_of_day("7:05"), 425);
  EXPECT_EQ(minutes_of_day("23:59"), 1439);
  for (std::string_view text : {"", ":", "24:00", "12:60", "1200", "12:0", "-1:00", "012:00"})
    EXPECT_EQ(minutes_of_day(text), -1) << text;
}

TEST(FargateSize, is_one_that_fargate_has) {
  constexpr std::uint64_t gb = std::uint64_t{1} << 30;
  EXPECT_EQ(fargate_size_problem(0.25, gb / 2), "");
  EXPECT_EQ(fargate_size_problem(0.5, gb), "");
  EXPECT_EQ(fargate_size_problem(0.5, 4 * gb), "");
  EXPECT_EQ(fargate_size_problem(8, 20 * gb), "");
  EXPECT_EQ(fargate_size_problem(0.5, 5 * gb),
            "tasks.memory is 5GB, but with 0.5 vCPU Fargate has from 1GB to 4GB in steps of 1GB.");
  EXPECT_EQ(fargate_size_problem(0.5, gb / 2),
            "tasks.memory is 512MB, but with 0.5 vCPU Fargate has from 1GB to 4GB in steps of 1GB.");
  EXPECT_EQ(fargate_size_problem(0.3, gb),
            "tasks.cpu is 0.3, but Fargate has tasks of 0.25, 0.5, 1, 2, 4, 8 and 16 vCPUs.");
}

TEST(DeployProblems, name_everything_at_once) {
  Spec spec = good(
      "name: My_App\nserver: {builtin: workspace}\ntasks: {zones: [a], memory: 512MB, drain_timeout: "
      "5m}\nauth: {keys: [{name: bob, file: k}]}");
  EXPECT_EQ(
      deploy_problems(spec),
      (std::vector<std::string>{
          "name is \"My_App\", but AWS takes lower-case letters, digits and hyphens, starting with a letter, "
          "from 2 to 40; write name: my-app.",
          "tasks.memory is 512MB, but with 0.5 vCPU Fargate has from 1GB to 4GB in steps of 1GB.",
          "tasks.zones has one zone, but a load balancer needs two; write zones: [a, b, c].",
          "tasks.drain_timeout is 5m, but Fargate ends a task 2m after SIGTERM; lower it.",
          "The key \"bob\" is read from a file, which the tasks do not have; write env: VARIABLE, and deploy "
          "puts its value into Secrets Manager."}));
}

}  // namespace
}  // namespace berth::model
