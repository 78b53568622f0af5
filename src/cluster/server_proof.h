#pragma once

#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "net/network.h"

namespace berth::cluster {

/// Asks a server of the task at `task` for its tools, as a modern client would. What only a server itself
/// says is an answer, also an error. unavailable: the task refuses. internal: an internal error, which Berth
/// says in place of a server that does not run, and some servers of their own.
Task<Result<void>> ask_for_tools(net::Network& network, net::Endpoint task, std::string server, Secret key,
                                 TimePoint deadline);

}  // namespace berth::cluster
