#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/service.h"
#include "mcp/core.h"
#include "mcp/sealed_handle.h"
#include "task/identity.h"

namespace berth::task {

struct RequestContext;

/// How handing a request to its owner ended.
struct Forwarded {
  enum class End : std::uint8_t {
    answered,       ///< the exchange has its answer, or its client left
    not_delivered,  ///< nobody is there any more: the request was not run, and its state is gone
    another_life,   ///< another generation lives there, without the state: the request was not run
    disowned,       ///< it lives, but does not have the state, or not yet: the request was not run
    slow,           ///< the owner lives, but did not take the request in time: it was not run
    unknown,        ///< it was delivered, and the owner was lost before it answered: it may have run
  };
  End end = End::answered;
  std::string why;  ///< a sentence, for every end but `answered`
};

/// Why a call has no outcome whose task was lost. Clients are told no more: how that task was reached
/// concerns the log.
inline constexpr std::string_view lost_task_sentence = "The task that ran it was lost before it answered.";

/// Hands a request to the task that owns its state and streams that task's answer back.
class PeerForwarder {
 public:
  virtual ~PeerForwarder() = default;

  /// Sends `exchange`'s request with its (already read) `body` to `handle`'s owner over mutual TLS, with
  /// the caller's principal (`context`), and copies the answer to `exchange` part by part. When the client
  /// leaves, the owner sees it leave. A call may be silent for hours; its owner may not: one that gives no
  /// sign of life for a while is lost. An owner that is lost in the middle of an event stream leaves the
  /// client an error (mcp::unknown_end) for each request in `body`.
  virtual Task<Forwarded> forward(const mcp::Handle& handle, http::Exchange& exchange, std::string_view body,
                                  const RequestContext& context) = 0;

  /// The tasks that are known to live, this one apart.
  virtual std::vector<TaskIdentity> sisters() const = 0;
  /// How often a sister was lost from sight. Whenever it has grown, this task may have been lost from theirs.
  virtual std::uint64_t losses() const = 0;
};

/// Fans changes of hosted servers out to listeners on this task and, through the fleet, on every other.
class ChangeBus {
 public:
  virtual ~ChangeBus() = default;

  /// Announces a change of `server`, here and (but for a `message`) to every sister.
  virtual void publish(std::string_view server, const mcp::Change& change) = 0;

  /// Until the returned object dies, `observer` sees each change of `server` that `principal` may see.
  /// Called on the event loop; must not publish.
  virtual std::shared_ptr<void> subscribe(std::string_view server, std::string principal,
                                          std::function<void(const mcp::Change&)> observer) = 0;

  /// Counted: a listener of `principal` here wants to hear of updates of the resource, also of those that
  /// processes in other tasks tell of; or it wants no more.
  virtual void watch(std::string_view server, const std::string& principal, const std::string& uri) = 0;
  virtual void unwatch(std::string_view server, const std::string& principal, const std::string& uri) = 0;
};

/// A bus and forwarder for one task alone: forwarding is always `not_delivered`.
std::unique_ptr<ChangeBus> make_local_change_bus();
std::unique_ptr<PeerForwarder> make_no_peers();

}  // namespace berth::task
