#include <algorithm>

#include "deploy/audit_checks.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;
using namespace std::string_view_literals;

constexpr std::string_view configuration = "NetworkConfiguration.AwsvpcConfiguration";

std::string path(std::string_view last) { return std::string(configuration) + "." + std::string(last); }

std::set<std::string> groups_of(const Subject& subject, std::string_view type, std::string_view where) {
  std::set<std::string> groups;
  for (const Resource& resource : subject.document.of_type(type))
    groups.merge(references_at(*resource.properties, where));
  return groups;
}

void no_public_address(const Subject& subject, Outcome& outcome) {
  for (const Resource& service : subject.document.of_type("AWS::ECS::Service")) {
    outcome.expect(text_at(*service.properties, path("AssignPublicIp")) != "ENABLED", service.id,
                   "AssignPublicIp is ENABLED.");
  }
}

void private_subnets(const Subject& subject, Outcome& outcome) {
  for (const Resource& service : subject.document.of_type("AWS::ECS::Service")) {
    for (const std::string& subnet : references_at(*service.properties, path("Subnets"))) {
      const Resource* found = subject.document.find(subnet);
      if (found == nullptr || found->type != "AWS::EC2::Subnet") continue;
      outcome.expect(!subject.public_subnets.contains(subnet), service.id,
                     "The subnet " + subnet + " has a route to the internet gateway.");
    }
  }
}

void only_balancer_public(const Subject& subject, Outcome& outcome) {
  for (std::string_view type : {"AWS::EFS::MountTarget"sv, "AWS::EC2::VPCEndpoint"sv}) {
    for (const Resource& resource : subject.document.of_type(type)) {
      for (std::string_view where : {"SubnetId"sv, "SubnetIds"sv}) {
        for (const std::string& subnet : references_at(*resource.properties, where)) {
          outcome.expect(!subject.public_subnets.contains(subnet), resource.id,
                         "It is in the public subnet " + subnet + ".");
        }
      }
    }
  }
}

void no_addresses_by_default(const Subject& subject, Outcome& outcome) {
  for (const Resource& subnet : subject.document.of_type("AWS::EC2::Subnet")) {
    outcome.expect(!true_at(*subnet.properties, "MapPublicIpOnLaunch"), subnet.id,
                   "MapPublicIpOnLaunch is true.");
  }
}

void tasks_from_groups(const Subject& subject, Outcome& outcome) {
  std::set<std::string> groups = groups_of(subject, "AWS::ECS::Service", path("SecurityGroups"));
  for (const GroupRule& rule : group_rules(subject.document)) {
    if (!rule.ingress || !groups.contains(rule.group)) continue;
    outcome.expect(
        rule.cidr.empty() && !rule.prefix_list, rule.resource,
        "Port " + rule.from + " is open to " + (rule.cidr.empty() ? "a prefix list" : rule.cidr) + ".");
  }
}

void balancer_ports(const Subject& subject, Outcome& outcome) {
  std::set<std::string> groups =
      groups_of(subject, "AWS::ElasticLoadBalancingV2::LoadBalancer", "SecurityGroups");
  for (const GroupRule& rule : group_rules(subject.document)) {
    if (!rule.ingress || !groups.contains(rule.group)) continue;
    bool good = rule.protocol != "-1" && (rule.port_is("443") || rule.port_is("80"));
    outcome.expect(good, rule.resource, "Ports " + rule.from + " to " + rule.to + " are open.");
  }
}

void balancer_behind_edge(const Subject& subject, Outcome& outcome) {
  if (subject.document.count("AWS::CloudFront::Distribution") == 0) return;
  for (const Resource& balancer : subject.document.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer")) {
    outcome.expect(text_at(*balancer.properties, "Scheme") == "internal", balancer.id,
                   "The load balancer faces the internet.");
  }
  std::set<std::string> groups =
      groups_of(subject, "AWS::ElasticLoadBalancingV2::LoadBalancer", "SecurityGroups");
  for (const GroupRule& rule : group_rules(subject.document)) {
    if (rule.ingress && groups.contains(rule.group))
      outcome.expect(!rule.from_anywhere(), rule.resource, "It is open to " + rule.cidr + ".");
  }
}

void files_from_tasks(const Subject& subject, Outcome& outcome) {
  std::set<std::string> groups = groups_of(subject, "AWS::EFS::MountTarget", "SecurityGroups");
  for (const GroupRule& rule : group_rules(subject.document)) {
    if (!rule.ingress || !groups.contains(rule.group)) continue;
    outcome.expect(rule.port_is("2049") && !rule.peer.empty(), rule.resource,
                   "Port " + rule.from + " is open to " + (rule.cidr.empty() ? rule.peer : rule.cidr) + ".");
  }
}

void nothing_else_open(const Subject& subject, Outcome& outcome) {
  for (const GroupRule& rule : group_rules(subject.document)) {
    if (!rule.ingress || !rule.from_anywhere()) continue;
    bool web = rule.protocol == "tcp" && (rule.port_is("443") || rule.port_is("80"));
    outcome.expect(web, rule.resource,
                   "Ports " + rule.from + " to " + rule.to + " are open to " + rule.cidr + ".");
  }
  if (subject.document.count("AWS::EC2::SecurityGroup") > 0) outcome.applies();
}

void limited_egress(const Subject& subject, Outcome& outcome) {
  std::set<std::string> with_egress;
  for (const GroupRule& rule : group_rules(subject.document)) {
    if (rule.ingress) continue;
    with_egress.insert(rule.group);
    outcome.expect(rule.protocol != "-1" || !rule.from_anywhere(), rule.resource,
                   "Every port of every address may be reached.");
  }
  for (const Resource& group : subject.document.of_type("AWS::EC2::SecurityGroup")) {
    bool said = group.properties->contains("SecurityGroupEgress") || with_egress.contains(group.id);
    outcome.expect(said, group.id, "Without a rule for it, everything may leave.");
  }
}

void flow_logs(const Subject& subject, Outcome& outcome) {
  for (const Resource& vpc : subject.document.of_type("AWS::EC2::VPC")) {
    bool logged =
        std::ranges::any_of(subject.document.of_type("AWS::EC2::FlowLog"), [&](const Resource& log) {
          const json::value* id = log.properties->if_contains("ResourceId");
          return id != nullptr && referred(*id) == vpc.id;
        });
    outcome.expect(logged, vpc.id, "Nobody keeps which addresses spoke to each other.");
  }
}

void several_zones(const Subject& subject, Outcome& outcome) {
  for (const Resource& service : subject.document.of_type("AWS::ECS::Service")) {
    std::vector<const json::value*> subnets = list_at(*service.properties, path("Subnets"));
    // One value may stand for a list of somebody else's; a subnet of this document is one subnet.
    bool one = subnets.size() == 1 && subject.document.find(referred(*subnets[0])) != nullptr;
    outcome.expect(!subnets.empty() && !one, service.id, "All tasks are in one subnet.");
  }
}

constexpr Check all_network_checks[] = {
    {"tasks-no-public-address", "Tasks have no public address", Gravity::high, no_public_address,
     "Whoever finds the address of a task goes around the load balancer, its logs and its firewall.",
     "berth.yaml never asks for it: deploy again to undo a change made by hand."},
    {"tasks-private-subnets", "Tasks are in private subnets", Gravity::high, private_subnets,
     "In a public subnet one wrong rule of a security group is enough to reach a task from the internet.",
     "aws.network.private_subnets: name subnets without a route to an internet gateway."},
    {"public-subnets-balancer-only", "Only the load balancer and NAT are in public subnets", Gravity::medium,
     only_balancer_public, "Storage and endpoints need no way in from the internet.",
     "aws.network.private_subnets: name subnets without a route to an internet gateway."},
    {"subnets-no-address-by-default", "Subnets give nobody a public address", Gravity::medium,
     no_addresses_by_default, "What is started there by mistake would be on the internet at once.",
     "Deploy again to undo a change made by hand."},
    {"tasks-from-groups", "Tasks are reached from the load balancer and from tasks alone", Gravity::high,
     tasks_from_groups, "A block of addresses also covers machines that have nothing to do with the service.",
     "Deploy again to undo a rule made by hand."},
    {"balancer-ports", "The load balancer listens on 443 and 80 alone", Gravity::medium, balancer_ports,
     "Every further port is one more way in that nobody looks after.",
     "Deploy again to undo a rule made by hand."},
    {"balancer-behind-cloudfront", "The load balancer is reached through CloudFront alone", Gravity::high,
     balancer_behind_edge, "A load balancer beside CloudFront can be called in clear and past its limits.",
     "aws.internal, aws.domain: without a domain the load balancer is internal; deploy again."},
    {"files-from-tasks", "The file system is reached from tasks alone", Gravity::high, files_from_tasks,
     "Whoever reaches port 2049 can try to mount the shared state.",
     "Deploy again to undo a rule made by hand."},
    {"nothing-else-open", "Nothing but HTTP and HTTPS is open to the world", Gravity::high, nothing_else_open,
     "Open ports of machines and databases are found by scanners within minutes.",
     "aws.allow: name the blocks that call; deploy again to undo a rule made by hand."},
    {"egress-limited", "What may leave is limited", Gravity::low, limited_egress,
     "A server that was taken over sends its loot wherever it likes.",
     "aws.network.egress: endpoints lets tasks reach AWS alone."},
    {"flow-logs", "The network keeps flow logs", Gravity::medium, flow_logs,
     "After an incident nobody can say who spoke to whom.", "aws.network.flow_logs: true"},
    {"several-zones", "Tasks run in more than one zone", Gravity::medium, several_zones,
     "When that zone fails, so does the service.", "tasks.zones: [a, b, c]"},
};

}  // namespace

std::span<const Check> network_checks() { return all_network_checks; }

}  // namespace berth::deploy
