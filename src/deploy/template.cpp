#include "deploy/template.h"

#include <fmt/format.h>

#include "deploy/compose.h"
#include "deploy/fillings.h"
#include "model/deployable.h"

namespace berth::deploy {
namespace {

/// What CloudFormation takes in a call (TemplateBody).
constexpr std::size_t body_bytes_max = 51'200;

Result<Template> made(std::string yaml) {
  Result<boost::json::value> document = yaml_to_json(yaml);
  if (!document) return Failure(document.error());
  Template out{std::move(yaml), std::move(document->as_object())};
  std::size_t size = out.json().size();
  if (size > body_bytes_max) {
    return fail(ErrorCode::resource_exhausted,
                fmt::format("The template has {} bytes, more than the {} that CloudFormation takes; shorten "
                            "permissions or aws.allow.",
                            size, body_bytes_max));
  }
  return out;
}

/// What AWS would refuse, or run otherwise than the file says, before anything is made.
Result<void> check(const model::Spec& spec) {
  std::vector<std::string> problems = model::deploy_problems(spec);
  if (problems.empty()) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("{}", fmt::join(problems, "\n")));
}

/// Which file says what, in the order of the picture: from the caller to the data, then what watches.
std::vector<std::string> service_fragments(const model::Spec& spec) {
  const model::AwsSpec& aws = spec.aws;
  std::vector<std::string> out;
  if (aws.network.vpc.empty()) {
    using Egress = model::AwsNetworkSpec::Egress;
    out.emplace_back("network.yaml");
    switch (aws.network.egress) {
      case Egress::nat: out.emplace_back("nat.yaml"); break;
      case Egress::nat_per_zone: out.emplace_back("nat-per-zone.yaml"); break;
      case Egress::endpoints: out.emplace_back("endpoints.yaml"); break;
    }
  } else {
    out.emplace_back("network-existing.yaml");
  }
  out.emplace_back("security-groups.yaml");
  if (aws.domain.empty()) out.emplace_back("cdn.yaml");
  if (aws.waf) out.emplace_back("waf.yaml");
  out.emplace_back("load-balancer.yaml");
  if (!aws.domain.empty() && (aws.certificate.empty() || !aws.hosted_zone.empty())) {
    out.emplace_back("certificate.yaml");
  }
  for (const char* name : {"target-group.yaml", "cluster.yaml", "service.yaml", "task-definition.yaml",
                           "roles.yaml", "file-system.yaml", "artifacts.yaml", "logs.yaml"}) {
    out.emplace_back(name);
  }
  if (aws.traces) out.emplace_back("traces.yaml");
  for (const char* name : {"scaling.yaml", "alarms.yaml", "dashboard.yaml"}) out.emplace_back(name);
  return out;
}

}  // namespace

/// Notes for those who check the template, which mean nothing to CloudFormation and take a twentieth of its
/// limit.
std::string Template::json() const {
  boost::json::object sent = document;
  if (boost::json::value* resources = sent.if_contains("Resources")) {
    for (auto& [id, resource] : resources->as_object()) resource.as_object().erase("Metadata");
  }
  return boost::json::serialize(sent);
}

Result<Template> compose_base(const model::Spec& spec) {
  if (Result<void> fit = check(spec); !fit) return Failure(fit.error());
  return made(
      compose({"registry.yaml", "secrets.yaml"},
              fmt::format("{}: registry and secrets, before the service itself (made by Berth)", spec.name),
              base_fillings(spec)));
}

Result<Template> compose_service(const model::Spec& spec) {
  if (Result<void> fit = check(spec); !fit) return Failure(fit.error());
  return made(compose(service_fragments(spec),
                      fmt::format("{}: an MCP server on ECS Fargate (made by Berth)", spec.name),
                      service_fillings(spec)));
}

std::map<std::string, std::string> stack_tags(const model::Spec& spec) {
  std::map<std::string, std::string> out = spec.aws.tags;
  out["berth:service"] = spec.name;
  return out;
}

}  // namespace berth::deploy
