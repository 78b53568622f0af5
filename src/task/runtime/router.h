#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "http/service.h"
#include "monitoring/emf.h"
#include "monitoring/metrics.h"
#include "monitoring/trace.h"
#include "task/endpoint.h"
#include "task/runtime/authenticator.h"
#include "task/runtime/host_guard.h"
#include "task/runtime/readiness.h"
#include "task/runtime/wrong_keys.h"
#include "task/server_host.h"

namespace berth::task {

/// One hosted server as the router sees it.
struct ServedServer {
  std::string name;
  Endpoint* endpoint = nullptr;
  const ServerHost* host = nullptr;
  bool remote = false;  ///< a `url`
};

/// Shows a task over HTTP: `/mcp` (when there is one server), `/NAME/mcp` (both also with a slash behind),
/// beside them `/sse` and `/messages` for clients of 2024-11-05, `/healthz`, `/readyz`, `/metrics`.
/// Guards against DNS rebinding, authenticates, counts and writes the access log: one `request` line each, at
/// debug level for answers below 300 (a line costs as much as a tenth of a call) and at info level else.
class Router final : public http::Service {
 public:
  struct Options {
    std::vector<ServedServer> servers;
    model::ListenerSpec listener;
    Authenticator::Keys keys;
    std::string task;                       ///< id, shown by /healthz
    Duration start_patience{};              ///< Readiness::Options::patience
    std::string readiness_file;             ///< Readiness::Options::file
    std::function<bool()> sister_is_whole;  ///< Readiness::Options::sister_is_whole
    bool behind_balancer = false;           ///< all connections come from a load balancer
    std::function<void(monitoring::MetricsWriter&)> more_metrics;
    /// Null: no traces. Spans show of a principal only what `pseudonym` makes of it.
    monitoring::Tracer* tracer = nullptr;
    std::function<std::string(std::string_view principal)> pseudonym;
    monitoring::CallMeter* meter = nullptr;  ///< null: calls are not measured
  };
  Router(Options options, Clock& clock, Log& log);
  ~Router() override;

  Task<void> serve(http::Exchange& exchange) override;

  /// A request that a sister task passed on, having authenticated its caller. Only `/mcp` and `/NAME/mcp`.
  Task<void> serve_forwarded(http::Exchange& exchange, std::string principal);

  /// From now on /readyz answers 503.
  void set_draining() { readiness_.set_draining(); }
  void set_handed_over() { readiness_.set_handed_over(); }
  /// Looks at the servers anew.
  bool ready() { return readiness_.look(); }
  bool is_whole() const { return readiness_.is_whole(); }

 private:
  struct Route;
  class Observed;

  Route* find(std::string_view path);
  Task<void> serve_mcp(http::Exchange& exchange, Route& route, std::optional<std::string> forwarded_for);
  Task<void> serve_page(http::Exchange& exchange);
  /// Foreign pages and callers without a key.
  std::optional<http::Response> refuse_caller(const http::Exchange& exchange);
  std::optional<http::Response> refuse_mcp(const http::Exchange& exchange);
  http::Response refuse_key(const http::Exchange& exchange);
  std::string_view client_address(const http::Exchange& exchange, const net::Endpoint& remote) const;
  http::Response page(const http::Exchange& exchange);
  http::Response readiness(const http::Exchange& exchange);
  http::Response unknown_path(std::string_view path) const;
  http::Response metrics() const;
  void trace(Observed& observed) const;
  std::string request_id(const http::Headers& headers);

  Options options_;
  HostGuard guard_;
  Authenticator authenticator_;
  WrongKeys wrong_keys_;
  Readiness readiness_;
  Clock& clock_;
  Log& log_;
  std::vector<std::unique_ptr<Route>> routes_;
  std::string id_prefix_;
  std::uint64_t next_id_ = 0;
};

}  // namespace berth::task
