#include "aws/services.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace berth::aws {

namespace {

using enum Protocol;

constexpr std::array services{
    Service{.name = "cloudformation",
            .protocol = query,
            .version = "2010-05-15",
            .variable = "CLOUDFORMATION",
            .has_fips_in_gov = false},
    Service{
        .name = "ec2", .protocol = ec2, .version = "2016-11-15", .variable = "EC2", .has_fips_in_gov = false},
    Service{.name = "elasticloadbalancing",
            .protocol = query,
            .version = "2015-12-01",
            .variable = "ELASTIC_LOAD_BALANCING_V2",
            .has_fips_in_gov = false},
    Service{.name = "sts",
            .protocol = query,
            .version = "2011-06-15",
            .variable = "STS",
            .has_fips_in_gov = false},
    Service{.name = "iam",
            .protocol = query,
            .version = "2010-05-08",
            .variable = "IAM",
            .reach = Reach::partition,
            .has_fips_in_gov = false},
    Service{.name = "monitoring",
            .protocol = query,
            .version = "2010-08-01",
            .variable = "CLOUDWATCH",
            .has_fips_in_gov = false},
    Service{.name = "sns",
            .protocol = query,
            .version = "2010-03-31",
            .variable = "SNS",
            .has_fips_in_gov = false},
    Service{
        .name = "ecs", .protocol = json, .version = "AmazonEC2ContainerServiceV20141113", .variable = "ECS"},
    Service{.name = "ecr",
            .protocol = json,
            .version = "AmazonEC2ContainerRegistry_V20150921",
            .variable = "ECR",
            .host = "api.ecr",
            .dual_host = "ecr"},
    Service{.name = "logs",
            .protocol = json,
            .version = "Logs_20140328",
            .variable = "CLOUDWATCH_LOGS",
            .has_fips_in_gov = false},
    Service{.name = "secretsmanager",
            .protocol = json,
            .version = "secretsmanager",
            .variable = "SECRETS_MANAGER"},
    Service{.name = "application-autoscaling",
            .protocol = json,
            .version = "AnyScaleFrontendService",
            .variable = "APPLICATION_AUTO_SCALING",
            .has_fips_in_gov = false},
    Service{.name = "events",
            .protocol = json,
            .version = "AWSEvents",
            .variable = "EVENTBRIDGE",
            .has_fips_in_gov = false},
    Service{.name = "s3", .protocol = rest, .version = "", .variable = "S3"},
    Service{.name = "xray", .protocol = rest, .version = "", .variable = "XRAY"},
    Service{.name = "route53",
            .protocol = rest,
            .version = "",
            .variable = "ROUTE_53",
            .reach = Reach::partition,
            .has_fips_in_gov = false},
    Service{
        .name = "elasticfilesystem", .protocol = rest, .version = "", .variable = "EFS", .dual_host = "efs"},
    // What people sign in with; asked without a signature.
    Service{
        .name = "portal.sso", .protocol = rest, .version = "", .variable = "SSO", .has_fips_in_gov = false},
    Service{
        .name = "oidc", .protocol = rest, .version = "", .variable = "SSO_OIDC", .has_fips_in_gov = false},
};

/// A part of AWS with accounts and names of its own.
struct Partition {
  std::string_view prefix;  ///< of its regions
  std::string_view suffix;
  std::string_view dual_suffix;
  std::string_view home;      ///< where IAM signs
  std::string_view iam_host;  ///< between "iam." and the suffix
  std::string_view dns_home;  ///< where Route 53 signs
  std::string_view dns_host;  ///< between "route53." and the suffix
};

constexpr std::array partitions{
    Partition{"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "cn-north-1", "cn-north-1.",
              "cn-northwest-1", ""},
    Partition{"us-gov-", "amazonaws.com", "api.aws", "us-gov-west-1", "us-gov.", "us-gov-west-1", "us-gov."},
    Partition{"eusc-", "amazonaws.eu", "api.amazonwebservices.eu", "eusc-de-east-1", "eusc-de-east-1.",
              "eusc-de-east-1", ""},
    Partition{"us-iso-", "c2s.ic.gov", "api.aws.ic.gov", "us-iso-east-1", "us-iso-east-1.", "us-iso-east-1",
              ""},
    Partition{"us-isob-", "sc2s.sgov.gov", "api.aws.scloud", "us-isob-east-1", "us-isob-east-1.",
              "us-isob-east-1", ""},
    Partition{"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", "eu-isoe-west-1", "eu-isoe-west-1.",
              "eu-isoe-west-1", ""},
    Partition{"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", "us-isof-south-1", "us-isof-south-1.",
              "us-isof-south-1", ""},
    Partition{"", "amazonaws.com", "api.aws", "us-east-1", "", "us-east-1", ""},
};

const Partition& partition_of(std::string_view region) {
  return *std::ranges::find_if(partitions,
                               [region](const Partition& each) { return region.starts_with(each.prefix); });
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

bool is_on(const std::map<std::string, std::string>& environment, const char* name) {
  const auto found = environment.find(name);
  return found != environment.end() && (found->second == "true" || found->second == "True");
}

/// The endpoint that somebody gave; empty when nobody did.
std::string given_url(const Service& service, const std::map<std::string, std::string>& environment) {
  if (is_on(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) return {};
  for (const std::string& name :
       {"AWS_ENDPOINT_URL_" + std::string(service.variable), std::string("AWS_ENDPOINT_URL")}) {
    const auto given = environment.find(name);
    if (given != environment.end() && !given->second.empty()) return without_slash(given->second);
  }
  return {};
}

struct Wishes {
  bool fips = false;
  bool dual = false;
};

bool is_dns(const Service& service) { return service.name == "route53"; }

/// IAM and Route 53: one endpoint a partition.
std::string partition_host(const Service& service, const Partition& partition, Wishes wishes) {
  const bool is_gov = partition.prefix == "us-gov-";
  const std::string_view fips = wishes.fips && !is_gov ? "-fips" : "";
  const std::string_view own = is_dns(service) ? partition.dns_host : partition.iam_host;
  const std::string_view place = wishes.dual && partition.prefix.empty() ? "global." : own;
  return fmt::format("{}{}.{}{}", service.name, fips, place,
                     wishes.dual ? partition.dual_suffix : partition.suffix);
}

std::string region_host(const Service& service, const Partition& partition, const std::string& region,
                        Wishes wishes) {
  std::string first(service.host.empty() ? service.name : service.host);
  // These two have kept their names.
  const bool has_own_dual = service.name == "s3" || service.name == "secretsmanager";
  if (wishes.dual && !service.dual_host.empty()) first = service.dual_host;
  // Both at once are named alike everywhere.
  const bool is_plain_fips = partition.prefix == "us-gov-" && !service.has_fips_in_gov && !wishes.dual;
  if (wishes.fips && !is_plain_fips) first += "-fips";
  if (wishes.dual && service.name == "s3") first += ".dualstack";
  const bool is_dual_suffix = wishes.dual && !has_own_dual;
  return fmt::format("{}.{}.{}", first, region, is_dual_suffix ? partition.dual_suffix : partition.suffix);
}

}  // namespace

const Service* find_service(std::string_view name) {
  const auto* const at = std::ranges::find(services, name, &Service::name);
  return at == services.end() ? nullptr : at;
}

ServiceEndpoint find_endpoint(const Service& service, const std::string& region,
                              const std::map<std::string, std::string>& environment) {
  const Partition& partition = partition_of(region);
  const bool is_global = service.reach == Reach::partition;
  const std::string_view home = is_dns(service) ? partition.dns_home : partition.home;
  const std::string signing_region(is_global ? home : std::string_view(region));
  const std::string given = given_url(service, environment);
  if (!given.empty()) return {given, signing_region, true};
  const Wishes wishes{.fips = is_on(environment, "AWS_USE_FIPS_ENDPOINT"),
                      .dual = is_on(environment, "AWS_USE_DUALSTACK_ENDPOINT")};
  const std::string host = is_global ? partition_host(service, partition, wishes)
                                     : region_host(service, partition, region, wishes);
  return {"https://" + host, signing_region, false};
}

}  // namespace berth::aws
