#pragma once

#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "net/network.h"

namespace berth::cluster {

/// Asks a server of the task at `task` for its tools, as a modern client would. Whatever the server itself
/// says is an answer, also an error; an error here says what Berth says in its place: that it does not
/// answer, and why.
Task<Result<void>> ask_for_tools(net::Network& network, net::Endpoint task, std::string server, Secret key,
                                 TimePoint deadline);

}  // namespace berth::cluster
