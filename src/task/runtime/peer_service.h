#pragma once

#include "http/service.h"
#include "task/identity.h"
#include "task/runtime/fleet.h"
#include "task/runtime/fleet_bus.h"
#include "task/runtime/fleet_homes.h"
#include "task/runtime/router.h"

namespace berth::task {

/// What sister tasks may ask of this one, on a listener that only they can reach (mutual TLS): POST
/// /peer/hello, /peer/changes, /peer/interest (FleetInterest), /peer/home and /peer/homes (FleetHomes), and
/// requests of MCP clients whose state lives here (`/mcp`, `/NAME/mcp`) with the caller's principal in
/// Berth-Principal. A forwarded request for another life of this task (Berth-Generation), or for state that
/// is not here, answers 404 with Berth-Owner-Gone, which says which of the two it is.
class PeerService final : public http::Service {
 public:
  /// What is given outlives the service.
  PeerService(const TaskIdentity& identity, Router& router, Fleet& fleet, FleetBus& bus, FleetHomes& homes)
      : identity_(identity), router_(router), fleet_(fleet), bus_(bus), homes_(homes) {}

  Task<void> serve(http::Exchange& exchange) override;

 private:
  Task<void> serve_message(http::Exchange& exchange);
  http::Response answer_message(std::string_view path, std::string_view body);
  Task<void> serve_forwarded(http::Exchange& exchange);

  const TaskIdentity& identity_;
  Router& router_;
  Fleet& fleet_;
  FleetBus& bus_;
  FleetHomes& homes_;
};

}  // namespace berth::task
