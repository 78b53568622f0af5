#include "deploy/existing.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "deploy/trouble.h"
#include "deploy/zones.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// Problems of one list of subnets: of another VPC, two in a zone.
void check_list(const model::AwsNetworkSpec& network, const std::vector<std::string>& ids,
                const std::vector<ExistingSubnet>& subnets, std::vector<std::string>& out) {
  std::map<std::string, std::string> by_zone;
  for (const std::string& id : ids) {
    const auto found = std::ranges::find(subnets, id, &ExistingSubnet::id);
    if (found == subnets.end()) continue;
    if (found->vpc != network.vpc)
      out.push_back(fmt::format("The subnet {} belongs to {}, not to {}.", id, found->vpc, network.vpc));
    const auto [other, first] = by_zone.emplace(found->zone, id);
    if (!first) {
      out.push_back(fmt::format(
          "The subnets {} and {} are both in zone {}; a load balancer and a file system take one a zone.",
          other->second, id, found->zone));
    }
  }
}

Task<Result<std::vector<ExistingSubnet>>> find_subnets(aws::Client& client, model::AwsNetworkSpec network) {
  json::array ids(network.private_subnets.begin(), network.private_subnets.end());
  for (const std::string& id : network.public_subnets) ids.emplace_back(id);
  json::object input{{"SubnetId", std::move(ids)}};
  const auto found = co_await client.list("ec2", "DescribeSubnets", std::move(input), "subnetSet");
  if (!found) co_return Failure(explain_fault(found.error()));
  std::vector<ExistingSubnet> out;
  for (const json::value& item : *found) {
    if (!item.is_object()) continue;
    const json::object& subnet = item.get_object();
    out.push_back({.id = aws::text(subnet, "subnetId"),
                   .vpc = aws::text(subnet, "vpcId"),
                   .zone = aws::text(subnet, "availabilityZone"),
                   .zone_id = aws::text(subnet, "availabilityZoneId")});
  }
  co_return out;
}

Task<Result<bool>> has_gateway(aws::Client& client, std::string vpc) {
  json::object filter{{"Name", "attachment.vpc-id"}, {"Value", json::array{json::value(vpc)}}};
  json::object input{{"Filter", json::array{json::value(std::move(filter))}}};
  const auto found =
      co_await client.list("ec2", "DescribeInternetGateways", std::move(input), "internetGatewaySet");
  if (!found) co_return Failure(explain_fault(found.error()));
  co_return !found->empty();
}

Task<Result<ExistingZone>> find_zone(aws::Client& client, std::string id) {
  aws::Client::RestRequest request;
  request.service = "route53";
  request.operation = "GetHostedZone";
  request.path = "/2013-04-01/hostedzone/" + id;
  const auto reply = co_await client.rest(std::move(request));
  if (!reply) co_return Failure(explain_fault(reply.error()));
  const Result<json::object> answer = aws::xml_to_json(reply->body);
  if (!answer) co_return Failure(answer.error());
  const json::object& zone = aws::object(*answer, "HostedZone");
  ExistingZone out{.name = aws::text(zone, "Name"),
                   .is_private = aws::text(aws::object(zone, "Config"), "PrivateZone") == "true"};
  while (out.name.ends_with('.')) out.name.pop_back();
  co_return out;
}

}  // namespace

std::vector<std::string> network_problems(const model::AwsSpec& aws,
                                          const std::vector<ExistingSubnet>& subnets, bool has_gateway) {
  const model::AwsNetworkSpec& network = aws.network;
  std::vector<std::string> out;
  check_list(network, network.private_subnets, subnets, out);
  check_list(network, network.public_subnets, subnets, out);
  for (const ExistingSubnet& subnet : subnets) {
    if (runs_tasks({.name = subnet.zone, .id = subnet.zone_id})) continue;
    out.push_back(fmt::format(
        "The subnet {} is in zone {} ({}), in which AWS has no Fargate or no way in for CloudFront; "
        "name one of another zone.",
        subnet.id, subnet.zone, subnet.zone_id));
  }
  if (aws.domain.empty() && !has_gateway) {
    out.push_back(
        fmt::format("{} has no internet gateway. CloudFront wants one attached, though it sends nothing "
                    "through it: attach "
                    "one, or give the service a domain (aws.domain).",
                    network.vpc));
  }
  return out;
}

std::string zone_problem(const model::AwsSpec& aws, const ExistingZone& zone) {
  const bool inside = aws.domain == zone.name || aws.domain.ends_with("." + zone.name);
  if (!inside) {
    return fmt::format("aws.hosted_zone {} is that of {}, which {} does not belong to.", aws.hosted_zone,
                       zone.name, aws.domain);
  }
  if (zone.is_private && aws.certificate.empty()) {
    return fmt::format(
        "aws.hosted_zone {} is a private zone, in which ACM cannot validate a certificate: the stack would "
        "wait "
        "for it for hours. Give a certificate that is issued already (aws.certificate).",
        aws.hosted_zone);
  }
  return {};
}

Task<Result<void>> check_existing(aws::Client& client, model::AwsSpec spec) {
  std::vector<std::string> problems;
  if (!spec.network.vpc.empty()) {
    const Result<std::vector<ExistingSubnet>> subnets = co_await find_subnets(client, spec.network);
    if (!subnets) co_return Failure(subnets.error());
    const Result<bool> gateway = co_await has_gateway(client, spec.network.vpc);
    if (!gateway) co_return Failure(gateway.error());
    problems = network_problems(spec, *subnets, *gateway);
  }
  if (!spec.hosted_zone.empty()) {
    const Result<ExistingZone> zone = co_await find_zone(client, spec.hosted_zone);
    if (!zone) co_return Failure(zone.error());
    std::string problem = zone_problem(spec, *zone);
    if (!problem.empty()) problems.push_back(std::move(problem));
  }
  if (problems.empty()) co_return Result<void>();
  co_return fail(ErrorCode::invalid_argument, fmt::format("{}", fmt::join(problems, "\n")));
}

}  // namespace berth::deploy
