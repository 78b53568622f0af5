#include "deploy/diagram_facts.h"

#include <fmt/format.h>

#include <algorithm>

#include "deploy/cost.h"
#include "deploy/template.h"
#include "model/units.h"

namespace berth::deploy {
namespace {

using Kind = DrawnPart::Kind;
using WayIn = Drawing::WayIn;
using Egress = model::AwsNetworkSpec::Egress;

std::string plural(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string size_of(const model::TasksSpec& tasks) {
  std::string memory = model::format_bytes(tasks.memory_bytes);
  std::size_t unit = memory.find_first_not_of("0123456789.");
  if (unit != std::string::npos) memory.insert(unit, " ");
  return fmt::format("{} vCPU · {}", model::format_number(tasks.cpu), memory);
}

WayIn way_in(const model::AwsSpec& aws) {
  if (aws.internal) return WayIn::internal;
  return aws.domain.empty() && aws.certificate.empty() ? WayIn::cloudfront : WayIn::domain;
}

std::vector<DrawnZone> zones_of(const model::Spec& spec, const std::optional<LiveState>& live) {
  const model::AwsNetworkSpec& network = spec.aws.network;
  std::vector<DrawnZone> zones;
  if (network.vpc.empty()) {
    for (const std::string& letter : spec.tasks.zones) {
      zones.push_back({.name = spec.aws.region.empty() ? "zone " + letter : spec.aws.region + letter});
    }
  } else {
    for (const std::string& subnet : network.private_subnets) zones.push_back({.name = subnet});
  }
  if (zones.empty()) zones.push_back({.name = "zone"});
  for (std::size_t i = 0; i < zones.size() && network.vpc.empty(); ++i) {
    zones[i].nat = network.egress == Egress::nat_per_zone || (network.egress == Egress::nat && i == 0);
  }
  if (!live) {
    auto on_demand =
        static_cast<std::size_t>(split_tasks(spec.aws, static_cast<double>(spec.tasks.count)).on_demand);
    for (std::size_t i = 0; i < spec.tasks.count; ++i) {
      zones[i % zones.size()].tasks.push_back({.spot = i >= on_demand, .health = ""});
    }
    return zones;
  }
  for (const RunningTask& task : live->tasks) {
    auto zone = std::ranges::find(zones, task.zone, &DrawnZone::name);
    if (zone == zones.end() && network.vpc.empty()) {
      zones.push_back({.name = task.zone});
      zone = std::prev(zones.end());
    } else if (zone == zones.end()) {
      // Own subnets are known by id, tasks by zone: they go where there are fewest.
      zone = std::ranges::min_element(zones, {}, [](const DrawnZone& one) { return one.tasks.size(); });
    }
    zone->tasks.push_back({.spot = task.spot, .health = task.health});
  }
  return zones;
}

std::vector<std::string> scaling_lines(const model::Spec& spec) {
  const model::ScalingSpec& scaling = spec.scaling;
  std::size_t min = scaling.min == 0 ? spec.tasks.count : scaling.min;
  std::size_t max = scaling.max == 0 ? 2 * spec.tasks.count : scaling.max;
  std::string rule = fmt::format("out at {:g} % CPU, in at {:g} %", scaling.cpu_out, scaling.cpu_in);
  if (scaling.hours) {
    rule = fmt::format("{} {}–{}", scaling.hours->days, scaling.hours->from, scaling.hours->to);
  }
  return {fmt::format("{} to {} tasks", min, max), rule};
}

std::size_t secret_count(const model::Spec& spec) {
  std::size_t count = 1;  // the fleet's key
  if (spec.auth.keys.empty() && !spec.aws.open) ++count;
  if (!spec.variables.empty()) ++count;
  return count + spec.aws.secrets.size();
}

std::vector<DrawnPart> parts_of(const model::Spec& spec, const std::optional<LiveState>& live) {
  std::vector<DrawnPart> parts;
  std::string image = live && !live->image.empty() ? "image " + live->image : "image scanned on push";
  parts.push_back({Kind::compute, "ECR registry", {image, "kept for 90 days"}});
  parts.push_back(
      {Kind::security,
       "Secrets Manager",
       {plural(secret_count(spec), "secret"), spec.aws.open ? "no API key: open" : "fleet key, API key"}});
  parts.push_back({Kind::storage, "S3 buckets", {"artifacts, logs", "TLS only, versioned"}});
  parts.push_back({Kind::monitoring,
                   "CloudWatch Logs",
                   {names(spec).log_group,
                    fmt::format("{} days{}", spec.aws.log_days, spec.aws.log_archive ? ", then S3" : "")}});
  if (spec.aws.traces) parts.push_back({Kind::monitoring, "X-Ray traces", {"OTLP, signed"}});
  std::string ringing = "errors, latency, health, load";
  if (live && live->alarms_ringing > 0) ringing = plural(live->alarms_ringing, "alarm") + " ringing";
  std::string to = spec.aws.alarms.email.empty() ? "security group changes" : "to " + spec.aws.alarms.email;
  parts.push_back({Kind::monitoring, "Alarms and dashboard", {ringing, to}, false});
  parts.push_back({Kind::compute, "Auto scaling", scaling_lines(spec), false});
  parts.push_back(
      {Kind::security,
       "IAM roles",
       {"execution role, task role", spec.permissions.empty()
                                         ? "least privilege"
                                         : plural(spec.permissions.size(), "statement") + " of berth.yaml"},
       false});
  return parts;
}

void describe_way_in(const model::Spec& spec, const std::optional<LiveState>& live, Drawing& out) {
  const model::AwsSpec& aws = spec.aws;
  out.way_in = way_in(aws);
  out.clients = out.way_in == WayIn::internal ? "inside your network" : "Claude Code and others";
  out.address = out.way_in == WayIn::cloudfront ? "https://….cloudfront.net"
                                                : "https://" + (aws.domain.empty() ? "…" : aws.domain);
  if (live && !live->url.empty()) out.address = live->url;
  std::string from = aws.allow.size() == 1 ? aws.allow[0] : plural(aws.allow.size(), "block");
  if (aws.allow == std::vector<std::string>{"0.0.0.0/0"}) from = "anywhere";
  std::string rule = "443 from " + from;
  if (out.way_in == WayIn::cloudfront) rule = "internal · from CloudFront alone";
  if (out.way_in == WayIn::internal) rule = "internal · " + rule;
  out.balancer = {rule + (aws.waf ? " · WAF" : ""),
                  fmt::format("health {}", spec.listener.health_check.path)};
}

std::string in_words(const model::Spec& spec, const Drawing& drawing) {
  std::size_t tasks = 0;
  for (const DrawnZone& zone : drawing.zones) tasks += zone.tasks.size();
  std::string way = drawing.way_in == WayIn::cloudfront ? "CloudFront and an internal load balancer"
                    : drawing.way_in == WayIn::internal ? "an internal load balancer"
                                                        : "a public load balancer";
  return fmt::format(
      "MCP clients reach the service {} ({}) by HTTPS through {}, which spreads calls over {} on Fargate in "
      "{}; "
      "the tasks share an EFS file system and use {}.",
      spec.name, drawing.region, way, plural(tasks, "task"), plural(drawing.zones.size(), "zone"),
      spec.aws.traces ? "ECR, Secrets Manager, S3, CloudWatch Logs and X-Ray"
                      : "ECR, Secrets Manager, S3 and CloudWatch Logs");
}

}  // namespace

Drawing draw(const model::Spec& spec, const std::optional<LiveState>& live) {
  using Architecture = model::AwsSpec::Architecture;
  Drawing out;
  const model::AwsNetworkSpec& network = spec.aws.network;
  out.title = spec.name;
  out.region = spec.aws.region.empty() ? "AWS" : "AWS, " + spec.aws.region;
  out.task_size = size_of(spec.tasks);
  std::string processor = spec.aws.architecture == Architecture::arm64    ? " · ARM"
                          : spec.aws.architecture == Architecture::x86_64 ? " · x86"
                                                                          : "";
  out.subtitle = fmt::format("MCP service on AWS ECS Fargate · {} of {}{}", plural(spec.tasks.count, "task"),
                             out.task_size, processor);
  out.vpc = network.vpc.empty() ? "VPC " + network.cidr : network.vpc + " (yours)";
  out.zones = zones_of(spec, live);
  out.endpoints = network.vpc.empty() && network.egress == Egress::endpoints;
  describe_way_in(spec, live, out);
  // With somebody's own subnets an internal load balancer, too, stands in those named for it.
  out.balancer_in_public =
      out.way_in == WayIn::domain || (!network.vpc.empty() && !network.public_subnets.empty());
  out.public_subnets = out.balancer_in_public || (network.vpc.empty() && !out.endpoints);
  out.service = "ECS service " + spec.name;
  if (live) {
    auto healthy = std::ranges::count(live->tasks, "healthy", &RunningTask::health);
    out.service += fmt::format(" · {} of {} healthy", healthy, live->desired);
  }
  out.parts = parts_of(spec, live);
  out.footer = live ? fmt::format("As deployed, {}. Drawn by berth diagram.", live->as_of)
                    : "As berth.yaml describes it. Drawn by berth diagram.";
  out.description = in_words(spec, out);
  return out;
}

}  // namespace berth::deploy
