#include "deploy/plan_time.h"

#include <fmt/format.h>

namespace berth::deploy {
namespace {

constexpr unsigned plain_seconds_max = 120;

// Named by what they are, with who published them. Estimates say so.
constexpr TimeStep check{"look at the account", 2, "measured against an emulator"};
constexpr TimeStep base{"registry and secrets", 25, "estimate: change set 10 s, resources 15 s"};
constexpr TimeStep image{"image: assemble and push", 15, "Berth's own limit for a cold build"};
constexpr TimeStep small_image{"image: changed layers alone", 2, "Berth's own limit after a source change"};
constexpr TimeStep scan{"scan on push", 15, "estimate for basic scanning"};
constexpr TimeStep change_set{"change set", 10, "estimate: 5 to 15 s"};
constexpr TimeStep network{"network", 20, "estimate: VPC, subnets, gateway"};
constexpr TimeStep balancer{"load balancer (NAT gateway and mount targets meanwhile)", 150,
                            "2 to 3 min; NAT 1.5 to 2 min, EFS mount targets 1.5 min beside it"};
constexpr TimeStep start{"Fargate: place, pull, start", 23,
                         "AWS benchmark of June 2026: 386 s less the 363 s of the trigger"};
constexpr TimeStep boot{"MCP server answers", 3, "estimate; start_timeout bounds it"};
constexpr TimeStep healthy{"load balancer health: 2 checks of 5 s", 10, "target group settings"};
constexpr TimeStep steady{"ECS and CloudFormation notice", 15, "estimate: scheduler and poll intervals"};
constexpr TimeStep certificate{"certificate by DNS", 60,
                               "estimate: ACM with a Route 53 record; beside the network"};
constexpr TimeStep origin{"CloudFront VPC origin", 420,
                          "estimate: minutes, and past 15 at times (terraform-aws-cloudfront#163)"};
constexpr TimeStep distribution{"CloudFront distribution (tasks meanwhile)", 240, "estimate: 3 to 5 min"};
constexpr TimeStep proof{"proof", 1, "one call"};

bool has_cloudfront(const model::Spec& spec) {
  return spec.aws.domain.empty() && spec.aws.certificate.empty() && !spec.aws.internal;
}

}  // namespace

std::chrono::seconds TimeModel::total() const {
  unsigned sum = 0;
  for (const TimeStep& step : steps) sum += step.seconds;
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
  }
  model.steps.insert(model.steps.end(), {steady, proof});
  return model;
}

TimeModel image_update(const model::Spec& /*spec*/) {
  return TimeModel{.steps = {check, small_image, scan, start, boot, healthy, steady, proof}};
}

std::string in_words(std::chrono::seconds time) {
  const auto seconds = static_cast<unsigned>(time.count());
  if (seconds < plain_seconds_max) return fmt::format("{} s", seconds);
  return seconds % 60 == 0 ? fmt::format("{} min", seconds / 60)
                           : fmt::format("{} min {} s", seconds / 60, seconds % 60);
}

}  // namespace berth::deploy
