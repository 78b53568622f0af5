#pragma once

#include <string>
#include <vector>

#include "base/result.h"

/// Which availability zones the subnets of a service go to. Pure.
namespace berth::deploy {

/// As EC2's DescribeAvailabilityZones tells of it.
struct AwsZone {
  std::string name;  ///< "us-east-1a": in each account another place
  std::string id;    ///< "use1-az6": the same place for everybody
};

/// Whether Fargate and CloudFront's VPC origins work there. A few old zones lack one of them
/// (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AWS_Fargate-Regions.html and
/// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-vpc-origins.html).
bool runs_tasks(const AwsZone& zone);

/// A zone's letter for each of `wanted` (letters, too), in this order: the wanted one where the account has
/// it and tasks run there, else another. not_found when the region has too few for this account.
Result<std::vector<std::string>> choose_zones(const std::vector<AwsZone>& known,
                                              const std::vector<std::string>& wanted);

}  // namespace berth::deploy
