#pragma once

#include <string>
#include <vector>

#include "aws/client.h"
#include "model/spec.h"

/// What berth.yaml names and the account has already, looked at before anything is made: a stack would tell
/// of a wrong one after minutes, or (a certificate in a private zone) after hours.
namespace berth::deploy {

/// As EC2's DescribeSubnets tells of it.
struct ExistingSubnet {
  std::string id;
  std::string vpc;
  std::string zone;     ///< "us-east-1a"
  std::string zone_id;  ///< "use1-az6"
};
struct ExistingZone {
  std::string name;  ///< "example.com", without a dot at its end
  bool is_private = false;
};

/// Why the service cannot be made in this network, a sentence each. `has_gateway`: an internet gateway is
/// attached to the VPC.
std::vector<std::string> network_problems(const model::AwsSpec& aws,
                                          const std::vector<ExistingSubnet>& subnets, bool has_gateway);
/// Why the domain cannot be served from this zone; empty if it can.
std::string zone_problem(const model::AwsSpec& aws, const ExistingZone& zone);

/// Asks the account for what `spec` names; nothing if it names nothing. invalid_argument with all problems.
Task<Result<void>> check_existing(aws::Client& client, model::AwsSpec spec);

}  // namespace berth::deploy
