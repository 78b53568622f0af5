#include "deploy/plan_time.h"

#include <fmt/format.h>

namespace berth::deploy {
namespace {

constexpr unsigned plain_seconds_max = 120;

// Named by what they are, with who published them. Estimates say so.
constexpr TimeStep check{Phase::check, "look at the account", 2, "measured against an emulator"};
constexpr TimeStep base{Phase::base_stack, "registry and secrets", 25,
                        "estimate: change set 10 s, resources 15 s"};
constexpr TimeStep image{Phase::image, "image: assemble and push", 15, "Berth's own limit for a cold build"};
constexpr TimeStep small_image{Phase::image, "image: changed layers alone", 2,
                               "Berth's own limit after a source change"};
constexpr TimeStep scan{Phase::scan, "scan on push", 15, "estimate for basic scanning"};
constexpr TimeStep change_set{Phase::change_set, "change set", 10, "estimate: 5 to 15 s"};
constexpr TimeStep network{Phase::stack, "network", 20, "estimate: VPC, subnets, gateway"};
constexpr TimeStep balancer{Phase::stack, "load balancer (NAT gateway and mount targets meanwhile)", 150,
                            "2 to 3 min; NAT 1.5 to 2 min, EFS mount targets 1.5 min beside it"};
constexpr TimeStep start{Phase::stack, "Fargate: place, pull, start", 23,
                         "AWS benchmark of June 2026: 386 s less the 363 s of the trigger"};
constexpr TimeStep boot{Phase::stack, "MCP server answers", 3, "estimate; start_timeout bounds it"};
constexpr TimeStep healthy{Phase::stack, "load balancer health: 2 checks of 5 s", 10,
                           "target group settings"};
constexpr TimeStep steady{Phase::stack, "ECS and CloudFormation notice", 15,
                          "estimate: scheduler and poll intervals"};
constexpr TimeStep certificate{Phase::stack, "certificate by DNS", 60,
                               "estimate: ACM with a Route 53 record; beside the network"};
constexpr TimeStep origin{Phase::stack, "CloudFront VPC origin", 420,
                          "estimate: minutes, and past 15 at times (terraform-aws-cloudfront#163)"};
constexpr TimeStep distribution{Phase::stack, "CloudFront distribution (tasks meanwhile)", 240,
                                "estimate: 3 to 5 min"};
constexpr TimeStep proof{Phase::proof, "proof", 1, "one call"};

bool has_cloudfront(const model::Spec& spec) {
  return spec.aws.domain.empty() && spec.aws.certificate.empty() && !spec.aws.internal;
}

/// With aws.bake, ECS watches the alarm before it calls a deploy done.
void add_bake(const model::Spec& spec, TimeModel& model) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(spec.aws.bake).count();
  if (seconds > 0)
    model.steps.push_back(
        {Phase::stack, "alarm watched (aws.bake)", static_cast<unsigned>(seconds), "berth.yaml"});
}

}  // namespace

std::chrono::seconds TimeModel::total() const {
  unsigned sum = 0;
  for (const TimeStep& step : steps) sum += step.seconds;
  return std::chrono::seconds(sum);
}

std::chrono::seconds TimeModel::of(Phase phase) const {
  unsigned sum = 0;
  for (const TimeStep& step : steps) sum += step.phase == phase ? step.seconds : 0;
  return std::chrono::seconds(sum);
}

TimeModel first_deploy(const model::Spec& spec) {
  TimeModel model{.steps = {check, base, image, scan, change_set}};
  if (spec.aws.network.vpc.empty()) model.steps.push_back(network);
  const bool waits_for_certificate = !spec.aws.domain.empty() && spec.aws.certificate.empty();
  if (waits_for_certificate && !spec.aws.network.vpc.empty()) model.steps.push_back(certificate);
  model.steps.push_back(balancer);
  if (has_cloudfront(spec)) {
    model.steps.insert(model.steps.end(), {origin, distribution});
  } else {
    model.steps.insert(model.steps.end(), {start, boot, healthy});
    add_bake(spec, model);
  }
  model.steps.insert(model.steps.end(), {steady, proof});
  return model;
}

TimeModel image_update(const model::Spec& spec) {
  TimeModel model{.steps = {check, small_image, scan, start, boot, healthy}};
  add_bake(spec, model);
  model.steps.insert(model.steps.end(), {steady, proof});
  return model;
}

std::chrono::seconds cloudfront_time(const TimeModel& model) {
  unsigned sum = 0;
  for (const TimeStep& step : model.steps) {
    if (step.what == origin.what || step.what == distribution.what) sum += step.seconds;
  }
  return std::chrono::seconds(sum);
}

std::string in_words(std::chrono::seconds time) {
  const auto seconds = static_cast<unsigned>(time.count());
  if (seconds < plain_seconds_max) return fmt::format("{} s", seconds);
  return seconds % 60 == 0 ? fmt::format("{} min", seconds / 60)
                           : fmt::format("{} min {} s", seconds / 60, seconds % 60);
}

std::string roughly(std::chrono::seconds time) {
  if (time.count() < plain_seconds_max) return in_words(time);
  return in_words(std::chrono::round<std::chrono::minutes>(time));
}

}  // namespace berth::deploy
