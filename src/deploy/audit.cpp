#include "deploy/audit.h"

#include <algorithm>

#include "deploy/audit_checks.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

struct Area {
  std::string_view name;
  std::span<const Check> (*checks)();
};
constexpr Area areas[] = {{"network", network_checks}, {"encryption", encryption_checks},
                          {"access", access_checks},   {"image and tasks", task_checks},
                          {"data", data_checks},       {"monitoring", monitoring_checks}};

GroupRule read_rule(const json::object& rule, bool ingress) {
  GroupRule out{.ingress = ingress,
                .protocol = text_at(rule, "IpProtocol"),
                .from = text_at(rule, "FromPort"),
                .to = text_at(rule, "ToPort")};
  for (std::string_view name : {"CidrIp", "CidrIpv6"}) {
    if (const json::value* block = rule.if_contains(name); block != nullptr) out.cidr = text_of(*block);
  }
  std::string_view peer = ingress ? "SourceSecurityGroupId" : "DestinationSecurityGroupId";
  if (const json::value* group = rule.if_contains(peer); group != nullptr) {
    out.peer = referred(*group);
    if (out.peer.empty()) out.peer = text_of(*group);
  }
  out.prefix_list = rule.contains("SourcePrefixListId") || rule.contains("DestinationPrefixListId");
  return out;
}

void add_rules(const Resource& group, bool ingress, std::string_view list, std::vector<GroupRule>& rules) {
  for (const json::value* rule : list_at(*group.properties, list)) {
    if (!rule->is_object()) continue;
    rules.push_back(read_rule(rule->get_object(), ingress));
    rules.back().group = rules.back().resource = group.id;
  }
}

json::array to_array(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

}  // namespace

std::string_view to_string(Gravity gravity) {
  switch (gravity) {
    case Gravity::low: return "low";
    case Gravity::medium: return "medium";
    case Gravity::high: return "high";
  }
  return "";
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed: return "pass";
    case Verdict::failed: return "fail";
    case Verdict::not_applicable: return "not applicable";
  }
  return "";
}

void Outcome::fail(std::string resource, std::string detail) {
  applies_ = failed_ = true;
  if (detail_.empty()) detail_ = std::move(detail);
  if (!resource.empty() && std::ranges::find(resources_, resource) == resources_.end())
    resources_.push_back(std::move(resource));
}

void Outcome::expect(bool good, const std::string& resource, std::string_view detail) {
  applies();
  if (!good) fail(resource, std::string(detail));
}

Verdict Outcome::verdict() const {
  if (!applies_) return Verdict::not_applicable;
  return failed_ ? Verdict::failed : Verdict::passed;
}

std::set<std::string> references_at(const json::object& object, std::string_view path) {
  std::set<std::string> out;
  for (const json::value* value : list_at(object, path)) {
    if (std::string id = referred(*value); !id.empty()) out.insert(std::move(id));
  }
  return out;
}

std::vector<GroupRule> group_rules(const Document& document) {
  std::vector<GroupRule> rules;
  for (const Resource& group : document.of_type("AWS::EC2::SecurityGroup")) {
    add_rules(group, true, "SecurityGroupIngress", rules);
    add_rules(group, false, "SecurityGroupEgress", rules);
  }
  for (bool ingress : {true, false}) {
    std::string_view type = ingress ? "AWS::EC2::SecurityGroupIngress" : "AWS::EC2::SecurityGroupEgress";
    for (const Resource& resource : document.of_type(type)) {
      rules.push_back(read_rule(*resource.properties, ingress));
      rules.back().resource = resource.id;
      if (const json::value* group = resource.properties->if_contains("GroupId"); group != nullptr)
        rules.back().group = referred(*group);
    }
  }
  return rules;
}

std::vector<const json::object*> statements(const json::value* policy) {
  std::vector<const json::object*> out;
  if (policy == nullptr || !policy->is_object()) return out;
  for (const json::value* statement : list_at(policy->get_object(), "Statement")) {
    if (statement->is_object()) out.push_back(&statement->get_object());
  }
  return out;
}

bool denies_clear_text(const json::value* policy) {
  return std::ranges::any_of(statements(policy), [](const json::object* statement) {
    return text_at(*statement, "Effect") == "Deny" &&
           text_at(*statement, "Condition.Bool.aws:SecureTransport") == "false";
  });
}

std::vector<Container> containers(const Document& document) {
  std::vector<Container> out;
  for (const Resource& task : document.of_type("AWS::ECS::TaskDefinition")) {
    for (const json::value* container : list_at(*task.properties, "ContainerDefinitions")) {
      if (container->is_object()) out.push_back({task.id, &container->get_object()});
    }
  }
  return out;
}

Subject subject_of(const model::Spec& spec, const Document& document) {
  std::set<std::string> public_tables;
  for (const Resource& route : document.of_type("AWS::EC2::Route")) {
    if (!route.properties->contains("GatewayId")) continue;
    if (const json::value* table = route.properties->if_contains("RouteTableId"); table != nullptr)
      public_tables.insert(referred(*table));
  }
  Subject subject{.spec = spec, .document = document, .public_subnets = {}};
  for (const Resource& association : document.of_type("AWS::EC2::SubnetRouteTableAssociation")) {
    const json::value* table = association.properties->if_contains("RouteTableId");
    const json::value* subnet = association.properties->if_contains("SubnetId");
    if (table != nullptr && subnet != nullptr && public_tables.contains(referred(*table)))
      subject.public_subnets.insert(referred(*subnet));
  }
  return subject;
}

std::vector<AuditResult> audit(const model::Spec& spec, const Document& document) {
  Subject subject = subject_of(spec, document);
  std::vector<AuditResult> results;
  for (const Area& area : areas) {
    for (const Check& check : area.checks()) {
      Outcome outcome;
      check.judge(subject, outcome);
      results.push_back({.id = std::string(check.id),
                         .area = std::string(area.name),
                         .title = std::string(check.title),
                         .gravity = check.gravity,
                         .verdict = outcome.verdict(),
                         .resources = outcome.resources(),
                         .detail = outcome.detail(),
                         .why = std::string(check.why),
                         .remedy = std::string(check.remedy)});
    }
  }
  return results;
}

bool fails(const std::vector<AuditResult>& results, Gravity gravity) {
  return std::ranges::any_of(results, [&](const AuditResult& result) {
    return result.verdict == Verdict::failed && result.gravity >= gravity;
  });
}

json::object to_json(const std::vector<AuditResult>& results) {
  json::array checks;
  std::size_t counts[3] = {};
  for (const AuditResult& result : results) {
    ++counts[static_cast<std::size_t>(result.verdict)];
    checks.push_back({{"id", result.id},
                      {"area", result.area},
                      {"title", result.title},
                      {"severity", to_string(result.gravity)},
                      {"verdict", to_string(result.verdict)},
                      {"resources", to_array(result.resources)},
                      {"detail", result.detail},
                      {"why", result.why},
                      {"remedy", result.remedy}});
  }
  return {{"passed", counts[0]},
          {"failed", counts[1]},
          {"not_applicable", counts[2]},
          {"checks", std::move(checks)}};
}

}  // namespace berth::deploy
