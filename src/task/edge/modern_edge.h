#pragma once

#include <string_view>

#include "mcp/modern.h"
#include "task/edge/shared.h"

namespace berth::task::edge {

/// A request as far as the endpoint has read it. Lives in the endpoint's coroutine while an edge answers it.
struct Incoming {
  http::Exchange& exchange;
  const RequestContext& context;
  MemoryAccount::Charge& memory;  ///< of the body; its siblings are of the same principal
  std::string_view body;
  mcp::McpHeaders headers;
  mcp::Message message;
  mcp::RequestParts parts;
};

class AtHome;
class CallRun;
class SseStream;

/// Answers clients of revision 2026-07-28: no sessions, every request on its own.
class ModernEdge {
 public:
  explicit ModernEdge(Shared& shared) : shared_(shared) {}

  Task<void> request(const Incoming& incoming);
  Task<void> notification(const Incoming& incoming);

 private:
  Task<bool> hand_on(const Incoming& incoming);
  Task<void> discover(const Incoming& incoming, const mcp::Caller& caller);
  Task<void> call(const Incoming& incoming, const mcp::Caller& caller, mcp::ModernRequest request);
  Task<void> run(const Incoming& incoming, const mcp::Call& call, const mcp::ModernRequest& request,
                 AtHome& at_home);
  bool may_start_again(const Incoming& incoming, const mcp::Call& call) const;
  Task<bool> relay(CallRun& run, SseStream& stream, const mcp::Call& call, const mcp::ModernRequest& request,
                   double& last_progress);
  /// The retry's state unsealed into `request`, or handed to its owner: then the answer has been given.
  Task<bool> open_state(const Incoming& incoming, mcp::ModernRequest& request);
  Task<bool> check_param_headers(const Incoming& incoming, const mcp::Caller& caller);
  /// The answer's JSON text; `status` receives its HTTP status.
  std::string write_answer(const Incoming& incoming, const mcp::Call& call, mcp::Outcome outcome,
                           int& status);
  std::string write_question(const Incoming& incoming, const mcp::Call& call, mcp::InputRequired input,
                             int& status);
  std::string write_failure(const Incoming& incoming, mcp::RpcError error, int& status);

  Shared& shared_;
};

}  // namespace berth::task::edge
