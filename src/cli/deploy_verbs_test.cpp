#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cli/testing/fake_context.h"
#include "cli/verbs.h"
#include "deploy/pipeline_image.h"

namespace berth::cli {
namespace {

using testing::World;

constexpr std::string_view yaml = "name: app\nserver: {builtin: workspace}\n";

/// AWS as far as the first question goes: who calls, and no stack is there.
http::Response first_answers(const testing::FakeService::Seen& seen) {
  http::Response response;
  response.headers.set("Content-Type", "text/xml");
  if (seen.body.find("GetCallerIdentity") != std::string::npos) {
    response.body =
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account><Arn>arn:me</Arn>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>";
    return response;
  }
  if (seen.body.find("DescribeManagedPrefixLists") != std::string::npos) {
    response.body =
        "<DescribeManagedPrefixListsResponse><prefixListSet><item><prefixListId>pl-1</prefixListId>"
        "<prefixListName>com.amazonaws.global.cloudfront.origin-facing</prefixListName></item></"
        "prefixListSet>"
        "</DescribeManagedPrefixListsResponse>";
    return response;
  }
  if (seen.body.find("DescribeAvailabilityZones") != std::string::npos) {
    response.body = "<DescribeAvailabilityZonesResponse><availabilityZoneInfo>";
    for (const char* letter : {"a", "b", "c"}) {
      response.body += fmt::format(
          "<item><zoneName>us-east-1{0}</zoneName><zoneState>available</zoneState><zoneId>use1-{0}</zoneId></"
          "item>",
          letter);
    }
    response.body += "</availabilityZoneInfo></DescribeAvailabilityZonesResponse>";
    return response;
  }
  if (seen.target == "/GetTraceSegmentDestination") {
    response.headers.set("Content-Type", "application/json");
    response.body = "{\"Destination\":\"CloudWatchLogs\"}";
    return response;
  }
  response.status = 400;
  response.body =
      "<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack with id app does not exist</Message>"
      "</Error><RequestId>r</RequestId></ErrorResponse>";
  return response;
}

class OnAws : public ::testing::Test {
 protected:
  OnAws() {
    world.write("berth.yaml", std::string(yaml));
    std::string program(64, '\0');
    program.replace(0, 6,
                    std::string("\x7f"
                                "ELF\x02\x01",
                                6));
    program[18] = static_cast<char>(deploy::own_architecture() == "arm64" ? 183 : 62);
    world.write("berth", program);
    aws.answer = first_answers;
    world.serve({.host = "127.0.0.1", .port = 4566}, aws);
  }
  void credentials() {
    world.environment["AWS_REGION"] = "us-east-1";
    world.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:4566";
    world.environment["AWS_ACCESS_KEY_ID"] = "AKIAEXAMPLE";
    world.environment["AWS_SECRET_ACCESS_KEY"] = "secret-of-the-test";
  }
  World world;
  testing::FakeService aws;
};

TEST_F(OnAws, plan_without_an_account_shows_what_it_can_and_says_what_it_did_not_ask) {
  EXPECT_EQ(world.run({"plan"}), 0) << world.terminal.errors;
  EXPECT_NE(world.terminal.output.find("Resources ("), std::string::npos);
  EXPECT_NE(world.terminal.output.find("a month"), std::string::npos);
  EXPECT_NE(world.terminal.output.find("first deploy about"), std::string::npos);
  EXPECT_NE(world.terminal.output.find("AWS was not asked what is there"), std::string::npos);
}

TEST_F(OnAws, plan_says_of_which_servers_the_state_has_a_home) {
  world.write("berth.yaml",
              "name: app\nservers:\n  shell: {command: [shell], state: process, era: legacy}\n"
              "  browser: {command: [browser], isolation: service}\n"
              "  plain: {command: [plain], state: none}\n  new: {command: [new], era: modern}\n");
  EXPECT_EQ(world.run({"plan"}), 0) << world.terminal.errors;
  const std::string& said = world.terminal.output;
  EXPECT_TRUE(said.contains("server shell: the state of each caller is at home in one task (state: process)"))
      << said;
  EXPECT_TRUE(said.contains("Berth-Client (`berth connect` prints one)")) << said;
  EXPECT_TRUE(said.contains("server browser: one process in one task")) << said;
  EXPECT_FALSE(said.contains("server plain") || said.contains("server new")) << said;
  world.terminal.output.clear();
  EXPECT_EQ(world.run({"plan", "--json"}), 0);
  const boost::json::value plan = boost::json::parse(world.terminal.output);
  EXPECT_EQ(plan.at("state").as_array().size(), 2u);
  EXPECT_EQ(plan.at("state").at(1).at("home_of").as_string(), "service");
}

TEST_F(OnAws, plan_prints_the_policy_of_whoever_deploys) {
  EXPECT_EQ(world.run({"plan", "--iam"}), 0) << world.terminal.errors;
  EXPECT_NE(world.terminal.output.find("\"cloudformation:CreateChangeSet\""), std::string::npos);
}

TEST_F(OnAws, deploy_asks_and_refuses_where_nobody_can_answer) {
  credentials();
  EXPECT_EQ(world.run({"deploy", "--berth-binary", "berth"}), 8) << world.terminal.errors;
  EXPECT_NE(world.terminal.errors.find("Deploy app to account 123456789012, us-east-1?"), std::string::npos);
  EXPECT_NE(world.terminal.errors.find("--yes answers yes"), std::string::npos);
  EXPECT_EQ(world.terminal.errors.find("secret-of-the-test"), std::string::npos);
}

TEST_F(OnAws, no_as_an_answer_changes_nothing) {
  credentials();
  world.terminal.interactive = true;
  world.terminal.input = {"n"};
  EXPECT_EQ(world.run({"deploy", "--berth-binary", "berth"}), 8) << world.terminal.errors;
  EXPECT_NE(world.terminal.errors.find("Nothing was changed."), std::string::npos);
  for (const auto& seen : aws.seen) EXPECT_EQ(seen.body.find("CreateChangeSet"), std::string::npos);
}

TEST_F(OnAws, a_first_deploy_says_what_it_costs_and_how_long_it_takes_before_it_asks) {
  credentials();
  world.terminal.interactive = true;
  world.terminal.width = 80;
  world.terminal.input = {"n"};
  EXPECT_EQ(world.run({"deploy", "--berth-binary", "berth"}), 8);
  std::string question = world.terminal.errors;
  std::ranges::replace(question, '\n', ' ');
  EXPECT_NE(question.find(" a month from then on, and takes about 15 min. [y/N]"), std::string::npos)
      << question;
  for (std::string_view rest = world.terminal.errors; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    EXPECT_LE(rest.substr(0, end).size(), 80U);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  // The picture that stands in the end says that nobody failed.
  EXPECT_NE(world.terminal.output.find("– Check"), std::string::npos);
  EXPECT_NE(world.terminal.output.find("not confirmed"), std::string::npos);
  EXPECT_EQ(world.terminal.output.find("✗"), std::string::npos);
}

TEST_F(OnAws, phases_end_with_their_times_beside_those_of_the_model) {
  credentials();
  EXPECT_EQ(world.run({"deploy", "--berth-binary", "berth"}), 8) << world.terminal.errors;
  EXPECT_NE(world.terminal.output.find("Check (0.0 s, model: 2 s): not confirmed\n"), std::string::npos)
      << world.terminal.output;
  world.terminal = {};
  world.terminal.interactive = true;
  world.terminal.input = {"n"};
  EXPECT_EQ(world.run({"deploy", "--berth-binary", "berth"}), 8) << world.terminal.errors;
  EXPECT_NE(world.terminal.output.find("took         model\x1b[K"), std::string::npos)
      << world.terminal.output;
}

TEST_F(OnAws, deploy_with_a_program_that_is_none_says_what_to_give) {
  credentials();
  world.write("script", "#!/bin/sh\n");
  EXPECT_EQ(world.run({"deploy", "--yes", "--berth-binary", "script"}), 1);
  EXPECT_NE(world.terminal.errors.find("is no program for Linux"), std::string::npos)
      << world.terminal.errors;
}

TEST_F(OnAws, tasks_of_another_architecture_take_the_program_beside_this_one) {
  credentials();
  const std::string other = deploy::own_architecture() == "arm64" ? "amd64" : "arm64";
  world.write("berth.yaml",
              "name: app\nserver: {builtin: workspace}\naws: {region: us-east-1, architecture: " +
                  std::string(other == "arm64" ? "arm64" : "x86_64") + "}\n");
  EXPECT_EQ(world.run({"deploy", "--yes"}), 1);
  EXPECT_NE(world.terminal.errors.find("berth-" + other + " that goes into the image cannot be read"),
            std::string::npos)
      << world.terminal.errors;
}

TEST_F(OnAws, destroy_of_nothing_and_rollback_of_nothing_say_so) {
  credentials();
  EXPECT_EQ(world.run({"rollback", "--yes"}), 4);
  EXPECT_NE(world.terminal.errors.find("There is no stack app in us-east-1"), std::string::npos)
      << world.terminal.errors;
}

TEST_F(OnAws, scale_takes_a_sensible_number_and_a_known_place) {
  EXPECT_EQ(world.run({"scale", "3", "--on", "mars"}), 2);
  EXPECT_EQ(world.terminal.errors, "berth scale: --on is \"mars\"; it takes aws or here.\n");
  world.terminal.errors.clear();
  EXPECT_EQ(world.run({"scale", "many", "--on", "aws"}), 2);
  EXPECT_NE(world.terminal.errors.find("whole number from 0 to 1000"), std::string::npos);
}

}  // namespace
}  // namespace berth::cli
