#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "base/memory_account.h"
#include "http/service.h"
#include "mcp/sealed_handle.h"
#include "model/spec.h"
#include "monitoring/metrics.h"
#include "monitoring/trace.h"
#include "task/homes.h"
#include "task/identity.h"
#include "task/peers.h"
#include "task/server_host.h"
#include "task/session_records.h"

namespace berth::task {

/// The field by which clients of one principal may tell themselves apart: each has a home of its own.
inline constexpr std::string_view client_header = "Berth-Client";

/// What the router established about a request before the MCP endpoint sees it.
struct RequestContext {
  std::string principal = "anonymous";
  std::string client;      ///< what its clients are told apart by (client_header); empty: nothing
  bool forwarded = false;  ///< came from a sister over mutual TLS: serve it here, never forward again
  /// Forwarded to its caller's home, or being so, and not for a handle.
  bool to_home = false;
  /// Forwarded to who is to take a session over: the generation that had it and was found lost. 0: not so.
  std::uint64_t lost_life = 0;
  /// It was sent to another task before, which was lost and may have run it.
  bool is_repeated = false;
  /// Of a forwarded request whose state is not here: set instead of an answer, so that the sister looks on.
  bool* disowned = nullptr;
  std::string request_id;  ///< for logs
  /// Where the endpoint notes the JSON-RPC method for the access log, before it answers; null: not wanted.
  std::string* mcp_method = nullptr;
  /// The trace of this request, to be told what it is about and to be passed on; null: not traced.
  monitoring::RequestTrace* trace = nullptr;
};

/// The MCP endpoint of one server (`/mcp`, `/NAME/mcp`): Streamable HTTP for every client era on one URL.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual Task<void> serve(http::Exchange& exchange, RequestContext context) = 0;
  /// Ends streams the way each era wants (listen result, SSE close), refuses new sessions and lets calls
  /// finish; at `deadline` cuts the rest. Returns how many calls were cut.
  virtual Task<std::size_t> drain(TimePoint deadline) = 0;
  /// What the server asks outside every call; it is answered once.
  virtual void ask(OutsideQuestion question) { question.answer(nobody_to_ask); }
  /// Of `isolation: service`: sees to it that some task has the one process, see edge/sole_home.h.
  virtual Task<void> settle() { co_return; }
  virtual void write_metrics(monitoring::MetricsWriter& writer) const = 0;
  /// MCP calls under way; streams that only listen are none.
  virtual std::size_t calls() const = 0;
  /// Callers whose state in the server is in this task.
  virtual HomeLoad homes() const { return {}; }
  /// Callers that were told that what the server kept for them was lost.
  virtual std::uint64_t states_lost() const { return 0; }
};

/// The world an endpoint lives in; everything outlives it.
struct EndpointWorld {
  std::string server;  ///< name in berth.yaml
  ServerHost& host;
  const model::LimitsSpec& limits;
  const model::ServerSpec& spec;
  const TaskIdentity& identity;
  const mcp::HandleSealer& sealer;
  PeerForwarder& peers;
  Homes& homes;
  SessionRecords& records;
  ChangeBus& bus;
  MemoryAccount& memory;
  Clock& clock;
  Log& log;
};

std::unique_ptr<Endpoint> make_endpoint(EndpointWorld world);

}  // namespace berth::task
