#include "deploy/pipeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/testing/sim_clock.h"
#include "deploy/pipeline_image.h"
#include "deploy/stack.h"
#include "deploy/template.h"
#include "deploy/testing/fake_account.h"
#include "model/parse.h"
#include "storage/files.h"

namespace berth::deploy {
namespace {

namespace fs = std::filesystem;
using testing::CutClient;
using testing::FakeAccount;
using testing::FakeImages;
using testing::FakeProgress;

constexpr int seconds_max = 7200;

/// The first bytes of a static program of this machine's architecture.
std::string static_program() {
  std::string head(64, '\0');
  head.replace(0, 6,
               std::string("\x7f"
                           "ELF\x02\x01",
                           6));
  head[18] = static_cast<char>(own_architecture() == "arm64" ? 183 : 62);
  return head;
}

class Deploys : public ::testing::Test {
 protected:
  Deploys() {
    std::string path = (fs::temp_directory_path() / "berth-deploy-XXXXXX").string();
    folder_ = mkdtemp(path.data());
    std::ofstream(folder_ + "/berth") << static_program();
  }
  ~Deploys() override { fs::remove_all(folder_); }

  void yaml(const std::string& text) {
    model::SpecSource source{.text = text,
                             .file = "berth.yaml",
                             .directory = folder_,
                             .environment = environment_,
                             .keep_variables = true};
    Result<model::Spec> spec = model::parse_spec(source);
    ASSERT_TRUE(spec) << spec.error().message();
    spec_ = std::move(*spec);
  }

  static Task<void> keep(Pipeline& pipeline, std::optional<Result<Deployed>>& result) {
    Result<Deployed> done = co_await pipeline.run();
    result.emplace(std::move(done));
  }

  /// Runs a deploy until it ends, or for `seconds`: then it is cut off and the result is empty.
  std::optional<Result<Deployed>> run(aws::Client& client, int seconds = seconds_max) {
    DeployWorld world{.client = client,
                      .images = images_,
                      .clock = clock_,
                      .progress = progress_,
                      .environment = environment_};
    DeployOptions options{.spec = spec_,
                          .state_directory = folder_ + "/.berth",
                          .berth = folder_ + "/berth",
                          .image = image_,
                          .wait = wait_,
                          .ignore_scan = false,
                          .revert_drift = revert_drift_,
                          .prove = {}};
    options.prove = [this](std::string url, Secret key) -> Task<std::vector<ServerProof>> {
      proved_ = url + " " + std::string(key.reveal());
      std::vector<ServerProof> servers;
      for (const model::ServerSpec& server : spec_.servers) {
        Result<std::size_t> tools = 3;
        const std::string& runs = account_.stacks["app"].parameters["ImageUri"];
        const bool silent = std::ranges::any_of(silent_[server.name], [&runs](const std::string& source) {
          return runs.ends_with(storage::sha256_hex(source));
        });
        if (silent) tools = fail(ErrorCode::unavailable, "nobody listens");
        servers.push_back({.server = server.name, .tools = std::move(tools)});
      }
      co_return servers;
    };
    const std::unique_ptr<Pipeline> pipeline = make_pipeline(std::move(world), std::move(options));
    std::optional<Result<Deployed>> result;
    TaskScope scope(loop_.get_executor());
    scope.spawn(keep(*pipeline, result));
    for (int second = 0; second < seconds && !result; ++second) {
      clock_.run_until_idle();
      if (!result) clock_.advance(std::chrono::seconds(1));
    }
    scope.cancel();
    clock_.run_until_idle();
    phase_ = pipeline->phase();
    return result;
  }

  Result<Deployed> deploy() {
    std::optional<Result<Deployed>> result = run(account_.client);
    if (!result) return fail(ErrorCode::internal, "The deploy did not end.");
    return std::move(*result);
  }

  asio::io_context loop_;
  ::berth::testing::SimClock clock_{loop_};
  FakeAccount account_;
  FakeImages images_{account_};
  FakeProgress progress_;
  std::map<std::string, std::string> environment_;
  std::string folder_;
  model::Spec spec_;
  std::string image_;
  bool wait_ = true;
  bool revert_drift_ = false;
  /// Server → the sources from whose images it does not answer.
  std::map<std::string, std::set<std::string>> silent_;
  std::string proved_;
  Phase phase_ = Phase::check;
};

constexpr std::string_view plain = "name: app\nserver: {builtin: workspace}\naws: {region: us-east-1}\n";

TEST_F(Deploys, a_first_deploy_goes_through_every_phase_and_proves_itself) {
  yaml(std::string(plain));
  const Result<Deployed> done = deploy();
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->changed);
  EXPECT_TRUE(done->asks_key);
  EXPECT_EQ(proved_, "https://app.example.com the-key");
  EXPECT_EQ(account_.executed, 2);
  EXPECT_EQ(images_.pushes, 1);
  EXPECT_EQ(account_.stacks["app"].parameters["ImageUri"], done->image);
  EXPECT_EQ(account_.stacks["app"].parameters["DesiredCount"], "3");
  EXPECT_EQ(progress_.questions.size(), 1u);
  const std::optional<Record> record = read_record(folder_ + "/.berth", {.service_stack = "app"});
  ASSERT_TRUE(record);
  EXPECT_EQ(record->url, "https://app.example.com");
  EXPECT_EQ(record->file_system, "fs-1");
  EXPECT_EQ(progress_.lines.back(), "done Proof: MCP tools/list: 3 tools in 0 ms, over verified TLS");
}

TEST_F(Deploys, the_same_again_changes_nothing) {
  yaml(std::string(plain));
  ASSERT_TRUE(deploy());
  const Result<Deployed> again = deploy();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(account_.executed, 2);
  EXPECT_EQ(account_.image_updates, 0);
  EXPECT_EQ(images_.pushes, 1);
}

TEST_F(Deploys, a_new_image_alone_takes_the_fast_path_and_the_stack_knows_of_it) {
  yaml(std::string(plain));
  ASSERT_TRUE(deploy());
  images_.source = "two";
  const Result<Deployed> again = deploy();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->changed);
  EXPECT_EQ(account_.executed, 2);
  EXPECT_EQ(account_.image_updates, 1);
  EXPECT_EQ(account_.stacks["app"].parameters["ImageUri"], again->image);
}

TEST_F(Deploys, a_changed_template_goes_by_a_change_set) {
  yaml(std::string(plain));
  ASSERT_TRUE(deploy());
  yaml(std::string(plain) + "tasks: {memory: 2GB}\n");
  const Result<Deployed> again = deploy();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(account_.executed, 3);
  EXPECT_EQ(account_.image_updates, 0);
}

TEST_F(Deploys, cut_off_before_any_call_the_same_command_goes_on_to_the_end) {
  environment_["TOKEN"] = "one";
  yaml("name: app\nserver: {command: [./srv], env: {T: '${TOKEN}'}}\naws: {region: us-east-1}\n");
  std::set<Phase> cut_in;
  for (std::size_t calls = 0;; ++calls) {
    SCOPED_TRACE(calls);
    for (const CutClient::Cut cut : {CutClient::Cut::before, CutClient::Cut::after}) {
      // A new world each time: placement of the members is that of a fresh account.
      account_.stacks.clear();
      account_.change_sets.clear();
      account_.secrets.clear();
      account_.images.clear();
      CutClient client(account_.client, clock_, calls, cut);
      const std::optional<Result<Deployed>> first = run(client, 120);
      if (first) {
        ASSERT_TRUE(*first) << first->error().message();
        EXPECT_EQ(cut_in.size(), 9u) << "of ten phases, all but the image's making call AWS";
        return;
      }
      cut_in.insert(phase_);
      const Result<Deployed> second = deploy();
      ASSERT_TRUE(second) << second.error().message();
      EXPECT_EQ(account_.stacks["app"].status, "CREATE_COMPLETE");
      EXPECT_EQ(account_.stacks["app"].parameters["ImageUri"], second->image);
    }
  }
}

TEST_F(Deploys, an_update_that_was_cut_off_is_followed_and_not_begun_twice) {
  yaml(std::string(plain));
  ASSERT_TRUE(deploy());
  images_.source = "two";
  for (std::size_t calls = 0; calls < 200; ++calls) {
    CutClient client(account_.client, clock_, calls, CutClient::Cut::after);
    const std::optional<Result<Deployed>> first = run(client, 60);
    if (account_.image_updates == 1) break;
    ASSERT_FALSE(first);
  }
  EXPECT_EQ(account_.stacks["app"].status, "UPDATE_IN_PROGRESS");
  const Result<Deployed> second = deploy();
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(account_.image_updates, 1);
  EXPECT_TRUE(second->changed);
}

TEST_F(Deploys, another_deploy_in_progress_is_refused_before_anything_is_built) {
  yaml(std::string(plain));
  ASSERT_TRUE(deploy());
  account_.begin("app", "UPDATE", "berth-ffffffffffffffff-0000000000000000");
  account_.stacks["app"].polls_left = 1'000'000;
  const Result<Deployed> refused = deploy();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::conflict);
  EXPECT_NE(refused.error().message().find("Another deploy is in progress"), std::string::npos);
  EXPECT_NE(refused.error().message().find("berth rollback"), std::string::npos);
  EXPECT_EQ(phase_, Phase::check);
}

TEST_F(Deploys, a_stack_that_failed_to_be_created_is_deleted_after_asking) {
  yaml(std::string(plain));
  account_.next_failure =
      FakeAccount::Event{"",
                         "Nat",
                         "AWS::EC2::NatGateway",
                         "CREATE_FAILED",
                         "The maximum number of addresses has been reached. (Service: Ec2)",
                         ""};
  const Result<Deployed> failed = deploy();
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("A quota of the account is used up."), std::string::npos)
      << failed.error().message();
  EXPECT_EQ(account_.stacks["app"].status, "ROLLBACK_COMPLETE");
  progress_.questions.clear();
  const Result<Deployed> again = deploy();
  ASSERT_TRUE(again) << again.error().message();
  ASSERT_EQ(progress_.questions.size(), 2u);
  EXPECT_NE(progress_.questions[1].find("ROLLBACK_COMPLETE"), std::string::npos);
  EXPECT_EQ(account_.stacks["app"].status, "CREATE_COMPLETE");
}

TEST_F(Deploys, a_rollback_that_failed_is_finished_after_asking) {
  yaml(std::string(plain));
  ASSERT_TRUE(deploy());
  account_.stacks["app"].status = "UPDATE_ROLLBACK_FAILED";
  images_.source = "two";
  progress_.questions.clear();
  const Result<Deployed> again = deploy();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_NE(progress_.questions.at(1).find("continue-update-rollback"), std::string::npos);
  EXPECT_EQ(account_.client.count("cloudformation", "ContinueUpdateRollback"), 1u);
}

TEST_F(Deploys, what_was_changed_by_hand_is_put_back_where_that_is_asked_for) {
  yaml(std::string(plain));
  ASSERT_TRUE(deploy());
  const int executed = account_.executed;
  ASSERT_TRUE(deploy());
  EXPECT_EQ(account_.executed, executed) << "CloudFormation does not look without being asked";
  revert_drift_ = true;
  const Result<Deployed> done = deploy();
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(account_.executed, executed + 2) << "both stacks";
  const auto sets = account_.client.inputs("cloudformation", "CreateChangeSet");
  EXPECT_EQ(aws::text(sets.back(), "DeploymentMode"), "REVERT_DRIFT");
  const auto executions = account_.client.inputs("cloudformation", "ExecuteChangeSet");
  const std::string token = aws::text(executions.back(), "ClientRequestToken");
  EXPECT_TRUE(token.starts_with(aws::text(executions.back(), "ChangeSetName") + "-")) << token;
}

TEST_F(Deploys, no_as_an_answer_changes_nothing) {
  yaml(std::string(plain));
  progress_.answer = false;
  const Result<Deployed> refused = deploy();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::cancelled);
  EXPECT_TRUE(account_.stacks.empty());
}

TEST_F(Deploys, an_unhealthy_container_is_explained_with_its_last_lines) {
  yaml(std::string(plain));
  ASSERT_TRUE(deploy());
  images_.source = "two";
  account_.next_failure = FakeAccount::Event{"",
                                             "Service",
                                             "AWS::ECS::Service",
                                             "UPDATE_FAILED",
                                             "Resource handler returned message: \"Error occurred during "
                                             "operation 'ECS Deployment Circuit Breaker was "
                                             "triggered'.\"",
                                             ""};
  account_.stopped_task =
      R"([{"taskArn": "arn:aws:ecs:r:a:task/app/t1", "stoppedReason": "Essential container in task
 exited", "taskDefinitionArn": "td", "availabilityZone": "us-east-1a",
 "containers": [{"exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"}]}])";
  // The event names the service, as CloudFormation's does.
  account_.client.answer("ecs", "DescribeTaskDefinition",
                         R"({"taskDefinition": {"containerDefinitions": [{"name": "berth", "logConfiguration":
 {"options": {"awslogs-group": "/berth/app", "awslogs-stream-prefix": "berth"}}}]}})");
  account_.client.answer("logs", "GetLogEvents", R"({"events": [{"message": "allocating 2 GB"}]})");
  const Result<Deployed> failed = deploy();
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("ran before runs on"), std::string::npos)
      << failed.error().message();
}

TEST_F(Deploys, secrets_that_changed_start_every_task_anew_and_only_once) {
  environment_["TOKEN"] = "one";
  yaml("name: app\nserver: {command: [./srv], env: {T: '${TOKEN}'}}\naws: {region: us-east-1}\n");
  const Result<Deployed> first = deploy();
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ(account_.secrets["arn:environment"], R"({"TOKEN":"one"})");
  EXPECT_EQ(account_.restarts, 0);
  environment_["TOKEN"] = "two";
  ASSERT_TRUE(deploy());
  EXPECT_EQ(account_.restarts, 1);
  ASSERT_TRUE(deploy());
  EXPECT_EQ(account_.restarts, 1);
}

TEST_F(Deploys, a_missing_variable_is_named_before_anything_is_made) {
  yaml("name: app\nserver: {command: [./srv], env: {T: '${TOKEN}'}}\naws: {region: us-east-1}\n");
  const Result<Deployed> refused = deploy();
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().message(),
      "berth.yaml needs TOKEN, which is not set here: export TOKEN=… and deploy again, or name an existing "
      "secret: aws.secrets: {TOKEN: NAME-OR-ARN}.");
  EXPECT_TRUE(account_.stacks.empty());
}

TEST_F(Deploys, the_image_is_the_same_whatever_is_around_its_tasks) {
  yaml("name: app\nserver: {builtin: workspace}\naws: {open: true}\nscaling: {high_resolution: true}\n");
  const Result<model::Spec> one = spec_for_image(spec_);
  yaml(R"(name: app
server: {builtin: workspace}
image: {stop_at: high}
scaling: {max: 9, high_resolution: true, hours: {days: mon}}
permissions: [{actions: [s3:GetObject], resources: ["*"]}]
aws:
  region: eu-central-1
  open: true
  network: {vpc: vpc-0a1b2c3d, private_subnets: [subnet-0a1b2c3d, subnet-1a1b2c3d]}
)");
  const Result<model::Spec> other = spec_for_image(spec_);
  ASSERT_TRUE(one && other);
  EXPECT_EQ(model::write_spec(*one), model::write_spec(*other));
  EXPECT_TRUE(one->aws.open && one->scaling.high_resolution);
}

TEST_F(Deploys, a_native_server_takes_the_place_of_berth_in_its_image) {
  fs::create_directories(folder_ + "/build");
  std::ofstream(folder_ + "/build/mine") << static_program();
  yaml("name: app\nserver: {native: [./build/mine, --fast]}\naws: {region: us-east-1}\n");
  ASSERT_TRUE(deploy());
  EXPECT_EQ(images_.assembled.base, "scratch");
  EXPECT_EQ(images_.assembled.berth, folder_ + "/build/mine");
  EXPECT_EQ(images_.assembled.arguments, std::vector<std::string>{"--fast"});
  EXPECT_EQ(images_.assembled.ignore, std::vector<std::string>{"build/mine"});
}

TEST_F(Deploys, a_native_server_that_cannot_be_the_task_is_refused_before_anything_is_made) {
  yaml("name: app\nserver: {native: ./mine}\naws: {region: us-east-1, architecture: x86_64}\n");
  const Result<Deployed> absent = deploy();
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().message(), "The program " + folder_ +
                                          "/mine that goes into the image cannot be read. Build the server "
                                          "for x86-64 and link it statically (-static).");
  yaml(
      "name: app\nservers: {mine: {native: ./mine}, other: {builtin: workspace}}\naws: {region: "
      "us-east-1}\n");
  const Result<Deployed> beside = deploy();
  ASSERT_FALSE(beside);
  EXPECT_NE(beside.error().message().find("\"mine\" is a native program"), std::string::npos)
      << beside.error().message();
  EXPECT_TRUE(account_.stacks.empty());
}

TEST_F(Deploys, an_image_without_the_entry_point_is_refused_before_it_is_pushed) {
  yaml(std::string(plain));
  images_.entry = "/bin/sh";
  const Result<Deployed> refused = deploy();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("its entry point is \"/bin/sh serve\""), std::string::npos)
      << refused.error().message();
  EXPECT_EQ(images_.pushes, 0);
}

TEST_F(Deploys, findings_at_the_chosen_severity_stop_it) {
  yaml(std::string(plain) + "image: {stop_at: high}\n");
  // Scripted answers are used in order: the first deploy hears "nothing found".
  account_.client.answer("ecr", "DescribeImageScanFindings",
                         R"({"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": {"findings":
 [{"name": "CVE-1", "severity": "HIGH"}], "findingSeverityCounts": {"HIGH": 1}}})");
  ASSERT_TRUE(deploy());
  images_.source = "two";
  const Result<Deployed> refused = deploy();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("The scan found 1 high: CVE-1"), std::string::npos);
  EXPECT_EQ(account_.image_updates, 0);
}

TEST_F(Deploys, a_program_of_another_architecture_says_where_to_get_one) {
  const std::string other = own_architecture() == "arm64" ? "x86_64" : "arm64";
  yaml(fmt::format(
      "name: app\nserver: {{builtin: workspace}}\naws: {{region: us-east-1, architecture: {}}}\n", other));
  const Result<Deployed> refused = deploy();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("--berth-binary PATH"), std::string::npos)
      << refused.error().message();
}

TEST_F(Deploys, without_waiting_it_says_that_it_goes_on) {
  yaml(std::string(plain));
  wait_ = false;
  const Result<Deployed> done = deploy();
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(done->waited);
  EXPECT_EQ(account_.stacks["app"].status, "CREATE_IN_PROGRESS");
  wait_ = true;
  const Result<Deployed> rest = deploy();
  ASSERT_TRUE(rest) << rest.error().message();
  EXPECT_EQ(account_.executed, 2);
}

TEST_F(Deploys, a_service_that_does_not_answer_fails_the_proof_after_a_while) {
  yaml(std::string(plain));
  silent_[spec_.servers.at(0).name] = {"one"};
  const Result<Deployed> failed = deploy();
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("berth doctor --on aws"), std::string::npos);
}

constexpr std::string_view two_servers =
    "name: app\nservers: {a: {builtin: workspace}, b: {builtin: workspace}}\naws: {region: us-east-1}\n";

TEST_F(Deploys, a_server_that_the_former_revision_served_and_this_one_does_not_undoes_the_deploy) {
  yaml(std::string(two_servers));
  const Result<Deployed> before = deploy();
  ASSERT_TRUE(before) << before.error().message();
  images_.source = "two";
  silent_["b"] = {"two"};
  for (const char* more : {"", "tasks: {memory: 2GB}\n"}) {
    SCOPED_TRACE(more);
    yaml(std::string(two_servers) + more);
    const auto stack = account_.stacks["app"];
    const Result<Deployed> failed = deploy();
    ASSERT_FALSE(failed);
    EXPECT_NE(failed.error().message().find("b does not answer: nobody listens"), std::string::npos)
        << failed.error().message();
    EXPECT_NE(failed.error().message().find("was undone"), std::string::npos);
    EXPECT_EQ(account_.stacks["app"].parameters["ImageUri"], before->image);
    EXPECT_TRUE(account_.stacks["app"].body == stack.body);
    EXPECT_TRUE(before->image.ends_with(account_.tags["running"])) << account_.tags["running"];
  }
}

TEST_F(Deploys, a_server_that_never_answered_is_named_and_undoes_nothing) {
  yaml(std::string(two_servers));
  silent_["b"] = {"one", "two"};
  const Result<Deployed> first = deploy();
  ASSERT_FALSE(first);
  EXPECT_NE(first.error().message().find("not every server"), std::string::npos) << first.error().message();
  images_.source = "two";
  const Result<Deployed> second = deploy();
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message().find("b does not answer: nobody listens"), std::string::npos);
  EXPECT_EQ(second.error().message().find("undone"), std::string::npos);
  EXPECT_EQ(account_.image_updates, 1);
}

TEST_F(Deploys, another_account_than_the_one_allowed_is_refused) {
  yaml("name: app\nserver: {builtin: workspace}\naws: {region: us-east-1, account: '999999999999'}\n");
  const Result<Deployed> refused = deploy();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::permission_denied);
  EXPECT_NE(refused.error().message().find("allows 999999999999 alone"), std::string::npos);
}

TEST_F(Deploys, every_phase_says_what_ctrl_c_leaves_behind) {
  for (std::size_t i = 0; i < phase_count; ++i) {
    const std::string text = interruption(static_cast<Phase>(i), "app", "us-east-1");
    EXPECT_TRUE(text.starts_with("Interrupted")) << i;
  }
}

}  // namespace
}  // namespace berth::deploy
