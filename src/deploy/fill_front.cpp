#include <fmt/format.h>

#include <algorithm>

#include "deploy/fillings.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// Whole seconds within the limits of a target group (ELBv2 API, CreateTargetGroup).
std::int64_t seconds(model::Milliseconds duration, std::int64_t least, std::int64_t most) {
  std::int64_t whole = (duration.count() + 999) / 1000;
  return std::clamp(whole, least, most);
}

void fill_health_check(const model::HealthCheckSpec& check, Fillings& fillings) {
  auto& values = fillings.values;
  std::int64_t interval = seconds(check.interval, 5, 300);
  values["health_path"] = check.path;
  values["health_interval"] = interval;
  values["health_timeout"] = std::min(seconds(check.timeout, 2, 120), interval - 1);
  values["healthy_threshold"] = std::clamp<std::size_t>(check.healthy_threshold, 2, 10);
  values["unhealthy_threshold"] = std::clamp<std::size_t>(check.unhealthy_threshold, 2, 10);
}

/// At most so many requests of one caller in five minutes. Behind CloudFront the caller stands in the header
/// that cdn.yaml's function writes.
json::object rate_limit(bool cdn) {
  json::object out{{"Limit", 2000}, {"EvaluationWindowSec", 300}};
  if (!cdn) {
    out["AggregateKeyType"] = "IP";
    return out;
  }
  out["AggregateKeyType"] = "CUSTOM_KEYS";
  json::object header{{"Name", "x-berth-viewer"},
                      {"TextTransformations", json::array{{{"Priority", 0}, {"Type", "NONE"}}}}};
  out["CustomKeys"] = json::array{{{"Header", std::move(header)}}};
  return out;
}

}  // namespace

void fill_front(const model::Spec& spec, Fillings& fillings) {
  const model::AwsSpec& aws = spec.aws;
  auto& values = fillings.values;
  auto& conditions = fillings.conditions;
  bool cdn = aws.domain.empty();
  conditions["cdn"] = cdn;
  conditions["domain"] = !cdn;
  conditions["waf"] = aws.waf;
  conditions["own_certificate"] = !aws.certificate.empty();
  conditions["hosted_zone"] = !aws.hosted_zone.empty();
  bool everybody = std::ranges::find(aws.allow, "0.0.0.0/0") != aws.allow.end();
  // With a domain the security group lets in those who may; behind CloudFront only the firewall sees them.
  conditions["allow_list"] = cdn && !everybody;
  values["ipv6"] = !(cdn && !everybody);
  values["allow"] = json::array(aws.allow.begin(), aws.allow.end());
  values["rate_limit"] = rate_limit(cdn);

  values["scheme"] = cdn || aws.internal ? "internal" : "internet-facing";
  values["domain"] = aws.domain;
  values["domain_url"] = "https://" + aws.domain;
  values["hosted_zone"] = aws.hosted_zone;
  values["certificate"] = aws.certificate.empty() ? reference("Certificate") : json::value(aws.certificate);
  values["mcp_paths"] = json::array{"/mcp", "/*/mcp", "/*/sse", "/*/messages"};
  values["not_found"] =
      json::array{{{"Type", "fixed-response"},
                   {"FixedResponseConfig",
                    {{"StatusCode", "404"},
                     {"ContentType", "application/json"},
                     {"MessageBody", R"({"error":"There is nothing here; MCP is spoken at /mcp."})"}}}}};

  const model::ListenerSpec& listener = spec.listener;
  bool round_robin = listener.balancing == model::Balancing::round_robin;
  values["balancing"] = round_robin ? "round_robin" : "least_outstanding_requests";
  // ALB has no slow start for least_outstanding_requests.
  conditions["slow_start"] = round_robin && listener.slow_start.count() > 0;
  values["slow_start"] = fmt::format("{}", seconds(listener.slow_start, 30, 900));
  fill_health_check(listener.health_check, fillings);
}

}  // namespace berth::deploy
