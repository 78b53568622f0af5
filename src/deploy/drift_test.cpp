#include "deploy/drift.h"

#include <gtest/gtest.h>

#include <optional>

#include "aws/testing/fake_client.h"
#include "base/task.h"
#include "base/testing/sim_clock.h"

namespace berth::deploy {
namespace {

Drift modified(std::string property) {
  Drift drift{.stack = "app", .resource = "Group", .type = "T", .status = "MODIFIED", .differences = {}};
  drift.differences.push_back({.property = std::move(property), .expected = "1", .actual = "2"});
  return drift;
}

ResourceChange change(std::string action, std::string replacement, std::vector<std::string> causes) {
  return {.resource = "Group",
          .type = "T",
          .action = std::move(action),
          .replacement = std::move(replacement),
          .causes = std::move(causes)};
}

TEST(Drift, that_no_deploy_touches_stays_until_it_is_reverted) {
  EXPECT_EQ(deploy_does(modified("/Ports/0"), {}),
            "a deploy leaves it as it is; `berth deploy --revert-drift` puts back what the template says");
  EXPECT_EQ(deploy_does(modified("/Ports/0"), {change("Modify", "False", {"Tags"})}),
            deploy_does(modified("/Ports/0"), {}));
}

TEST(Drift, in_what_a_deploy_changes_is_overwritten) {
  EXPECT_EQ(deploy_does(modified("/Ports/0"), {change("Modify", "False", {"Ports"})}),
            "a deploy sets it to what the template says");
  EXPECT_EQ(deploy_does(modified("/Ports/0"), {change("Modify", "True", {"Name"})}),
            "a deploy makes it anew, as the template says");
  EXPECT_EQ(deploy_does(modified("/Ports/0"), {change("Remove", "", {})}),
            "a deploy takes it out of the service");
}

TEST(Drift, of_what_was_deleted_is_a_gap_until_it_is_reverted) {
  Drift drift = modified("");
  drift.status = "DELETED";
  drift.differences.clear();
  EXPECT_EQ(deploy_does(drift, {}), "a deploy does not notice; `berth deploy --revert-drift` makes it anew");
  EXPECT_EQ(deploy_does(drift, {change("Modify", "False", {"Ports"})}),
            "a deploy fails here, as it changes what is gone; `berth deploy --revert-drift` makes it anew");
}

TEST(Drift, is_one_sentence_with_long_values_cut) {
  Drift drift = modified("/Rules");
  drift.differences[0].expected = "null";
  drift.differences[0].actual = std::string(159, 'x') + "éé";
  EXPECT_EQ(sentence_of(drift), "Group (T) MODIFIED; /Rules: nothing → " + std::string(159, 'x') + "…");
}

class DriftReports : public ::testing::Test {
 protected:
  aws::Reply<DriftReport> look(Duration patience) {
    std::optional<aws::Reply<DriftReport>> out;
    TaskScope scope(clock_.executor());
    scope.spawn([](aws::Client& client, Clock& clock, Duration timeout,
                   std::optional<aws::Reply<DriftReport>>& result) -> Task<void> {
      result = co_await end_drift(client, clock, "app", "d", clock.now() + timeout);
    }(client_, clock_, patience, out));
    clock_.advance(std::chrono::minutes(5));
    return std::move(out).value();
  }

  asio::io_context loop_;
  ::berth::testing::SimClock clock_{loop_};
  aws::testing::FakeClient client_;
};

TEST_F(DriftReports, tell_what_scaling_does_from_what_hands_do) {
  client_.answer("cloudformation", "DescribeStackDriftDetectionStatus",
                 R"({"DetectionStatus": "DETECTION_FAILED", "DetectionStatusReason": "not all"})");
  client_.answer("cloudformation", "DescribeStackResourceDrifts", R"({"StackResourceDrifts": [
    {"LogicalResourceId": "Service", "ResourceType": "AWS::ECS::Service",
     "StackResourceDriftStatus": "MODIFIED",
     "PropertyDifferences": [{"PropertyPath": "/DesiredCount", "ExpectedValue": "3", "ActualValue": "5"}]},
    {"LogicalResourceId": "Bucket", "ResourceType": "AWS::S3::Bucket",
     "StackResourceDriftStatus": "DELETED"}]})");
  const auto report = look(std::chrono::minutes(1));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->incomplete, "not all");
  EXPECT_EQ(report->scaled, std::vector<std::string>{"Service /DesiredCount: 3 → 5"});
  ASSERT_EQ(report->drift.size(), 1u);
  EXPECT_EQ(sentence_of(report->drift[0]), "Bucket (AWS::S3::Bucket) DELETED");
}

TEST_F(DriftReports, come_without_answers_when_cloudformation_takes_too_long) {
  client_.answer("cloudformation", "DescribeStackDriftDetectionStatus",
                 R"({"DetectionStatus": "DETECTION_IN_PROGRESS"})");
  const auto report = look(std::chrono::minutes(1));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->incomplete, "CloudFormation is still comparing; ask again in a minute");
  EXPECT_EQ(client_.count("cloudformation", "DescribeStackResourceDrifts"), 0u);
}

}  // namespace
}  // namespace berth::deploy
