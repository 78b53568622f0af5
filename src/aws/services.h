#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace berth::aws {

enum class Protocol : std::uint8_t { query, ec2, json, rest };

/// How one service is spoken to.
struct Service {
  std::string_view name;      ///< ours: "ecs"; also the signing name unless `signing_name` says otherwise
  Protocol protocol;          ///< rest: no call(), only rest()
  std::string_view version;   ///< query and EC2: the API's version; JSON: the target prefix
  std::string_view variable;  ///< AWS_ENDPOINT_URL_<variable>: the SDKs' service id
  std::string_view host;      ///< "{region}" and "{suffix}" are filled
  std::string_view global_region;  ///< signing region of a service with one endpoint a partition; or empty
};

/// nullptr for a service that Berth does not know.
const Service* find_service(std::string_view name);

/// Where a service is spoken to.
struct ServiceEndpoint {
  std::string url;             ///< "https://ecs.us-east-1.amazonaws.com", without a slash at the end
  std::string signing_region;  ///< mostly the client's
  bool is_given = false;       ///< by the environment rather than by AWS's naming
};

/// AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, or the service's own in the region's partition (aws, aws-cn,
/// aws-us-gov).
ServiceEndpoint find_endpoint(const Service& service, const std::string& region,
                              const std::map<std::string, std::string>& environment);

/// "amazonaws.com", in China "amazonaws.com.cn".
std::string_view domain_suffix(std::string_view region);

}  // namespace berth::aws
