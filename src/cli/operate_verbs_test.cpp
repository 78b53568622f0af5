#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "cli/operate_view.h"
#include "cli/testing/fake_context.h"

namespace berth::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view task_arn = "arn:aws:ecs:us-east-1:1:task/files/0123456789abcdef";

std::string query_answer(std::string_view operation, std::string_view inside) {
  return fmt::format("<{0}Response><{0}Result>{1}</{0}Result></{0}Response>", operation, inside);
}

std::string output(std::string_view key, std::string_view value) {
  return fmt::format("<member><OutputKey>{}</OutputKey><OutputValue>{}</OutputValue></member>", key, value);
}

std::string stack(std::string_view name, std::string_view outputs) {
  return query_answer(
      "DescribeStacks",
      fmt::format("<Stacks><member><StackName>{}</StackName><StackStatus>CREATE_COMPLETE</StackStatus>"
                  "<Outputs>{}</Outputs></member></Stacks>",
                  name, outputs));
}

/// AWS with one healthy service of one task, and that service itself, on an in-memory network.
class AwsVerbs : public ::testing::Test {
 protected:
  void SetUp() override {
    world.environment["AWS_ENDPOINT_URL"] = "http://10.0.0.1:80";
    world.environment["AWS_ACCESS_KEY_ID"] = "AKID";
    world.environment["AWS_SECRET_ACCESS_KEY"] = "secret";
    world.environment["AWS_MAX_ATTEMPTS"] = "1";
    world.write("berth.yaml", "name: files\nserver: {command: node server.js}\n");
    aws.answer = [this](const testing::FakeService::Seen& seen) { return answer_as_aws(seen); };
    service.answer = [](const testing::FakeService::Seen& seen) {
      if (seen.target == "/healthz") return http::text_response(200, "ok");
      return http::json_response(
          200, R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}})");
    };
    world.serve({"10.0.0.1", 80}, aws);
    world.serve({"10.0.0.9", 80}, service);
  }

  void deploy() {
    world.write(".berth/deployed.json",
                R"({"region":"us-east-1","account":"1","service_stack":"files","base_stack":"b","url":"u"})");
  }

  http::Response answer_as_aws(const testing::FakeService::Seen& seen) {
    const std::string target(seen.headers.get("X-Amz-Target").value_or(""));
    const std::string name = target.empty() ? operation(seen.body) : target.substr(target.find('.') + 1);
    if (const auto given = answers.find(name); given != answers.end()) return given->second;
    if (name == "DescribeStacks") return http::text_response(200, described(seen.body));
    if (const auto known = json_answers.find(name); known != json_answers.end()) {
      return http::json_response(200, known->second);
    }
    if (const auto known = xml_answers.find(name); known != xml_answers.end()) {
      return http::text_response(200, query_answer(name, known->second));
    }
    if (seen.target == "/GetTraceSegmentDestination") {
      return http::json_response(200, R"({"Destination":"CloudWatchLogs"})");
    }
    return http::text_response(500, "no answer for " + name + seen.target);
  }

  static std::string operation(const std::string& form) {
    const std::size_t end = std::min(form.find('&'), form.size());
    return form.starts_with("Action=") ? form.substr(7, end - 7) : std::string();
  }

  static std::string described(const std::string& form) {
    if (form.ends_with("files-base")) return stack("files-base", output("ApiKeyArn", "arn:key"));
    return stack("files", output("ClusterName", "files") + output("ServiceName", "files") +
                              output("TargetGroupArn", "tg") + output("Url", "http://10.0.0.9"));
  }

  int run(const std::vector<std::string>& words) {
    world.terminal.output.clear();
    world.terminal.errors.clear();
    return world.run(words);
  }
  bool says(std::string_view text) const { return world.terminal.output.find(text) != std::string::npos; }

  testing::World world;
  testing::FakeService aws;
  testing::FakeService service;
  std::map<std::string, http::Response> answers;
  std::map<std::string, std::string> json_answers{
      {"DescribeServices",
       R"({"services":[{"serviceName":"files","status":"ACTIVE","desiredCount":1,"runningCount":1,
          "deployments":[{"status":"PRIMARY","rolloutState":"COMPLETED","createdAt":1795302000,
                          "taskDefinition":"arn:x/files:7"}]}]})"},
      {"ListTasks", fmt::format(R"({{"taskArns":["{}"]}})", task_arn)},
      {"DescribeTasks",
       fmt::format(R"({{"tasks":[{{"taskArn":"{}","availabilityZone":"us-east-1a","lastStatus":"RUNNING",
          "startedAt":1795302000,"capacityProviderName":"FARGATE",
          "containers":[{{"image":"r/files@sha256:0123456789abcdef"}}],
          "attachments":[{{"details":[{{"name":"privateIPv4Address","value":"10.1.0.1"}}]}}]}}]}})",
                   task_arn)},
      {"DescribeScalableTargets", R"({"ScalableTargets":[{"MinCapacity":1,"MaxCapacity":4}]})"},
      {"DescribeScheduledActions", R"({"ScheduledActions":[]})"},
      {"GetSecretValue", R"({"SecretString":"the-key"})"},
      {"FilterLogEvents",
       R"({"events":[
          {"eventId":"1","timestamp":1795305600000,"logStreamName":"task/berth/0123456789abcdef",
           "message":"{\"time\":\"2026-11-22T00:00:00.000Z\",\"level\":\"info\",\"event\":\"tool_call\"}"},
          {"eventId":"2","timestamp":1795305601000,"logStreamName":"task/berth/0123456789abcdef",
           "message":"{\"_aws\":{\"CloudWatchMetrics\":[]},\"Calls\":1}"},
          {"eventId":"3","timestamp":1795305602000,"logStreamName":"task/berth/0123456789abcdef",
           "message":"plain \u001b[2Jtext"}]})"}};
  std::map<std::string, std::string> xml_answers{
      {"DescribeTargetHealth",
       "<TargetHealthDescriptions><member><Target><Id>10.1.0.1</Id></Target><TargetHealth><State>healthy</"
       "State>"
       "</TargetHealth></member></TargetHealthDescriptions>"},
      {"ListStackResources",
       "<StackResourceSummaries><member><LogicalResourceId>LoadBalancer</"
       "LogicalResourceId><PhysicalResourceId>lb"
       "</PhysicalResourceId><ResourceType>AWS::ElasticLoadBalancingV2::LoadBalancer</ResourceType></member>"
       "</StackResourceSummaries>"},
      {"GetCallerIdentity", "<Arn>arn:aws:iam::1:user/me</Arn><Account>1</Account>"},
      {"DescribeLoadBalancers",
       "<LoadBalancers><member><State><Code>active</Code></State></member></LoadBalancers>"},
      {"DescribeListeners", "<Listeners><member><ListenerArn>l</ListenerArn></member></Listeners>"},
      {"DescribeRules",
       "<Rules><member><Actions><member><TargetGroupArn>tg</TargetGroupArn></member></Actions></member></"
       "Rules>"},
      {"DetectStackDrift", "<StackDriftDetectionId>d</StackDriftDetectionId>"},
      {"DescribeStackDriftDetectionStatus", "<DetectionStatus>DETECTION_COMPLETE</DetectionStatus>"},
      {"DescribeStackResourceDrifts", "<StackResourceDrifts/>"}};
};

TEST_F(AwsVerbs, AskAwsOnceTheServiceWasDeployed) {
  EXPECT_EQ(run({"status"}), 4) << "it is neither deployed nor running";
  deploy();
  EXPECT_EQ(run({"status"}), 0) << world.terminal.errors;
  for (const std::string_view text :
       {"files  1 of 1 tasks healthy  us-east-1", "01234567", "us-east-1a", "on demand", "0123456789ab",
        "completed", "files:7", "1 to 4 tasks", "http://10.0.0.9/mcp"}) {
    EXPECT_TRUE(says(text)) << text << "\n" << world.terminal.output;
  }
}

TEST_F(AwsVerbs, PrintJsonForPrograms) {
  EXPECT_EQ(run({"status", "--on", "aws", "--region", "us-east-1", "--json"}), 0) << world.terminal.errors;
  const json::value shown = json::parse(world.terminal.output);
  EXPECT_EQ(shown.at("service").at("healthy").as_int64(), 1);
}

TEST_F(AwsVerbs, SayWhereNothingIsDeployed) {
  deploy();
  answers["DescribeStacks"] = http::text_response(400,
                                                  "<ErrorResponse><Error><Code>ValidationError</"
                                                  "Code><Message>Stack with id files does not exist</Message>"
                                                  "</Error></ErrorResponse>");
  EXPECT_EQ(run({"status"}), 4);
  EXPECT_NE(world.terminal.errors.find("`berth deploy` makes it"), std::string::npos);
}

TEST_F(AwsVerbs, NameThePermissionThatIsMissing) {
  deploy();
  answers["DescribeServices"] = http::json_response(400,
                                                    R"({"__type":"AccessDeniedException",
          "message":"User: u is not authorized to perform: ecs:DescribeServices"})");
  EXPECT_EQ(run({"status"}), 1);
  EXPECT_NE(world.terminal.errors.find("ecs:DescribeServices"), std::string::npos);
}

TEST_F(AwsVerbs, RefuseAnUnknownPlace) { EXPECT_EQ(run({"status", "--on", "mars"}), 2); }

TEST_F(AwsVerbs, ShowLogsWithoutMetricsAndWithoutControlCharacters) {
  deploy();
  EXPECT_EQ(run({"logs"}), 0) << world.terminal.errors;
  EXPECT_TRUE(says("tool_call"));
  EXPECT_TRUE(says("00:00:02.000 01234567 plain"));
  EXPECT_FALSE(says("_aws"));
  EXPECT_FALSE(says("\x1b"));
}

TEST_F(AwsVerbs, PrintLogsAsJsonLines) {
  deploy();
  EXPECT_EQ(run({"logs", "--json", "--since", "1h"}), 0) << world.terminal.errors;
  EXPECT_TRUE(says("{\"_aws\""));
  EXPECT_TRUE(says("\"task\":\"0123456789abcdef\",\"message\":\"plain"));
}

TEST_F(AwsVerbs, RefuseATimeThatIsNone) {
  deploy();
  EXPECT_EQ(run({"logs", "--since", "yesterday"}), 2);
  EXPECT_EQ(run({"traces", "--since", "-1h"}), 2);
}

TEST_F(AwsVerbs, FindEveryLinkOfAHealthyServiceGood) {
  deploy();
  EXPECT_EQ(run({"doctor"}), 0) << world.terminal.output << world.terminal.errors;
  EXPECT_TRUE(says("tools/list answers: 2 tools"));
  EXPECT_TRUE(says("Every link holds."));
  EXPECT_EQ(service.seen.back().headers.get("Authorization"), "Bearer the-key");
  EXPECT_FALSE(says("the-key"));
}

TEST_F(AwsVerbs, NameTheFirstBrokenLink) {
  deploy();
  xml_answers["DescribeTargetHealth"] =
      "<TargetHealthDescriptions><member><Target><Id>10.1.0.1</Id></Target><TargetHealth><State>unhealthy</"
      "State>"
      "<Reason>Target.Timeout</Reason></TargetHealth></member></TargetHealthDescriptions>";
  EXPECT_EQ(run({"doctor"}), 6);
  EXPECT_TRUE(says("The first broken link is targets")) << world.terminal.output;
  EXPECT_EQ(run({"doctor", "--json"}), 6);
}

TEST_F(AwsVerbs, ConnectWithoutShowingTheKeyUnlessAsked) {
  deploy();
  EXPECT_EQ(run({"connect"}), 0) << world.terminal.errors;
  EXPECT_TRUE(says("claude mcp add --transport http files http://10.0.0.9/mcp"));
  EXPECT_TRUE(says("aws secretsmanager get-secret-value"));
  EXPECT_FALSE(says("the-key"));
  EXPECT_EQ(run({"connect", "--client", "vscode"}), 0);
  EXPECT_TRUE(says("BERTH_API_KEY"));
  EXPECT_FALSE(says("the-key"));
  EXPECT_EQ(run({"connect", "--show-key"}), 0);
  EXPECT_TRUE(says("Bearer the-key"));
  EXPECT_EQ(run({"connect", "--client", "emacs"}), 2);
}

TEST_F(AwsVerbs, ShowTracesAndTheirWaterfall) {
  deploy();
  json::object record{{"resource", json::object{{"attributes", json::object{{"service.name", "files"}}}}},
                      {"traceId", "58406520a006649127e371903a2de979"},
                      {"spanId", "1"},
                      {"parentSpanId", ""},
                      {"name", "tools/call"},
                      {"startTimeUnixNano", 1795305600000000000},
                      {"durationNano", 250000000},
                      {"attributes", json::object{{"gen_ai.tool.name", "echo"}}}};
  json::array events{json::object{{"message", json::serialize(record)}}};
  json_answers["FilterLogEvents"] = json::serialize(json::object{{"events", events}});
  EXPECT_EQ(run({"traces"}), 0) << world.terminal.errors;
  EXPECT_TRUE(says("58406520a0066491")) << world.terminal.output;
  EXPECT_TRUE(says("250 ms"));
  EXPECT_EQ(run({"traces", "5840"}), 0);
  EXPECT_TRUE(says("tools/call echo"));
  EXPECT_TRUE(says("████"));
  EXPECT_EQ(run({"traces", "ffff"}), 1);
}

TEST_F(AwsVerbs, TellThatTracesAreKeptOnAwsAlone) {
  EXPECT_EQ(run({"traces"}), 4);
  EXPECT_NE(world.terminal.errors.find("--on aws"), std::string::npos);
}

}  // namespace
}  // namespace berth::cli
