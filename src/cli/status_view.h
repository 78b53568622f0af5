#pragma once

#include <string>

#include "base/clock.h"
#include "cluster/service.h"

/// A service's status as text for people. Pure.
namespace berth::cli {

bool all_healthy(const cluster::ServiceStatus& status);
/// "everything: 3 of 3 tasks healthy".
std::string headline(const cluster::ServiceStatus& status, bool colour);
/// One line a task: zone, address, state, health; why not, and the last words of those that failed.
std::string task_table(const cluster::ServiceStatus& status, WallTime now, std::size_t columns, bool colour);
/// The URLs, each with what it is.
std::string url_lines(const cluster::ServiceStatus& status, bool colour);

}  // namespace berth::cli
