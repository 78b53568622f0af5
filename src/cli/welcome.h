#pragma once

#include <string>

#include "cli/service_access.h"
#include "cluster/service.h"

namespace berth::cli {

/// What the advice depends on besides the service.
struct WelcomeHints {
  std::string ca_file;       ///< what clients must trust for https; empty: nothing
  std::string example_call;  ///< a call that works; empty: none is known
  std::string file_words;    ///< " --file FILE" where verbs typed here would not find the service without
};

/// What somebody reads when a service has come up: URLs, trust, the line that connects a client, what to try
/// next. Pure.
std::string welcome(const cluster::ServiceStatus& status, const std::vector<model::KeySpec>& keys,
                    const WelcomeHints& hints, bool colour);

}  // namespace berth::cli
