#include "deploy/plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::deploy {
namespace {

namespace json = boost::json;

struct BoxRule {
  std::string_view prefix;  ///< of the type
  std::string_view box;
};
/// The first that fits wins. Order of the list = order of the boxes in the plan.
constexpr BoxRule box_rules[] = {
    {"AWS::CloudFront::", "front door"},
    {"AWS::Route53::", "front door"},
    {"AWS::CertificateManager::", "front door"},
    {"AWS::WAFv2::", "front door"},
    {"AWS::ElasticLoadBalancingV2::", "load balancer"},
    {"AWS::EC2::SecurityGroup", "network"},
    {"AWS::EC2::", "network"},
    {"AWS::ECS::", "service"},
    {"AWS::ApplicationAutoScaling::", "scaling"},
    {"AWS::ECR::", "image registry"},
    {"AWS::EFS::", "data"},
    {"AWS::S3::", "data"},
    {"AWS::Backup::", "data"},
    {"AWS::SecretsManager::", "secrets"},
    {"AWS::KMS::", "secrets"},
    {"AWS::IAM::", "roles"},
    {"AWS::Logs::", "logs and traces"},
    {"AWS::KinesisFirehose::", "logs and traces"},
    {"AWS::XRay::", "logs and traces"},
    {"AWS::CloudWatch::", "alarms"},
    {"AWS::SNS::", "alarms"},
    {"AWS::Events::", "alarms"},
};

std::size_t box_of(std::string_view type) {
  for (std::size_t i = 0; i < std::size(box_rules); ++i) {
    if (type.starts_with(box_rules[i].prefix)) return i;
  }
  return std::size(box_rules);
}

std::string box_name(std::size_t box) {
  return box < std::size(box_rules) ? std::string(box_rules[box].box) : "other";
}

/// Where a name first stands in the list, so that rules of one box stay together.
std::size_t box_order(std::size_t box) {
  const std::string name = box_name(box);
  for (std::size_t i = 0; i < std::size(box_rules); ++i) {
    if (box_rules[i].box == name) return i;
  }
  return box;
}

/// A string of the template for people: references by the name of what they refer to.
std::string readable(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (const json::object* object = value.if_object()) {
    for (const std::string_view function : {"Ref", "Fn::Sub"}) {
      const json::value* argument = object->if_contains(function);
      if (argument != nullptr && argument->is_string()) return std::string(argument->get_string());
    }
    const json::array& attribute = aws::array(*object, "Fn::GetAtt");
    if (attribute.size() == 2 && attribute[0].is_string()) return std::string(attribute[0].get_string());
  }
  return json::serialize(value);
}

std::vector<std::string> texts(const json::object& statement, std::string_view name) {
  std::vector<std::string> out;
  const json::value* value = statement.if_contains(name);
  if (value == nullptr) return out;
  auto add = [&out](const json::value& one) { out.push_back(readable(one)); };
  if (value->is_array()) {
    for (const json::value& one : value->get_array()) add(one);
  } else {
    add(*value);
  }
  return out;
}

void add_statements(std::vector<PlannedPermission>& out, const std::string& role,
                    const json::object& policy) {
  for (const json::value& item : aws::array(aws::object(policy, "PolicyDocument"), "Statement")) {
    if (!item.is_object() || aws::text(item.get_object(), "Effect") != "Allow") continue;
    out.push_back({.role = role,
                   .actions = texts(item.get_object(), "Action"),
                   .resources = texts(item.get_object(), "Resource")});
  }
}

struct InterruptRule {
  std::string_view type;
  std::string_view what;
};
constexpr InterruptRule replace_rules[] = {
    {"AWS::ECS::Service",
     "the service is made anew: its tasks stop, clients get 503 until new ones are healthy"},
    {"AWS::ECS::Cluster", "cluster and service are made anew: an outage of a minute or two"},
    {"AWS::ElasticLoadBalancingV2::LoadBalancer",
     "a new load balancer: its address changes, open streams end"},
    {"AWS::ElasticLoadBalancingV2::TargetGroup", "a new target group: tasks register anew, open streams end"},
    {"AWS::ElasticLoadBalancingV2::Listener",
     "the listener is made anew: connections are refused for seconds"},
    {"AWS::CloudFront::Distribution", "a new distribution: the public URL changes"},
    {"AWS::CloudFront::VpcOrigin",
     "the way from CloudFront to the load balancer is made anew: minutes of 502"},
    {"AWS::EFS::FileSystem", "a new, empty file system: state of sessions and tools stays on the old one"},
    {"AWS::EFS::AccessPoint", "a new access point: tasks are started anew"},
    {"AWS::EFS::MountTarget", "a mount target is made anew: tasks of that zone wait for their files"},
    {"AWS::S3::Bucket", "a new, empty bucket: what is stored stays in the old one"},
    {"AWS::EC2::VPC", "a new network: everything in it is made anew, an outage of minutes"},
    {"AWS::EC2::Subnet", "a new subnet: what is in it is made anew"},
    {"AWS::EC2::NatGateway", "a new NAT gateway: calls to the outside fail for seconds, the address changes"},
    {"AWS::SecretsManager::Secret", "a new secret: clients need the new key, sessions end"},
    {"AWS::ECR::Repository", "a new repository: its images are gone"},
    {"AWS::Logs::LogGroup", "a new log group: older lines are in the old one"},
};
constexpr InterruptRule remove_rules[] = {
    {"AWS::EFS::FileSystem", "is left out of the service (its data is kept)"},
    {"AWS::S3::Bucket", "is left out of the service (its data is kept)"},
    {"AWS::ECS::Service", "every task stops"},
    {"AWS::ElasticLoadBalancingV2::LoadBalancer", "the service loses its address"},
    {"AWS::CloudFront::Distribution", "the public URL is gone"},
};

}  // namespace

std::vector<PlannedKind> planned_resources(const Template& base, const Template& service) {
  std::map<std::pair<std::size_t, std::string>, PlannedKind> kinds;
  for (const Template* one : {&base, &service}) {
    for (const auto& [id, resource] : aws::object(one->document, "Resources")) {
      if (!resource.is_object()) continue;
      const std::string type = aws::text(resource.get_object(), "Type");
      const std::size_t box = box_of(type);
      PlannedKind& kind = kinds[{box_order(box), type}];
      kind.box = box_name(box);
      kind.type = type;
      kind.ids.emplace_back(id);
    }
  }
  std::vector<PlannedKind> out;
  for (auto& [key, kind] : kinds) out.push_back(std::move(kind));
  return out;
}

std::vector<PlannedPermission> planned_permissions(const Template& base, const Template& service) {
  std::vector<PlannedPermission> out;
  for (const Template* one : {&base, &service}) {
    for (const auto& [id, resource] : aws::object(one->document, "Resources")) {
      if (!resource.is_object()) continue;
      const std::string type = aws::text(resource.get_object(), "Type");
      const json::object& properties = aws::object(resource.get_object(), "Properties");
      if (type == "AWS::IAM::Role") {
        for (const json::value& policy : aws::array(properties, "Policies")) {
          if (policy.is_object()) add_statements(out, std::string(id), policy.get_object());
        }
      } else if (type == "AWS::IAM::Policy" || type == "AWS::IAM::ManagedPolicy" ||
                 type == "AWS::IAM::RolePolicy") {
        add_statements(out, std::string(id), properties);
      }
    }
  }
  return out;
}

std::string interrupts(const ResourceChange& change) {
  auto find = [&](const auto& rules) {
    for (const InterruptRule& rule : rules) {
      if (rule.type == change.type) return std::string(rule.what);
    }
    return std::string();
  };
  if (change.action == "Remove") return find(remove_rules);
  if (change.replacement == "True") return find(replace_rules);
  const std::string perhaps = change.replacement == "Conditional" ? find(replace_rules) : "";
  // "Conditional" is what CloudFormation says of every property whose value comes from a resource that is
  // replaced; a service whose task definition changes is merely updated.
  const bool routine =
      change.type == "AWS::ECS::Service" && std::ranges::all_of(change.causes, [](const std::string& cause) {
        return cause == "TaskDefinition" || cause == "Properties" || cause == "Tags";
      });
  return perhaps.empty() || routine ? "" : "perhaps " + perhaps;
}

json::object to_json(const ResourceChange& change) {
  const std::string what = interrupts(change);
  json::object out{{"resource", change.resource},
                   {"type", change.type},
                   {"action", change.action},
                   {"replacement", change.replacement},
                   {"causes", json::value_from(change.causes)}};
  if (!what.empty()) out["interrupts"] = what;
  return out;
}

}  // namespace berth::deploy
