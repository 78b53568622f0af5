#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "deploy/lint_values.h"
#include "deploy/template.h"
#include "model/units.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// The member `name` of `value`, or null.
const json::value& member(const json::value& value, std::string_view name) {
  static const json::value nothing;
  const json::object* object = value.if_object();
  const json::value* found = object == nullptr ? nullptr : object->if_contains(name);
  return found == nullptr ? nothing : *found;
}

/// The elements of a list; a value that is none counts as one.
std::vector<const json::value*> entries(const json::value& value) {
  std::vector<const json::value*> out;
  if (const json::array* array = value.if_array()) {
    for (const json::value& entry : *array) out.push_back(&entry);
  } else if (!value.is_null()) {
    out.push_back(&value);
  }
  return out;
}

/// A scalar as text; "" for what is only known when the stack is made.
std::string text(const json::value& value) {
  if (const json::string* string = value.if_string()) return std::string(*string);
  return value.is_object() || value.is_array() || value.is_null() ? std::string() : json::serialize(value);
}

std::optional<std::int64_t> number(const json::value& value) {
  std::string digits = text(value);
  std::int64_t out = 0;
  auto [last, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (digits.empty() || wrong != std::errc() || last != digits.data() + digits.size()) return std::nullopt;
  return out;
}

/// The logical id in {"Ref": id} or {"Fn::GetAtt": [id, …]}.
std::string referred(const json::value& value) {
  std::string id = text(member(value, "Ref"));
  const json::value& attribute = member(value, "Fn::GetAtt");
  if (id.empty() && attribute.is_array() && !attribute.get_array().empty())
    id = text(attribute.get_array()[0]);
  return id;
}

class Linter {
 public:
  explicit Linter(const json::object& document) {
    const json::value* all = document.if_contains("Resources");
    if (all != nullptr && all->is_object()) resources_ = &all->get_object();
  }

  std::vector<Finding> run() {
    for (const auto& [id, resource] : *resources_) {
      id_ = id;
      std::string type = text(member(resource, "Type"));
      const json::value& properties = member(resource, "Properties");
      if (type == "AWS::ElasticLoadBalancingV2::LoadBalancer") check_load_balancer(properties);
      if (type == "AWS::ElasticLoadBalancingV2::TargetGroup") check_target_group(properties);
      if (type == "AWS::ElasticLoadBalancingV2::Listener") check_listener(properties);
      if (type == "AWS::ECS::TaskDefinition") check_task_definition(properties);
      if (type == "AWS::ECS::Service") check_service(resource, properties);
      if (type == "AWS::ECR::Repository") check_repository(properties);
    }
    return std::move(findings_);
  }

 private:
  void found(std::string rule, std::string message) {
    findings_.push_back({std::move(rule), id_, std::move(message)});
  }

  const json::value& properties_of(const std::string& id) const {
    const json::value* resource = resources_->if_contains(id);
    return member(resource == nullptr ? nothing_ : *resource, "Properties");
  }

  void check_attributes(AttributeOf owner, const json::value& attributes) {
    for (const json::value* attribute : entries(attributes)) {
      std::string key = text(member(*attribute, "Key"));
      std::string problem = attribute_problem(owner, key, text(member(*attribute, "Value")));
      if (problem.empty()) continue;
      bool unknown = problem == attribute_problem(owner, "", "");
      found(unknown ? "attribute-key" : "attribute-value", fmt::format("{} {}.", key, problem));
    }
  }

  static std::string attribute(const json::value& attributes, std::string_view key) {
    for (const json::value* entry : entries(attributes)) {
      if (text(member(*entry, "Key")) == key) return text(member(*entry, "Value"));
    }
    return {};
  }

  void check_load_balancer(const json::value& properties) {
    check_attributes(AttributeOf::load_balancer, member(properties, "LoadBalancerAttributes"));
    check_keep_alive(attribute(member(properties, "LoadBalancerAttributes"), "idle_timeout.timeout_seconds"));
  }

  /// A task that closes an idle connection first makes the load balancer write into a closed one now and
  /// then: 502.
  void check_keep_alive(const std::string& idle_timeout) {
    Result<std::uint64_t> idle = model::parse_count(idle_timeout.empty() ? "60" : idle_timeout);
    if (!idle) return;
    for (const auto& [id, resource] : *resources_) {
      if (text(member(resource, "Type")) != "AWS::ECS::TaskDefinition") continue;
      for (const json::value* container :
           entries(member(member(resource, "Properties"), "ContainerDefinitions"))) {
        for (const json::value* variable : entries(member(*container, "Environment"))) {
          if (text(member(*variable, "Name")) != "BERTH_IDLE_TIMEOUT") continue;
          Result<double> kept = model::parse_number(text(member(*variable, "Value")));
          if (kept && *kept > static_cast<double>(*idle)) continue;
          found("idle-timeout",
                fmt::format("idle_timeout.timeout_seconds is {}, but {} keeps idle connections "
                            "for {} s, which must be longer.",
                            *idle, std::string_view(id), text(member(*variable, "Value"))));
        }
      }
    }
  }

  void check_target_group(const json::value& properties) {
    const json::value& attributes = member(properties, "TargetGroupAttributes");
    check_attributes(AttributeOf::target_group, attributes);
    std::int64_t timeout = number(member(properties, "HealthCheckTimeoutSeconds")).value_or(5);
    std::int64_t interval = number(member(properties, "HealthCheckIntervalSeconds")).value_or(30);
    if (timeout >= interval) {
      found("health-check-timeout",
            fmt::format("HealthCheckTimeoutSeconds ({}) must be less than HealthCheckIntervalSeconds ({}).",
                        timeout, interval));
    }
    std::string slow = attribute(attributes, "slow_start.duration_seconds");
    std::string algorithm = attribute(attributes, "load_balancing.algorithm.type");
    if (!slow.empty() && slow != "0" && !algorithm.empty() && algorithm != "round_robin")
      found("slow-start",
            fmt::format("slow_start.duration_seconds goes with round_robin only, not {}.", algorithm));
  }

  void check_listener(const json::value& properties) {
    check_attributes(AttributeOf::listener, member(properties, "ListenerAttributes"));
    if (text(member(properties, "Protocol")) != "HTTPS") return;
    const json::value& policy = member(properties, "SslPolicy");
    if (policy.is_object()) return;
    // What AWS takes when nothing is said.
    std::string name = policy.is_null() ? "ELBSecurityPolicy-2016-08" : text(policy);
    std::string problem = ssl_policy_problem(name);
    if (!problem.empty()) found("ssl-policy", fmt::format("SslPolicy {} {}.", name, problem));
  }

  void check_task_definition(const json::value& properties) {
    for (const json::value* volume : entries(member(properties, "Volumes"))) {
      const json::value& efs = member(*volume, "EFSVolumeConfiguration");
      const json::value& authorization = member(efs, "AuthorizationConfig");
      bool by_role = text(member(authorization, "IAM")) == "ENABLED";
      bool by_point = !member(authorization, "AccessPointId").is_null();
      if ((by_role || by_point) && text(member(efs, "TransitEncryption")) != "ENABLED") {
        found("efs-encryption", fmt::format("Volume {} is authorized by IAM or an access point, which needs "
                                            "TransitEncryption: ENABLED.",
                                            text(member(*volume, "Name"))));
      }
      std::string root = text(member(efs, "RootDirectory"));
      if (by_point && !root.empty() && root != "/")
        found("efs-root", "RootDirectory must be absent or / with an access point, which has its own.");
    }
    for (const json::value* container : entries(member(properties, "ContainerDefinitions"))) {
      std::optional<std::int64_t> stop = number(member(*container, "StopTimeout"));
      if (stop && *stop > 120)
        found("stop-timeout", fmt::format("StopTimeout is {}; Fargate takes at most 120.", *stop));
    }
  }

  void check_service(const json::value& resource, const json::value& properties) {
    const json::value& strategy = member(properties, "CapacityProviderStrategy");
    if (!strategy.is_null() && !member(properties, "LaunchType").is_null())
      found("launch-type", "LaunchType and CapacityProviderStrategy exclude each other; remove LaunchType.");
    std::size_t with_base = 0;
    for (const json::value* provider : entries(strategy))
      with_base += number(member(*provider, "Base")).value_or(0) > 0 ? 1 : 0;
    if (with_base > 1) found("capacity-base", "Only one capacity provider may have a Base.");

    const json::value& deployment = member(properties, "DeploymentConfiguration");
    std::int64_t least = number(member(deployment, "MinimumHealthyPercent")).value_or(100);
    std::optional<std::int64_t> early =
        number(member(member(deployment, "EarlySuccessCriteria"), "HealthyPercent"));
    if (early && *early < least) {
      found("early-success", fmt::format("EarlySuccessCriteria.HealthyPercent ({}) must be at least "
                                         "MinimumHealthyPercent ({}).",
                                         *early, least));
    }
    if (text(member(properties, "AvailabilityZoneRebalancing")) == "ENABLED" &&
        number(member(deployment, "MaximumPercent")).value_or(200) <= 100)
      found("zone-rebalancing", "AvailabilityZoneRebalancing needs a MaximumPercent above 100.");

    const json::value& task = properties_of(referred(member(properties, "TaskDefinition")));
    for (const json::value* balancer : entries(member(properties, "LoadBalancers"))) {
      check_container(*balancer, task);
      check_target_type(*balancer, task);
      check_needs(resource, *balancer);
    }
  }

  void check_container(const json::value& balancer, const json::value& task) {
    if (task.is_null()) return;
    std::string name = text(member(balancer, "ContainerName"));
    std::string port = text(member(balancer, "ContainerPort"));
    for (const json::value* container : entries(member(task, "ContainerDefinitions"))) {
      if (text(member(*container, "Name")) != name) continue;
      for (const json::value* mapping : entries(member(*container, "PortMappings"))) {
        if (text(member(*mapping, "ContainerPort")) == port) return;
      }
      return found("container-port",
                   fmt::format("Container {} of the task definition has no port {}.", name, port));
    }
    found("container-name", fmt::format("The task definition has no container {}.", name));
  }

  void check_target_type(const json::value& balancer, const json::value& task) {
    const json::value& group = properties_of(referred(member(balancer, "TargetGroupArn")));
    if (group.is_null() || text(member(task, "NetworkMode")) != "awsvpc") return;
    std::string type = text(member(group, "TargetType"));
    if (type == "ip") return;
    found("target-type",
          fmt::format("Tasks with NetworkMode awsvpc need a target group of TargetType ip, not {}.",
                      type.empty() ? "instance (the default)" : type));
  }

  /// ECS refuses a service whose target group no listener knows yet, so one of them must come before.
  void check_needs(const json::value& resource, const json::value& balancer) {
    std::string group = referred(member(balancer, "TargetGroupArn"));
    bool any = false;
    for (const auto& [id, other] : *resources_) {
      std::string type = text(member(other, "Type"));
      bool forwards = type == "AWS::ElasticLoadBalancingV2::Listener" ||
                      type == "AWS::ElasticLoadBalancingV2::ListenerRule";
      if (!forwards || !json::serialize(other).contains(fmt::format("{{\"Ref\":\"{}\"}}", group))) continue;
      any = true;
      for (const json::value* need : entries(member(resource, "DependsOn"))) {
        if (text(*need) == std::string_view(id)) return;
      }
    }
    if (any)
      found("service-before-listener",
            "DependsOn must name a listener or rule that forwards to its target group.");
  }

  void check_repository(const json::value& properties) {
    std::string policy = text(member(member(properties, "LifecyclePolicy"), "LifecyclePolicyText"));
    if (policy.empty()) return;
    boost::system::error_code wrong;
    json::value parsed = json::parse(policy, wrong);
    if (wrong)
      return found("lifecycle-policy", fmt::format("LifecyclePolicyText is not JSON: {}.", wrong.message()));
    const json::value& rules = member(parsed, "rules");
    if (!rules.is_array() || rules.get_array().empty())
      return found("lifecycle-policy", "LifecyclePolicyText has no rules.");
    std::vector<std::int64_t> priorities;
    for (const json::value* rule : entries(rules)) check_lifecycle_rule(*rule, priorities);
  }

  void check_lifecycle_rule(const json::value& rule, std::vector<std::int64_t>& priorities) {
    std::int64_t priority = number(member(rule, "rulePriority")).value_or(0);
    auto wrong = [&](std::string_view what) {
      found("lifecycle-policy", fmt::format("Rule {} of LifecyclePolicyText {}.", priority, what));
    };
    if (priority < 1 || std::ranges::find(priorities, priority) != priorities.end())
      wrong("needs a rulePriority of its own");
    priorities.push_back(priority);
    const json::value& selection = member(rule, "selection");
    std::string status = text(member(selection, "tagStatus"));
    if (status != "any" && status != "tagged" && status != "untagged")
      wrong("needs tagStatus: any, tagged or untagged");
    bool tags =
        !member(selection, "tagPrefixList").is_null() || !member(selection, "tagPatternList").is_null();
    if ((status == "tagged") != tags) wrong("needs a list of tags just when tagStatus is tagged");
    std::string count = text(member(selection, "countType"));
    if (count != "imageCountMoreThan" && count != "sinceImagePushed" && count != "sinceImagePulled")
      wrong("has an unknown countType");
    bool days = text(member(selection, "countUnit")) == "days";
    if ((count != "imageCountMoreThan") != days) wrong("needs countUnit: days just when it counts days");
    if (number(member(selection, "countNumber")).value_or(0) < 1) wrong("needs a countNumber above 0");
    if (text(member(member(rule, "action"), "type")) != "expire") wrong("needs the action expire");
  }

  const json::object none_;
  const json::object* resources_ = &none_;
  const json::value nothing_;
  std::string id_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> lint(const json::object& document) { return Linter(document).run(); }

}  // namespace berth::deploy
