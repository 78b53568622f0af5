#include "deploy/stack.h"

#include <gtest/gtest.h>

#include "deploy/rollout.h"
#include "deploy/stack_watch.h"

namespace berth::deploy {
namespace {

StackTarget target_of(std::string image) {
  return StackTarget{.name = "app",
                     .body = R"({"Resources": {"A": 1, "B": 2}})",
                     .parameters = {{"ImageUri", std::move(image)}, {"FleetKeyArn", "arn"}},
                     .tags = {}};
}

TEST(Stack, in_every_status_has_one_next_step) {
  const std::pair<std::string, StackStep> steps[] = {
      {"", StackStep::create},
      {"REVIEW_IN_PROGRESS", StackStep::create},
      {"CREATE_IN_PROGRESS", StackStep::wait},
      {"UPDATE_IN_PROGRESS", StackStep::wait},
      {"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", StackStep::wait},
      {"UPDATE_ROLLBACK_IN_PROGRESS", StackStep::wait},
      {"ROLLBACK_IN_PROGRESS", StackStep::wait},
      {"DELETE_IN_PROGRESS", StackStep::leave},
      {"CREATE_COMPLETE", StackStep::update},
      {"UPDATE_COMPLETE", StackStep::update},
      {"UPDATE_ROLLBACK_COMPLETE", StackStep::update},
      {"UPDATE_FAILED", StackStep::update},
      {"UPDATE_ROLLBACK_FAILED", StackStep::unwind},
      {"ROLLBACK_COMPLETE", StackStep::replace},
      {"ROLLBACK_FAILED", StackStep::replace},
      {"CREATE_FAILED", StackStep::replace},
      {"DELETE_FAILED", StackStep::replace},
  };
  for (const auto& [status, step] : steps) EXPECT_EQ(next_step(status), step) << status;
}

TEST(Stack, is_compared_by_template_parameters_and_tags) {
  const StackTarget target = target_of("image@1");
  StackState state{.name = "app", .parameters = target.parameters};
  const std::string reordered = R"({ "Resources" : {"B":2, "A":1} })";
  EXPECT_EQ(compare(target, state, reordered), StackChange::none);
  EXPECT_EQ(compare(target_of("image@2"), state, reordered), StackChange::image);
  EXPECT_EQ(compare(target, state, R"({"Resources": {"A": 1}})"), StackChange::more);
  state.parameters["FleetKeyArn"] = "other";
  EXPECT_EQ(compare(target, state, reordered), StackChange::more);
  state.parameters["FleetKeyArn"] = "****";  // NoEcho
  EXPECT_EQ(compare(target, state, reordered), StackChange::none);
  StackTarget counted = target;
  counted.parameters[std::string(count_parameter)] = "";
  state.parameters[std::string(count_parameter)] = "3";
  EXPECT_EQ(compare(counted, state, reordered), StackChange::none) << "the count belongs to scaling";
  EXPECT_EQ(token_of(counted), token_of(target));
  state.tags["team"] = "x";
  EXPECT_EQ(compare(target, state, reordered), StackChange::more);
}

TEST(Stack, operations_of_equal_content_have_equal_tokens) {
  EXPECT_EQ(token_of(target_of("image@1")), token_of(target_of("image@1")));
  EXPECT_NE(token_of(target_of("image@1")), token_of(target_of("image@2")));
  EXPECT_TRUE(token_of(target_of("image@2")).starts_with(token_prefix(target_of("image@1"))));
  StackTarget other = target_of("image@1");
  other.body = R"({"Resources": {}})";
  EXPECT_NE(token_prefix(other), token_prefix(target_of("image@1")));
  EXPECT_LE(token_of(other).size(), 128u);
}

TEST(Stack, parameters_without_a_value_or_default_are_named) {
  const boost::json::object document =
      boost::json::parse(R"({"Parameters": {"A": {}, "B": {"Default": "x"}, "ImageUri": {}}})").as_object();
  const auto filled = fill_parameters(document, {{"A", "1"}, {"ImageUri", "i"}, {"Other", "2"}});
  ASSERT_TRUE(filled);
  EXPECT_EQ(*filled, (std::map<std::string, std::string>{{"A", "1"}, {"ImageUri", "i"}}));
  const auto missing = fill_parameters(document, {{"A", "1"}});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message().find("ImageUri"), std::string::npos);
}

TEST(Stack, a_certificate_that_waits_shows_its_record) {
  EXPECT_EQ(validation_record("Content of DNS Record is: {Name: _x.mcp.example.com.,Type: CNAME,Value: "
                              "_y.acm-validations.aws.}"),
            "_x.mcp.example.com. CNAME _y.acm-validations.aws.");
  EXPECT_EQ(validation_record("Resource creation Initiated"), "");
}

TEST(Rollout, is_judged_by_its_newest_deployment_and_the_load_balancer) {
  ServiceState state{
      .deployments = {{.status = "PRIMARY", .rollout = "IN_PROGRESS", .desired = 3, .running = 3}}};
  EXPECT_EQ(judge(state, 3), Rollout::going);
  state.deployments[0].rollout = "COMPLETED";
  EXPECT_EQ(judge(state, 3), Rollout::healthy);
  EXPECT_EQ(judge(state, 2), Rollout::going);
  EXPECT_EQ(judge(state, std::nullopt), Rollout::healthy);
  state.deployments[0].rollout = "FAILED";
  EXPECT_EQ(judge(state, 3), Rollout::failed);
  state.deployments[0].rollout = "";
  state.deployments[0].running = 2;
  EXPECT_EQ(judge(state, 3), Rollout::going);
  EXPECT_EQ(judge(ServiceState{}, 0), Rollout::going);
}

TEST(Rollback, goes_to_the_newest_image_that_ran_before) {
  const std::vector<Revision> revisions = {{.number = 5, .image = "tried"},
                                           {.number = 4, .image = "current"},
                                           {.number = 3, .image = "current"},
                                           {.number = 2, .image = "before"},
                                           {.number = 1, .image = "first"}};
  EXPECT_EQ(previous_of(revisions, "current")->image, "before");
  EXPECT_EQ(previous_of(revisions, "before")->image, "first");
  EXPECT_FALSE(previous_of(revisions, "first"));
  EXPECT_FALSE(previous_of({}, "x"));
}

TEST(Scale, widens_the_bounds_of_scaling_only_as_far_as_needed) {
  EXPECT_FALSE(plan_scale(3, 3, 6).changes_target);
  EXPECT_EQ(plan_scale(4, 3, 6).min, 4u);
  EXPECT_EQ(plan_scale(4, 3, 6).max, 6u);
  EXPECT_EQ(plan_scale(8, 3, 6).max, 8u);
  EXPECT_EQ(plan_scale(8, 3, 6).min, 8u);
  EXPECT_EQ(plan_scale(1, 0, 0).min, 1u);
  EXPECT_EQ(plan_scale(0, 3, 6).min, 0u);
  EXPECT_TRUE(plan_scale(0, 3, 6).changes_target);
}

}  // namespace
}  // namespace berth::deploy
