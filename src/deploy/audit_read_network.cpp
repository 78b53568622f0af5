#include "deploy/audit_readers.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;
using aws::text;

/// One rule for each peer of a permission, as templates write them.
void add_rules(const json::object& permission, bool ingress, json::array& rules) {
  json::object plain{{"IpProtocol", text(permission, "ipProtocol")},
                     {"FromPort", text(permission, "fromPort")},
                     {"ToPort", text(permission, "toPort")}};
  auto add = [&](std::string_view list, std::string_view member, std::string_view name) {
    for (const json::object* peer : objects(permission, list)) {
      json::object rule = plain;
      rule[name] = text(*peer, member);
      rules.push_back(std::move(rule));
    }
  };
  add("ipRanges", "cidrIp", "CidrIp");
  add("ipv6Ranges", "cidrIpv6", "CidrIpv6");
  add("groups", "groupId", ingress ? "SourceSecurityGroupId" : "DestinationSecurityGroupId");
  add("prefixListIds", "prefixListId", ingress ? "SourcePrefixListId" : "DestinationPrefixListId");
}

Task<Properties> security_group(aws::Client& client, LiveResource resource) {
  json::object input{{"GroupId", json::array{json::value(resource.physical)}}};
  Properties answer = co_await client.call("ec2", "DescribeSecurityGroups", std::move(input));
  if (!answer) co_return answer;
  const json::object& group = first(*answer, "securityGroupInfo");
  json::array ingress, egress;
  for (const json::object* permission : objects(group, "ipPermissions"))
    add_rules(*permission, true, ingress);
  for (const json::object* permission : objects(group, "ipPermissionsEgress"))
    add_rules(*permission, false, egress);
  json::object out{{"SecurityGroupIngress", std::move(ingress)}, {"SecurityGroupEgress", std::move(egress)}};
  co_return out;
}

Task<Properties> subnet(aws::Client& client, LiveResource resource) {
  json::object input{{"SubnetId", json::array{json::value(resource.physical)}}};
  Properties answer = co_await client.call("ec2", "DescribeSubnets", std::move(input));
  if (!answer) co_return answer;
  json::object out{{"MapPublicIpOnLaunch", text(first(*answer, "subnetSet"), "mapPublicIpOnLaunch")}};
  co_return out;
}

/// Routes and associations are resources of their own in a template.
Task<Properties> route_table(aws::Client& client, LiveResource resource) {
  json::object input{{"RouteTableId", json::array{json::value(resource.physical)}}};
  Properties answer = co_await client.call("ec2", "DescribeRouteTables", std::move(input));
  if (!answer) co_return answer;
  const json::object& table = first(*answer, "routeTableSet");
  json::object more;
  auto add = [&](std::string_view type, json::object properties) {
    properties["RouteTableId"] = resource.physical;
    more[resource.logical + ":" + std::to_string(more.size())] = {{"Type", type},
                                                                  {"Properties", std::move(properties)}};
  };
  for (const json::object* route : objects(table, "routeSet")) {
    std::string gateway = text(*route, "gatewayId");
    if (gateway.starts_with("igw-")) add("AWS::EC2::Route", {{"GatewayId", gateway}});
  }
  for (const json::object* association : objects(table, "associationSet")) {
    add("AWS::EC2::SubnetRouteTableAssociation", {{"SubnetId", text(*association, "subnetId")}});
  }
  json::object out{{"+Resources", std::move(more)}};
  co_return out;
}

Task<Properties> flow_log(aws::Client& client, LiveResource resource) {
  json::object input{{"FlowLogId", json::array{json::value(resource.physical)}}};
  Properties answer = co_await client.call("ec2", "DescribeFlowLogs", std::move(input));
  if (!answer) co_return answer;
  json::object out{{"ResourceId", text(first(*answer, "flowLogSet"), "resourceId")}};
  co_return out;
}

Task<Properties> load_balancer(aws::Client& client, LiveResource resource) {
  json::object input{{"LoadBalancerArns", json::array{json::value(resource.physical)}}};
  Properties answer = co_await client.call("elasticloadbalancing", "DescribeLoadBalancers", std::move(input));
  if (!answer) co_return answer;
  json::object one{{"LoadBalancerArn", resource.physical}};
  Properties attributes =
      co_await client.call("elasticloadbalancing", "DescribeLoadBalancerAttributes", std::move(one));
  if (!attributes) co_return attributes;
  json::object out = first(*answer, "LoadBalancers");
  out["LoadBalancerAttributes"] = aws::array(*attributes, "Attributes");
  co_return out;
}

Task<Properties> listener(aws::Client& client, LiveResource resource) {
  json::object input{{"ListenerArns", json::array{json::value(resource.physical)}}};
  Properties answer = co_await client.call("elasticloadbalancing", "DescribeListeners", std::move(input));
  if (!answer) co_return answer;
  co_return first(*answer, "Listeners");
}

Task<Properties> target_group(aws::Client& client, LiveResource resource) {
  json::object input{{"TargetGroupArns", json::array{json::value(resource.physical)}}};
  Properties answer = co_await client.call("elasticloadbalancing", "DescribeTargetGroups", std::move(input));
  if (!answer) co_return answer;
  co_return first(*answer, "TargetGroups");
}

constexpr TypeReader all_network_readers[] = {
    {"AWS::EC2::SecurityGroup", security_group},
    {"AWS::EC2::Subnet", subnet},
    {"AWS::EC2::RouteTable", route_table},
    {"AWS::EC2::FlowLog", flow_log},
    {"AWS::ElasticLoadBalancingV2::LoadBalancer", load_balancer},
    {"AWS::ElasticLoadBalancingV2::Listener", listener},
    {"AWS::ElasticLoadBalancingV2::TargetGroup", target_group},
};

}  // namespace

std::vector<const json::object*> objects(const json::object& parent, std::string_view name) {
  std::vector<const json::object*> out;
  for (const json::value& one : aws::array(parent, name)) {
    if (one.is_object()) out.push_back(&one.get_object());
  }
  return out;
}

const json::object& first(const json::object& answer, std::string_view name) {
  static const json::object none;
  for (const json::value& one : aws::array(answer, name)) {
    if (one.is_object()) return one.get_object();
  }
  return none;
}

std::span<const TypeReader> network_readers() { return all_network_readers; }

}  // namespace berth::deploy
