#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "cluster/service.h"
#include "http/service.h"

namespace berth::cluster {

struct ControlApiOptions {
  StatePaths paths;
  std::function<std::string()> metrics;  ///< Prometheus text
  std::function<void()> down;            ///< called after POST /down has been answered
};

/// What the verbs ask of a running service, as HTTP over its Unix socket, which only the user who started it
/// can open. Errors are {"error":CODE,"message":TEXT}.
///   GET  /status                          200 ServiceStatus as JSON
///   POST /scale {"count":N}               200 | 400 N is no number from 0 to tasks_max
///   POST /restart                         202
///   POST /down                            202, then the service drains
///   POST /differences SPEC                200 {"keys":[…]}: what it says otherwise than what runs | 400
///   GET  /logs?lines=N&task=ID&follow=1   200 JSON lines (application/x-ndjson); streamed with follow | 404
///   GET  /metrics                         200 Prometheus text
class ControlApi : public http::Service {
 public:
  /// Ends the streams of followed logs, so that the API can be drained.
  virtual void end_streams() = 0;
};

std::unique_ptr<ControlApi> make_control_api(ControlApiOptions options, Service& service, Clock& clock);

}  // namespace berth::cluster
