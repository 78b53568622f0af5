#include "aws/services.h"

#include <algorithm>
#include <array>

namespace berth::aws {

namespace {

constexpr std::string_view regional = "";

constexpr std::array services{
    Service{"cloudformation", Protocol::query, "2010-05-15", "CLOUDFORMATION", "", regional},
    Service{"ec2", Protocol::ec2, "2016-11-15", "EC2", "", regional},
    Service{"elasticloadbalancing", Protocol::query, "2015-12-01", "ELASTIC_LOAD_BALANCING_V2", "", regional},
    Service{"sts", Protocol::query, "2011-06-15", "STS", "", regional},
    Service{"iam", Protocol::query, "2010-05-08", "IAM", "iam.{suffix}", "us-east-1"},
    Service{"monitoring", Protocol::query, "2010-08-01", "CLOUDWATCH", "", regional},
    Service{"sns", Protocol::query, "2010-03-31", "SNS", "", regional},
    Service{"ecs", Protocol::json, "AmazonEC2ContainerServiceV20141113", "ECS", "", regional},
    Service{"ecr", Protocol::json, "AmazonEC2ContainerRegistry_V20150921", "ECR", "api.ecr.{region}.{suffix}",
            regional},
    Service{"logs", Protocol::json, "Logs_20140328", "CLOUDWATCH_LOGS", "", regional},
    Service{"secretsmanager", Protocol::json, "secretsmanager", "SECRETS_MANAGER", "", regional},
    Service{"application-autoscaling", Protocol::json, "AnyScaleFrontendService", "APPLICATION_AUTO_SCALING",
            "", regional},
    Service{"acm", Protocol::json, "CertificateManager", "ACM", "", regional},
    Service{"events", Protocol::json, "AWSEvents", "EVENTBRIDGE", "", regional},
    Service{"servicequotas", Protocol::json, "ServiceQuotasV20190624", "SERVICE_QUOTAS", "", regional},
    Service{"s3", Protocol::rest, "", "S3", "", regional},
    Service{"xray", Protocol::rest, "", "XRAY", "", regional},
    Service{"elasticfilesystem", Protocol::rest, "", "EFS", "", regional},
    Service{"route53", Protocol::rest, "", "ROUTE_53", "route53.{suffix}", "us-east-1"},
    Service{"cloudfront", Protocol::rest, "", "CLOUDFRONT", "cloudfront.{suffix}", "us-east-1"},
};

std::string fill(std::string_view pattern, std::string_view name, std::string_view value) {
  std::string out(pattern);
  const std::size_t at = out.find(name);
  if (at != std::string::npos) out.replace(at, name.size(), value);
  return out;
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

/// The one endpoint of a global service outside the standard partition.
ServiceEndpoint partition_endpoint(const Service& service, std::string_view region) {
  if (region.starts_with("cn-")) {
    // Route 53 and CloudFront of China live in Ningxia, IAM in Beijing.
    const std::string home = service.name == "iam" ? "cn-north-1" : "cn-northwest-1";
    const std::string host = service.name == "route53"
                                 ? std::string("route53.amazonaws.com.cn")
                                 : std::string(service.name) + "." + home + ".amazonaws.com.cn";
    return {"https://" + host, home, false};
  }
  return {"https://" + std::string(service.name) + ".us-gov.amazonaws.com", "us-gov-west-1", false};
}

}  // namespace

const Service* find_service(std::string_view name) {
  const auto* const at = std::ranges::find(services, name, &Service::name);
  return at == services.end() ? nullptr : at;
}

std::string_view domain_suffix(std::string_view region) {
  return region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
}

ServiceEndpoint find_endpoint(const Service& service, const std::string& region,
                              const std::map<std::string, std::string>& environment) {
  const std::string home = service.global_region.empty() ? region : std::string(service.global_region);
  for (const std::string& name :
       {"AWS_ENDPOINT_URL_" + std::string(service.variable), std::string("AWS_ENDPOINT_URL")}) {
    const auto given = environment.find(name);
    if (given != environment.end() && !given->second.empty()) {
      return {without_slash(given->second), home, true};
    }
  }
  const bool is_other_partition = region.starts_with("cn-") || region.starts_with("us-gov-");
  if (!service.global_region.empty() && is_other_partition) return partition_endpoint(service, region);
  const std::string_view pattern = service.host.empty() ? "{name}.{region}.{suffix}" : service.host;
  const std::string named = fill(fill(pattern, "{name}", service.name), "{region}", region);
  return {"https://" + fill(named, "{suffix}", domain_suffix(region)), home, false};
}

}  // namespace berth::aws
