#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "http/service.h"
#include "mcp/core.h"
#include "mcp/sealed_handle.h"

namespace berth::task {

struct RequestContext;

/// Hands a request to the task that owns its state and streams that task's answer back.
class PeerForwarder {
 public:
  virtual ~PeerForwarder() = default;

  /// Sends `exchange`'s request with its (already read) `body` to `handle`'s owner over mutual TLS, with
  /// the caller's principal (`context`), and copies the answer to `exchange` part by part. When the client
  /// leaves, the owner sees it leave. Errors, only while nothing has been answered yet: unavailable (owner
  /// unreachable or gone), not_found (another generation lives there).
  virtual Task<Result<void>> forward(const mcp::Handle& handle, http::Exchange& exchange,
                                     std::string_view body, const RequestContext& context) = 0;
};

/// Fans changes of hosted servers out to listeners on this task and, through the fleet, on every other.
class ChangeBus {
 public:
  virtual ~ChangeBus() = default;

  /// Announces a change of `server`, here and to every sister.
  virtual void publish(std::string_view server, const mcp::Change& change) = 0;

  /// Until the returned object dies, `observer` sees each change of `server` that `principal` may see.
  /// Called on the event loop; must not publish.
  virtual std::shared_ptr<void> subscribe(std::string_view server, std::string principal,
                                          std::function<void(const mcp::Change&)> observer) = 0;
};

/// A bus and forwarder for one task alone: forwarding is always `unavailable`.
std::unique_ptr<ChangeBus> make_local_change_bus();
std::unique_ptr<PeerForwarder> make_no_peers();

}  // namespace berth::task
