#pragma once

#include <memory>

#include "base/log.h"
#include "model/spec.h"
#include "net/network.h"
#include "task/server_host.h"

namespace berth::task {

/// Hosts the MCP server at `spec.url` (http, or https with the system's certificate authorities) over
/// Streamable HTTP. Asks it which era it speaks (`era: automatic`) and looks every ten seconds whether it
/// still answers. A legacy upstream (2025-03-26 … 2025-11-25) is initialized once for each pool of callers.
/// Everything passed outlives the host; drain() before destroying it.
///
/// A call is sent again only when the upstream has refused it unread: once when it no longer knows the
/// session (404), once when a tool wants arguments mirrored in headers (-32020).
std::unique_ptr<ServerHost> make_url_host(const model::ServerSpec& spec, net::Network& network,
                                          ChangeSink& sink, Clock& clock, Log& log);

}  // namespace berth::task
