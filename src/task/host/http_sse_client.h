#pragma once

#include <memory>

#include "http/client.h"
#include "http/url.h"
#include "task/host/upstream.h"

namespace berth::task::host {

/// An upstream that speaks HTTP+SSE (2024-11-05), as if it spoke Streamable HTTP: a first POST (initialize)
/// opens a stream of the upstream's at `address`, which is a session of the client's from then on, named by
/// Mcp-Session-Id. What comes on it is handed to the request that it answers or belongs to, and everything
/// else to the session's own stream (GET). A session whose stream has ended is unknown (404). Its coroutines
/// are branches of `branches`; everything passed outlives it.
std::shared_ptr<http::Client> make_http_sse_client(std::shared_ptr<http::Client> upstream,
                                                   http::UrlAddress address, Branches& branches, Clock& clock,
                                                   std::size_t message_bytes_max);

}  // namespace berth::task::host
