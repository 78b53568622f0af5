#pragma once

#include <string>

#include "cli/service_access.h"
#include "cluster/service.h"

namespace berth::cli {

/// What somebody reads when a service has come up: URLs, trust, the line that connects a client, what to try
/// next. Pure.
std::string welcome(const cluster::ServiceStatus& status, const std::vector<model::KeySpec>& keys,
                    const std::string& ca_file, std::string_view example_call, bool colour);

}  // namespace berth::cli
