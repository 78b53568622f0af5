#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace berth::aws {

enum class Protocol : std::uint8_t { query, ec2, json, rest };

/// Where a service has its endpoints.
enum class Reach : std::uint8_t { region, partition };

/// How one service is spoken to.
struct Service {
  std::string_view name;            ///< ours: "ecs"; also the signing name
  Protocol protocol;                ///< rest: no call(), only rest()
  std::string_view version;         ///< query and EC2: the API's version; JSON: the target prefix
  std::string_view variable;        ///< AWS_ENDPOINT_URL_<variable>: the SDKs' service id
  std::string_view host = {};       ///< the first words of the host name; empty: the name
  std::string_view dual_host = {};  ///< the same where IPv6 is wanted; empty: like `host`
  Reach reach = Reach::region;
  bool has_fips_in_gov = true;  ///< whether GovCloud has other names for FIPS, or its only ones are that
};

/// nullptr for a service that Berth does not know.
const Service* find_service(std::string_view name);

/// Where a service is spoken to.
struct ServiceEndpoint {
  std::string url;             ///< "https://ecs.us-east-1.amazonaws.com", without a slash at the end
  std::string signing_region;  ///< mostly the client's
  bool is_given = false;       ///< by the environment rather than by AWS's naming
};

/// AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL (unless AWS_IGNORE_CONFIGURED_ENDPOINT_URLS), or the
/// service's own in the region's partition: by AWS_USE_FIPS_ENDPOINT the one with validated cryptography,
/// by AWS_USE_DUALSTACK_ENDPOINT the one that has IPv6 too.
ServiceEndpoint find_endpoint(const Service& service, const std::string& region,
                              const std::map<std::string, std::string>& environment);

}  // namespace berth::aws
