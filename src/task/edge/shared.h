#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/signal.h"
#include "mcp/modern.h"
#include "mcp/x_mcp_header.h"
#include "monitoring/metrics.h"
#include "task/edge/listed_tools.h"
#include "task/edge/ticker.h"
#include "task/endpoint.h"

namespace berth::task::edge {

/// A silent answer becomes an event stream after this long, so that no idle timeout on the way cuts the call.
inline constexpr Duration silent_answer_max = std::chrono::seconds(10);

/// Why a call that a drain cut has no outcome.
inline constexpr std::string_view cut_sentence = "The call was cut: the service is stopping.";

/// What the endpoint counts; written by write_metrics.
struct Counters {
  std::uint64_t modern_requests = 0;
  std::uint64_t legacy_requests = 0;
  std::uint64_t refused = 0;    ///< answered with an error before reaching the server
  std::uint64_t forwarded = 0;  ///< handed to the task that owns the state
  std::uint64_t disconnected = 0;
  std::uint64_t asked = 0;  ///< input_required outcomes
  std::uint64_t events_sent = 0;
  std::uint64_t states_lost = 0;   ///< callers told that what a server kept for them is gone
  std::size_t calls = 0;           ///< under way now
  std::size_t listen_streams = 0;  ///< open now, GET streams included
  monitoring::Histogram call_seconds;
};

/// What is known of the hosted server without asking it again.
struct ServerFacts {
  std::array<std::optional<mcp::Era>, 2> eras;  ///< see era()
  std::string server_info;                      ///< JSON text; empty while unknown

  /// What the server is spoken to in for callers of that era; nullopt while unknown.
  std::optional<mcp::Era>& era(mcp::Era of_caller) { return eras[static_cast<std::size_t>(of_caller)]; }
  std::optional<mcp::Era> era(mcp::Era of_caller) const { return eras[static_cast<std::size_t>(of_caller)]; }
};

/// What both edges of one endpoint share. Outlives every coroutine of the endpoint.
struct Shared {
  explicit Shared(EndpointWorld the_world);

  EndpointWorld world;
  Counters counters;
  std::map<std::string, std::size_t, std::less<>> streams_of;  ///< open listen and GET streams by principal
  ServerFacts facts;
  ListedTools tools;
  Ticker ticker;
  Signal idle;  ///< notified when the last request has been answered, and when the last call has ended
  bool draining = false;

  /// The server has one process in the whole service.
  bool is_sole() const { return world.spec.isolation == model::Isolation::service; }
  void call_ended() {
    if (--counters.calls == 0) idle.notify();
  }

  /// Asks the host who it is, and remembers it. An error leaves the facts unknown: the call itself will say
  /// what is wrong.
  Task<void> learn(const mcp::Caller& caller);
  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller& caller);
  void note(const mcp::ServerDescription& description, mcp::Era of_caller);

  /// A listener here wants to hear of a resource's updates, or no more (counted): of those that the processes
  /// here tell of, and those in other tasks that serve its principal.
  void watch(const mcp::Caller& caller, const std::string& uri);
  void unwatch(const mcp::Caller& caller, const std::string& uri);

  /// A tools/list result without what clients must not offer (x-mcp-header); the log says once what it was.
  std::string without_illegal_tools(std::string result, mcp::Era spoken);

  mcp::Handle handle(mcp::HandleKind kind, std::string_view principal) const;
  bool is_own(const mcp::Handle& handle) const;
  WallTime wall() const { return world.clock.wall(); }
  TimePoint now() const { return world.clock.now(); }
  std::int64_t wall_s_after(Duration duration) const;

 private:
  bool has_own_process(const mcp::Caller& caller) const;

  std::set<std::string> left_out_;  ///< sentences that were logged
};

/// What a watched URI takes: its session or stream, its host and the child that watches it keep one each.
inline std::size_t watch_bytes(const std::string& uri) { return 3 * (uri.size() + 64); }

/// Counts a gauge up for a scope.
class Gauge {
 public:
  explicit Gauge(std::size_t& value) : value_(value) { ++value_; }
  ~Gauge() { --value_; }
  Gauge(const Gauge&) = delete;
  Gauge& operator=(const Gauge&) = delete;

 private:
  std::size_t& value_;
};

}  // namespace berth::task::edge
