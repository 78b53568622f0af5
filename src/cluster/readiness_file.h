#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cluster/service.h"

namespace berth::cluster {

/// What a task last wrote of itself (task::RuntimeOptions::readiness_file).
struct TaskReadiness {
  bool is_draining = false;  ///< it takes no new caller, and has handed over those who were at home there
  std::vector<ServerState> servers;
};

/// Empty when the task has written nothing.
TaskReadiness read_readiness_file(const std::string& path);

/// Why a task is not healthy: what its health check found out, or, when that is only the status of a task
/// that answers, what the task says of its silent servers.
std::string why_unhealthy(std::string_view found_out, const std::vector<ServerState>& servers);

}  // namespace berth::cluster
