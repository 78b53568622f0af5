#include "deploy/destroy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing/sim_clock.h"
#include "deploy/pipeline_image.h"
#include "deploy/pipeline_scan.h"
#include "deploy/plan.h"
#include "deploy/plan_time.h"
#include "deploy/rollback.h"
#include "deploy/testing/fake_account.h"

namespace berth::deploy {
namespace {

using testing::FakeAccount;
using testing::FakeProgress;

http::Response text_of(std::string body) {
  http::Response response;
  response.body = std::move(body);
  return response;
}

class Ends : public ::testing::Test {
 protected:
  template <class T>
  static Task<void> keep(Task<T> task, std::optional<T>& out) {
    T result = co_await std::move(task);
    out.emplace(std::move(result));
  }
  template <class T>
  T wait(Task<T> task) {
    std::optional<T> out;
    TaskScope scope(loop_.get_executor());
    scope.spawn(keep(std::move(task), out));
    for (int second = 0; second < 3600 && !out; ++second) {
      clock_.run_until_idle();
      if (!out) clock_.advance(std::chrono::seconds(1));
    }
    scope.cancel();
    clock_.run_until_idle();
    return std::move(out.value());
  }
  StackWorld world() { return StackWorld{.client = account_.client, .clock = clock_, .progress = progress_}; }

  asio::io_context loop_;
  ::berth::testing::SimClock clock_{loop_};
  FakeAccount account_;
  FakeProgress progress_;
  Names names_{
      .base_stack = "app-base", .service_stack = "app", .repository = "app", .log_group = "/berth/app"};
};

TEST_F(Ends, a_bucket_is_emptied_version_by_version_until_nothing_is_listed) {
  aws::testing::FakeClient& client = account_.client;
  client.answer_rest(
      "s3", "ListObjectVersions",
      text_of("<ListVersionsResult><Version><Key>a&amp;b</Key><VersionId>1</VersionId></Version>"
              "<DeleteMarker><Key>c</Key><VersionId>null</VersionId></DeleteMarker></ListVersionsResult>"));
  client.answer_rest("s3", "ListObjectVersions", text_of("<ListVersionsResult></ListVersionsResult>"));
  client.answer_rest("s3", "DeleteObjects", text_of("<DeleteResult></DeleteResult>"));
  const auto count = wait(empty_bucket(client, "app-a"));
  ASSERT_TRUE(count) << count.error().message;
  EXPECT_EQ(*count, 2u);
  for (const auto& call : client.calls()) {
    if (call.operation != "DeleteObjects") continue;
    EXPECT_EQ(
        call.rest.body,
        "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&amp;b</Key><VersionId>1"
        "</VersionId></Object><Object><Key>c</Key><VersionId>null</VersionId></Object><Quiet>true</Quiet></"
        "Delete>");
  }
}

TEST_F(Ends, objects_that_cannot_be_deleted_stop_it_with_their_name) {
  aws::testing::FakeClient& client = account_.client;
  client.answer_rest("s3", "ListObjectVersions",
                     text_of("<L><Version><Key>a</Key><VersionId>1</VersionId></Version><Name>x</Name></L>"));
  client.answer_rest(
      "s3", "DeleteObjects",
      text_of("<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
              "<X>1</X></DeleteResult>"));
  const auto count = wait(empty_bucket(client, "app-a"));
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error().code, "AccessDenied");
}

TEST_F(Ends, a_file_system_goes_after_its_access_points_and_mount_targets) {
  aws::testing::FakeClient& client = account_.client;
  client.answer_rest("elasticfilesystem", "DescribeAccessPoints",
                     text_of(R"({"AccessPoints": [{"AccessPointId": "ap"}]})"));
  client.answer_rest("elasticfilesystem", "DescribeMountTargets",
                     text_of(R"({"MountTargets": [{"MountTargetId": "mt"}]})"));
  client.answer_rest("elasticfilesystem", "DescribeMountTargets", text_of(R"({"MountTargets": []})"));
  for (const char* operation : {"DeleteAccessPoint", "DeleteMountTarget", "DeleteFileSystem"})
    client.answer_rest("elasticfilesystem", operation, text_of(""));
  Keepsake keepsake{.kind = Keepsake::Kind::file_system, .id = "fs-1", .bytes = {}};
  const auto removed = wait(remove_data(client, clock_, keepsake));
  ASSERT_TRUE(removed) << removed.error().message;
  const std::vector<std::string> expected = {
      "elasticfilesystem DescribeAccessPoints", "elasticfilesystem DeleteAccessPoint",
      "elasticfilesystem DescribeMountTargets", "elasticfilesystem DeleteMountTarget",
      "elasticfilesystem DescribeMountTargets", "elasticfilesystem DeleteFileSystem"};
  EXPECT_EQ(client.names(), expected);
}

class Destroys : public Ends {
 protected:
  Destroys() {
    account_.stacks["app-base"] = {.status = "CREATE_COMPLETE"};
    account_.stacks["app"] = {.status = "UPDATE_COMPLETE", .outputs = {{"ClusterName", "app"}}};
    aws::testing::FakeClient& client = account_.client;
    client.handle("cloudformation", "ListStackResources", [](const boost::json::object& input) {
      const bool base = aws::text(input, "StackName").find("base") != std::string::npos;
      const char* service = R"({"StackResourceSummaries": [
        {"LogicalResourceId": "F", "ResourceType": "AWS::EFS::FileSystem", "PhysicalResourceId": "fs-1"},
        {"LogicalResourceId": "B", "ResourceType": "AWS::S3::Bucket", "PhysicalResourceId": "app-a"}]})";
      const char* first = R"({"StackResourceSummaries": [
        {"LogicalResourceId": "R", "ResourceType": "AWS::ECR::Repository", "PhysicalResourceId": "app"},
        {"LogicalResourceId": "K", "ResourceType": "AWS::SecretsManager::Secret",
         "PhysicalResourceId": "arn:key"}]})";
      return boost::json::parse(base ? first : service).as_object();
    });
    client.handle_rest(
        "elasticfilesystem", "DescribeFileSystems", [this](const auto&) -> aws::Reply<http::Response> {
          if (!file_system_) return text_of(R"({"FileSystems": []})");
          return text_of(
              R"({"FileSystems": [{"FileSystemId": "fs-1", "SizeInBytes": {"Value": 1000000000}}]})");
        });
    client.answer_rest("elasticfilesystem", "DescribeAccessPoints", text_of("{}"));
    client.answer_rest("elasticfilesystem", "DescribeMountTargets", text_of("{}"));
    client.handle_rest("elasticfilesystem", "DeleteFileSystem",
                       [this](const auto&) -> aws::Reply<http::Response> {
                         file_system_ = false;
                         return text_of("");
                       });
    client.handle_rest("s3", "HeadBucket", [this](const auto&) -> aws::Reply<http::Response> {
      if (bucket_) return text_of("");
      aws::Fault fault;
      fault.code = "NoSuchBucket";
      fault.status = 404;
      return std::unexpected(fault);
    });
    client.answer_rest("s3", "ListObjectVersions", text_of("<L><Name>app-a</Name></L>"));
    client.handle_rest("s3", "DeleteBucket", [this](const auto&) -> aws::Reply<http::Response> {
      bucket_ = false;
      return text_of("");
    });
    client.answer("logs", "DescribeLogGroups", R"({"logGroups": []})");
    client.answer("ecr", "ListImages", R"({"imageIds": [{"imageDigest": "sha256:1"}]})");
    client.answer("ecr", "BatchDeleteImage", "{}");
    client.fail("ecr", "DescribeRepositories", "RepositoryNotFoundException", "gone");
    client.fail("secretsmanager", "DescribeSecret", "ResourceNotFoundException", "gone");
    client.answer("secretsmanager", "DeleteSecret", "{}");
  }

  Result<Remains> end(DestroyOptions options) {
    const Result<Standing> standing = wait(look_around(account_.client, names_, std::nullopt));
    if (!standing) return Failure(standing.error());
    return wait(destroy(world(), names_, *standing, options));
  }

  bool file_system_ = true;
  bool bucket_ = true;
};

TEST_F(Destroys, with_its_data_nothing_is_left) {
  const Result<Remains> remains = end({.data = DataFate::remove});
  ASSERT_TRUE(remains) << remains.error().message();
  EXPECT_TRUE(remains->data.empty());
  EXPECT_TRUE(remains->others.empty());
  EXPECT_TRUE(account_.stacks.empty());
  EXPECT_EQ(account_.client.count("ecr", "BatchDeleteImage"), 1u);
  EXPECT_EQ(account_.client.count("secretsmanager", "DeleteSecret"), 0u);
}

TEST_F(Destroys, keeping_data_it_names_what_stays_and_what_that_costs) {
  const Result<Remains> remains = end({.data = DataFate::keep});
  ASSERT_TRUE(remains) << remains.error().message();
  ASSERT_EQ(remains->data.size(), 2u);
  EXPECT_EQ(remains->data[0].id, "fs-1");
  EXPECT_EQ(price_of(remains->data[0]), "about $0.30 a month");
  EXPECT_TRUE(file_system_);
  EXPECT_TRUE(bucket_);
}

TEST_F(Destroys, kept_data_is_found_again_by_the_record) {
  account_.stacks.clear();
  Record record{.region = "us-east-1", .service_stack = "app", .file_system = "fs-1", .buckets = {"app-a"}};
  const Result<Standing> standing = wait(look_around(account_.client, names_, record));
  ASSERT_TRUE(standing) << standing.error().message();
  EXPECT_EQ(standing->data.size(), 2u);
  const Result<Remains> remains = wait(destroy(world(), names_, *standing, {.data = DataFate::remove}));
  ASSERT_TRUE(remains);
  EXPECT_TRUE(remains->data.empty());
}

TEST_F(Destroys, data_that_another_standing_stack_names_stays_whatever_the_record_says) {
  account_.stacks["app"].outputs["FileSystemId"] = "fs-1";
  account_.stacks["app"].outputs["ArtifactsBucketName"] = "app-a";
  names_.service_stack = "other";
  names_.base_stack = "other-base";
  Record record{.region = "us-east-1", .service_stack = "other", .file_system = "fs-1", .buckets = {"app-a"}};
  const Result<Standing> standing = wait(look_around(account_.client, names_, record));
  ASSERT_TRUE(standing) << standing.error().message();
  EXPECT_TRUE(standing->data.empty());
  const Result<Remains> remains = wait(destroy(world(), names_, *standing, {.data = DataFate::remove}));
  ASSERT_TRUE(remains) << remains.error().message();
  EXPECT_TRUE(file_system_);
  EXPECT_TRUE(bucket_);
}

TEST_F(Destroys, secrets_are_forgotten_only_when_told) {
  const Result<Remains> remains = end({.data = DataFate::keep, .forget_secrets = true});
  ASSERT_TRUE(remains);
  const auto inputs = account_.client.inputs("secretsmanager", "DeleteSecret");
  ASSERT_EQ(inputs.size(), 1u);
  EXPECT_TRUE(inputs[0].at("ForceDeleteWithoutRecovery").as_bool());
}

// ---- rollback and scale ----

class GoesBack : public Ends {
 protected:
  GoesBack() {
    account_.stacks["app"] = {.status = "UPDATE_COMPLETE",
                              .parameters = {{"ImageUri", "r/app@sha256:new"}, {"FleetKeyArn", "a"}},
                              .outputs = {{"ClusterName", "app"}, {"ServiceName", "app"}}};
    account_.images = {"sha256:old"};
    aws::testing::FakeClient& client = account_.client;
    client.handle("ecs", "ListTaskDefinitions", [](const boost::json::object& input) {
      const bool active = aws::text(input, "status") == "ACTIVE";
      return boost::json::parse(active ? R"({"taskDefinitionArns": ["arn:x:task-definition/app:2"]})"
                                       : R"({"taskDefinitionArns": ["arn:x:task-definition/app:1",
                                             "arn:x:task-definition/app-other:9"]})")
          .as_object();
    });
    client.handle("ecs", "DescribeTaskDefinition", [](const boost::json::object& input) {
      const bool old = aws::text(input, "taskDefinition").ends_with(":1");
      return boost::json::parse(
                 old ? R"({"taskDefinition": {"containerDefinitions": [{"image": "r/app@sha256:old"}]}})"
                     : R"({"taskDefinition": {"containerDefinitions": [{"image": "r/app@sha256:new"}]}})")
          .as_object();
    });
    client.answer(
        "application-autoscaling", "DescribeScalableTargets",
        R"({"ScalableTargets": [{"ResourceId": "service/app/app", "MinCapacity": 3, "MaxCapacity": 6}]})");
    client.answer("application-autoscaling", "RegisterScalableTarget", "{}");
  }
};

TEST_F(GoesBack, to_the_image_before_through_the_stack) {
  const Result<RolledBack> done = wait(roll_back(world(), names_, true));
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->to, "r/app@sha256:old");
  EXPECT_EQ(account_.stacks["app"].parameters["ImageUri"], "r/app@sha256:old");
  EXPECT_EQ(account_.stacks["app"].parameters["FleetKeyArn"], "a");
  EXPECT_NE(progress_.questions.at(0).find("r/app@sha256:new"), std::string::npos);
}

TEST_F(GoesBack, not_to_an_image_that_is_no_longer_there) {
  account_.images.clear();
  const Result<RolledBack> done = wait(roll_back(world(), names_, true));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), ErrorCode::conflict);
}

TEST_F(GoesBack, from_an_update_in_progress_by_cancelling_it) {
  account_.begin("app", "UPDATE", "x");
  const Result<RolledBack> done = wait(roll_back(world(), names_, true));
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->cancelled);
}

TEST_F(GoesBack, not_without_an_answer) {
  progress_.answer = false;
  const Result<RolledBack> done = wait(roll_back(world(), names_, true));
  ASSERT_FALSE(done);
  EXPECT_EQ(account_.image_updates, 0);
}

TEST_F(GoesBack, and_scaling_widens_the_bounds_before_it_sets_the_count) {
  const Result<Scaled> scaled = wait(scale(world(), names_, 8, false));
  ASSERT_TRUE(scaled) << scaled.error().message();
  EXPECT_EQ(account_.desired, 8u);
  const auto bounds = account_.client.inputs("application-autoscaling", "RegisterScalableTarget");
  ASSERT_EQ(bounds.size(), 1u);
  EXPECT_EQ(aws::text(bounds[0], "MaxCapacity"), "8");
  EXPECT_NE(sentence_of(*scaled).find("between 8 and 8 tasks"), std::string::npos);
}

// ---- scan ----

TEST_F(Ends, a_scan_is_awaited_and_sorted_by_severity) {
  aws::testing::FakeClient client;
  client.fail("ecr", "DescribeImageScanFindings", "ScanNotFoundException", "not yet");
  client.answer("ecr", "DescribeImageScanFindings", R"({"imageScanStatus": {"status": "IN_PROGRESS"}})");
  client.answer("ecr", "DescribeImageScanFindings",
                R"({"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings":
 {"findings": [{"name": "CVE-2", "severity": "LOW"}, {"name": "CVE-1", "severity": "CRITICAL",
 "attributes": [{"key": "package_name", "value": "zlib"}]}],
 "findingSeverityCounts": {"LOW": 1, "CRITICAL": 1}}})");
  const auto scan = wait(await_scan(client, clock_, "app", "sha256:1", std::chrono::minutes(5)));
  ASSERT_TRUE(scan);
  EXPECT_EQ(summary_of(*scan), "1 critical, 1 low");
  EXPECT_EQ(scan->findings.at(0).package, "zlib");
  EXPECT_EQ(stopping(*scan, Severity::critical).size(), 1u);
  EXPECT_EQ(stopping(*scan, Severity::low).size(), 2u);
  EXPECT_TRUE(stopping(*scan, Severity::none).empty());
}

TEST_F(Ends, a_scan_that_does_not_come_is_started_and_given_up_after_its_time) {
  aws::testing::FakeClient client;
  client.fail("ecr", "DescribeImageScanFindings", "ScanNotFoundException", "not yet");
  client.answer("ecr", "StartImageScan", "{}");
  const auto scan = wait(await_scan(client, clock_, "app", "sha256:1", std::chrono::minutes(5)));
  ASSERT_TRUE(scan);
  EXPECT_EQ(scan->state, Scan::State::pending);
  EXPECT_EQ(client.count("ecr", "StartImageScan"), 1u);
}

TEST_F(Ends, an_image_that_cannot_be_scanned_says_so_and_stops_nothing) {
  aws::testing::FakeClient client;
  client.answer("ecr", "DescribeImageScanFindings", R"({"imageScanStatus": {"status": "FAILED",
 "description": "UnsupportedImageError: The operating system '' is not supported."}})");
  const auto scan = wait(await_scan(client, clock_, "app", "sha256:1", std::chrono::minutes(5)));
  ASSERT_TRUE(scan);
  EXPECT_EQ(scan->state, Scan::State::unsupported);
  EXPECT_TRUE(stopping(*scan, Severity::low).empty());
}

TEST_F(Ends, a_repository_that_enhanced_scanning_leaves_out_is_not_waited_for) {
  aws::testing::FakeClient client;
  client.fail("ecr", "DescribeImageScanFindings", "ScanNotFoundException", "not there");
  client.fail("ecr", "StartImageScan", "ValidationException", "This feature is disabled");
  const TimePoint begin = clock_.now();
  const auto scan = wait(await_scan(client, clock_, "app", "sha256:1", std::chrono::minutes(5)));
  ASSERT_TRUE(scan);
  EXPECT_EQ(summary_of(*scan), "not scanned: This feature is disabled");
  EXPECT_LT(clock_.now() - begin, std::chrono::minutes(2));
}

TEST_F(Ends, every_end_of_a_scan_is_one) {
  for (const char* const status : {"SCAN_ELIGIBILITY_EXPIRED", "FINDINGS_UNAVAILABLE", "LIMIT_EXCEEDED",
                                   "IMAGE_ARCHIVED", "UNSUPPORTED_IMAGE", "FAILED"}) {
    aws::testing::FakeClient client;
    client.answer("ecr", "DescribeImageScanFindings", R"({"imageScanStatus": {"status": "PENDING"}})");
    client.answer("ecr", "DescribeImageScanFindings",
                  fmt::format(R"({{"imageScanStatus": {{"status": "{}"}}}})", status));
    const auto scan = wait(await_scan(client, clock_, "app", "sha256:1", std::chrono::minutes(5)));
    ASSERT_TRUE(scan) << status;
    EXPECT_NE(scan->state, Scan::State::pending) << status;
    EXPECT_NE(summary_of(*scan).find(status), std::string::npos) << summary_of(*scan);
  }
}

// ---- image and plan, pure ----

TEST(Image, of_a_server_starts_from_what_its_command_needs) {
  auto base = [](std::vector<std::string> command) {
    model::Spec spec;
    spec.servers = {{.name = "x", .kind = model::ServerSpec::Kind::command, .command = std::move(command)}};
    return base_for(spec);
  };
  EXPECT_NE(base({"npx", "-y", "x"}).find("node"), std::string::npos);
  EXPECT_NE(base({"python3", "x.py"}).find("python"), std::string::npos);
  EXPECT_EQ(base({"./server"}), "scratch");
  EXPECT_NE(base({"bash", "x.sh"}).find("debian"), std::string::npos);
  model::Spec spec;
  spec.servers = {{.name = "x"}};
  EXPECT_EQ(base_for(spec), "scratch");
  spec.image.base = "mine";
  EXPECT_EQ(base_for(spec), "mine");
}

TEST(Image, takes_the_packages_of_npx_with_it) {
  auto packages = [](std::vector<std::string> command) {
    model::Spec spec;
    spec.servers = {{.name = "x", .kind = model::ServerSpec::Kind::command, .command = std::move(command)}};
    return npm_packages(spec);
  };
  EXPECT_EQ(packages({"npx", "-y", "@x/y@1.2", "stdio"}), std::vector<std::string>{"@x/y@1.2"});
  EXPECT_TRUE(packages({"node", "x.js"}).empty());
}

TEST(Image, maps_folders_of_this_machine_to_app_and_refuses_others) {
  model::Spec spec;
  spec.directory = "/home/me/x";
  spec.servers = {{.name = "a", .directory = "/home/me/x"}, {.name = "b", .directory = "/home/me/x/sub"}};
  const Result<model::Spec> inside = spec_for_image(spec);
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->servers[0].directory, "/app");
  EXPECT_EQ(inside->servers[1].directory, "/app/sub");
  spec.servers[1].directory = "/home/me/other";
  EXPECT_FALSE(spec_for_image(spec));
  spec.servers.pop_back();
  spec.auth.keys = {{.principal = "alice", .file = "/secret"}};
  EXPECT_FALSE(spec_for_image(spec));
}

TEST(Image, entry_point_is_read_from_the_program_head) {
  EXPECT_FALSE(read_program("#!/bin/sh\n"));
  EXPECT_FALSE(
      read_program(std::string("\x7f"
                               "ELF\x02\x01",
                               6)));
  std::string head(64 + 56, '\0');
  head.replace(0, 6,
               std::string("\x7f"
                           "ELF\x02\x01",
                           6));
  head[18] = 62;
  EXPECT_TRUE(read_program(head)->is_static);
  head[32] = 64;  // program headers follow
  head[54] = 56;
  head[56] = 1;
  head[64] = 3;  // PT_INTERP
  EXPECT_FALSE(read_program(head)->is_static);
  EXPECT_EQ(read_program(head)->architecture, "amd64");
}

TEST(Plan, marks_what_a_replacement_interrupts) {
  EXPECT_EQ(interrupts({.type = "AWS::ECS::TaskDefinition", .action = "Modify", .replacement = "True"}), "");
  EXPECT_NE(
      interrupts({.type = "AWS::EFS::FileSystem", .action = "Modify", .replacement = "True"}).find("empty"),
      std::string::npos);
  EXPECT_EQ(interrupts({.type = "AWS::ECS::Service", .action = "Modify", .replacement = "False"}), "");
  EXPECT_EQ(interrupts({.type = "AWS::ECS::Service",
                        .action = "Modify",
                        .replacement = "Conditional",
                        .causes = {"TaskDefinition"}}),
            "");
  EXPECT_TRUE(interrupts({.type = "AWS::ECS::Service",
                          .action = "Modify",
                          .replacement = "Conditional",
                          .causes = {"ServiceName"}})
                  .starts_with("perhaps"));
  EXPECT_NE(interrupts({.type = "AWS::CloudFront::Distribution", .action = "Remove"}), "");
}

TEST(PlanTime, is_within_what_was_promised_where_no_distribution_has_to_be_made) {
  model::Spec spec;
  spec.aws.certificate = "arn";
  EXPECT_LT(first_deploy(spec).total(), std::chrono::minutes(6)) << in_words(first_deploy(spec).total());
  EXPECT_LT(image_update(spec).total(), std::chrono::seconds(100));
  EXPECT_EQ(in_words(std::chrono::seconds(310)), "5 min 10 s");
  EXPECT_EQ(in_words(std::chrono::seconds(85)), "85 s");
}

}  // namespace
}  // namespace berth::deploy
