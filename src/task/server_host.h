#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/reason.h"
#include "mcp/core.h"
#include "model/spec.h"

namespace berth::task {

/// Whether the server behind a host answers; /readyz is made of this.
struct HostHealth {
  bool ready = false;
  Reason reason;  ///< when not ready: with the server's last words if it has any
  /// When not ready: that it cannot be started or reached at all (no such command; a connection or
  /// credentials that are refused), so that nobody needs to wait for its start. It is tried again anyway.
  bool refused = false;
  std::string not_separated;  ///< what of the separation of its processes this machine refused; a sentence
  bool rests = false;         ///< `isolation: service`: another task has the one process
  std::size_t processes = 0;
  std::uint64_t restarts = 0;   ///< processes (of a url, contacts) that ended without being told to
  std::uint64_t oom_kills = 0;  ///< those of them that the kernel ended for want of memory
};

/// What a server of the session era asks of its client outside every call.
struct OutsideQuestion {
  mcp::InputRequest request;
  std::function<bool(const mcp::Caller&)> is_for;  ///< whether the process that asks serves the caller
  /// Called once, with the client's result or an object {"error": {"code", "message"}}.
  std::function<void(std::string_view response)> answer;
};
/// The answer where there is no client to ask, or no telling which.
inline constexpr std::string_view nobody_to_ask =
    R"({"error":{"code":-32603,"message":"There is no one client that can be asked outside a call."}})";

/// Receives changes a hosted server announces (and fans them out to listeners here and on other tasks), and
/// what it asks outside every call.
class ChangeSink {
 public:
  virtual ~ChangeSink() = default;
  virtual void on_change(const mcp::Change& change) = 0;
  virtual void on_question(OutsideQuestion question) { question.answer(nobody_to_ask); }
};

/// An MCP server behind one interface: stdio children, an HTTP upstream, or a native C++ server.
/// One event loop; `start` never blocks.
class ServerHost {
 public:
  virtual ~ServerHost() = default;

  /// Capabilities, name and instructions for callers like this one. Starts the server when it must; cached.
  virtual Task<Result<mcp::ServerDescription>> describe(const mcp::Caller& caller) = 0;

  /// Hands a request to the server. Requests of the lifecycle (initialize, server/discover, ping,
  /// subscriptions/listen, logging/setLevel, resources/subscribe) never come here: edges answer those.
  /// The observer and the call's views outlive the returned object.
  virtual std::unique_ptr<mcp::ActiveCall> start(const mcp::Call& call, mcp::CallObserver& observer) = 0;

  /// A client notification worth passing on: notifications/roots/list_changed, or one that is none of MCP's.
  virtual void notify(const mcp::Caller& caller, std::string_view method, std::string_view params) = 0;

  /// A client that holds a session wants the server's log messages of that level and above, also those
  /// outside every call.
  virtual void want_level(const mcp::Caller&, mcp::LoggingLevel) {}

  /// Reference-counted interest in a resource of the servers that `caller` would reach.
  virtual void watch_resource(const mcp::Caller& caller, const std::string& uri) = 0;
  virtual void unwatch_resource(const mcp::Caller& caller, const std::string& uri) = 0;
  /// A listener of `principal` in another task watches the resource too: processes here that have served the
  /// principal tell of it from now on; or no more (`watched` false). Not counted.
  virtual void watch_elsewhere(const std::string& /*principal*/, const std::string& /*uri*/,
                               bool /*watched*/) {}
  /// After watch_resource: why the server refuses it. nullopt when it agrees, was asked before, or says
  /// nothing for some seconds. On a refusal the caller takes its interest back.
  virtual Task<std::optional<mcp::RpcError>> watch_refusal(const mcp::Caller&, std::string) {
    co_return std::nullopt;
  }

  /// A legacy session ended: what belongs to it alone (isolation: session, parked calls) goes away.
  virtual void session_closed(const std::string& session) = 0;

  /// Whether the process (of a url, the session with the upstream) of that number, which an Outcome named,
  /// still has what it had then.
  virtual bool runs(std::uint64_t) const { return true; }

  /// Of `isolation: service`, whose host begins at rest: starts the one process, or ends it and returns when
  /// it has gone. Calls under way are cut.
  virtual void wake() {}
  virtual Task<void> rest() { co_return; }

  virtual HostHealth health() const = 0;

  /// Stops taking calls and lets those under way finish until `deadline`; then ends the server (close stdin,
  /// SIGTERM, SIGKILL) and joins everything. Returns how many calls were cut.
  virtual Task<std::size_t> drain(TimePoint deadline) = 0;
};

}  // namespace berth::task
