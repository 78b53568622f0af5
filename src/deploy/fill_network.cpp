#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "deploy/fillings.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::string_view everywhere = "0.0.0.0/0";
// Of the block of the VPC, the first sixteenth holds up to eight public subnets, and each private one is
// another sixteenth: with /16 that is /23 and /20, with /20 it is /27 (the least that a load balancer takes)
// and /24.
constexpr unsigned public_bits = 7, private_bits = 4;

json::object rule(const std::string& description, int port) {
  return {{"Description", description}, {"IpProtocol", "tcp"}, {"FromPort", port}, {"ToPort", port}};
}

json::array load_balancer_ingress(const model::AwsSpec& aws) {
  json::array out;
  if (aws.domain.empty()) {
    json::object entry = rule("from CloudFront", 80);
    entry["SourcePrefixListId"] = reference("CloudFrontPrefixList");
    out.push_back(std::move(entry));
    return out;
  }
  for (const std::string& block : aws.allow) {
    for (int port : {443, 80}) {
      json::object entry = rule(port == 443 ? "callers" : "callers, to be redirected to HTTPS", port);
      entry["CidrIp"] = block;
      out.push_back(std::move(entry));
    }
  }
  return out;
}

/// The port of a server's URL.
int port_of(const std::string& url) {
  std::size_t begin = url.find("://");
  begin = begin == std::string::npos ? 0 : begin + 3;
  std::string authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  std::size_t colon = authority.rfind(':');
  bool given = colon != std::string::npos && colon + 1 < authority.size() &&
               authority.find_first_not_of("0123456789", colon + 1) == std::string::npos &&
               authority.size() - colon <= 6;
  if (given) return std::stoi(authority.substr(colon + 1));
  return url.starts_with("http://") ? 80 : 443;
}

json::array task_egress(const model::Spec& spec) {
  std::set<int> ports{443};
  for (const std::string& port : spec.aws.network.egress_ports) ports.insert(std::stoi(port));
  for (const model::ServerSpec& server : spec.servers) {
    if (server.kind == model::ServerSpec::Kind::url) ports.insert(port_of(std::string(server.url.reveal())));
  }
  json::array out;
  for (int port : ports) {
    json::object entry = rule(port == 443 ? "AWS APIs and other HTTPS" : "what the servers call", port);
    entry["CidrIp"] = everywhere;
    out.push_back(std::move(entry));
  }
  return out;
}

json::array refs(const std::string& prefix, std::size_t count) {
  json::array out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(reference(prefix + zone_letter(i)));
  return out;
}

/// Services that a task needs while it starts and runs.
std::vector<Turn> endpoints(const model::AwsSpec& aws) {
  std::vector<std::pair<std::string, std::string>> services{
      {"EcrApi", "ecr.api"}, {"EcrImages", "ecr.dkr"}, {"Logs", "logs"}, {"Secrets", "secretsmanager"}};
  if (aws.traces) services.emplace_back("Traces", "xray");
  if (aws.exec) services.emplace_back("Exec", "ssmmessages");
  std::vector<Turn> out;
  for (const auto& [id, service] : services)
    out.push_back({{{"{endpoint}", id}, {"{service}", service}}, {}});
  return out;
}

void fill_zones(const model::Spec& spec, std::size_t zones, std::size_t public_zones, Fillings& fillings) {
  const model::AwsNetworkSpec& network = spec.aws.network;
  bool own = network.vpc.empty();
  auto turn = [](std::size_t i) { return Turn{{{"{zone}", zone_letter(i)}}, {}}; };
  for (std::size_t i = 0; i < zones; ++i) {
    Turn next = turn(i);
    if (own) {
      next.fillings["zone_letter"] = spec.tasks.zones[i];
      next.fillings["private_cidr"] = subnet_of(network.cidr, private_bits, static_cast<unsigned>(i + 1));
    } else {
      next.fillings["private_subnet"] = network.private_subnets[i];
    }
    fillings.repetitions["zone"].push_back(std::move(next));
  }
  fillings.repetitions["public_zone"];
  for (std::size_t i = 0; i < public_zones; ++i) {
    Turn next = turn(i);
    if (own)
      next.fillings["public_cidr"] = subnet_of(network.cidr, public_bits, static_cast<unsigned>(i));
    else
      next.fillings["public_subnet"] = network.public_subnets[i];
    fillings.repetitions["public_zone"].push_back(std::move(next));
  }
}

}  // namespace

void fill_network(const model::Spec& spec, Fillings& fillings) {
  const model::AwsSpec& aws = spec.aws;
  const model::AwsNetworkSpec& network = aws.network;
  auto& values = fillings.values;
  bool own = network.vpc.empty();
  bool everybody = !aws.domain.empty() && std::ranges::find(aws.allow, everywhere) != aws.allow.end();
  std::size_t zones = zone_count(spec);
  std::size_t public_zones = own ? zones : network.public_subnets.size();

  fill_zones(spec, zones, public_zones, fillings);
  fillings.repetitions["endpoint"] = endpoints(aws);
  fillings.conditions["flow_logs"] = own && network.flow_logs;
  values["vpc"] = text_or_nothing(network.vpc);
  values["vpc_cidr"] = network.cidr;
  values["private_subnets"] = refs("PrivateSubnet", zones);
  values["private_route_tables"] = refs("PrivateRouteTable", zones);
  // A load balancer without public addresses stands beside the tasks, if it has no subnets of its own.
  bool faces_internet = !aws.domain.empty() && !aws.internal;
  bool in_public = faces_internet || (!own && public_zones > 0);
  values["load_balancer_subnets"] =
      in_public ? refs("PublicSubnet", public_zones) : refs("PrivateSubnet", zones);
  values["load_balancer_ingress"] = load_balancer_ingress(aws);
  values["task_egress"] = task_egress(spec);
  values["open_ingress_reason"] =
      everybody ? json::value{{"cdk_nag",
                               {{"rules_to_suppress",
                                 json::array{{{"id", "AwsSolutions-EC23"},
                                              {"reason",
                                               "Callers come from anywhere and show a key; aws.allow "
                                               "narrows where from."}}}}}}}
                : json::value();

  json::array needs{"LogsBucketPolicy"};
  json::array origin_needs{"Listener"};
  if (own) {
    needs.push_back("InternetGatewayAttachment");
    origin_needs.push_back("InternetGatewayAttachment");
  }
  values["load_balancer_needs"] = std::move(needs);
  values["vpc_origin_needs"] = std::move(origin_needs);

  // ECS starts tasks at once: everything that they reach while they start has to be there before.
  json::array service_needs{"ClusterCapacity",       "McpRule",      "LoadBalancerToTasks",
                            "TasksFromLoadBalancer", "TasksToTasks", "TasksToFileSystem"};
  for (std::size_t i = 0; i < zones; ++i)
    service_needs.push_back(json::string("MountTarget" + zone_letter(i)));
  if (own) {
    using Egress = model::AwsNetworkSpec::Egress;
    for (std::size_t i = 0; i < zones; ++i) {
      service_needs.push_back(json::string("PrivateSubnetRoutes" + zone_letter(i)));
      if (network.egress != Egress::endpoints)
        service_needs.push_back(json::string("PrivateRoute" + zone_letter(i)));
    }
    service_needs.push_back("S3Endpoint");
    if (network.egress == Egress::endpoints) {
      for (const Turn& turn : fillings.repetitions["endpoint"])
        service_needs.push_back(json::string("Endpoint" + turn.words.at("{endpoint}")));
    }
  }
  values["service_needs"] = std::move(service_needs);
}

}  // namespace berth::deploy
