#pragma once

#include <string>

#include "base/clock.h"
#include "cluster/service.h"

/// A service's status as text for people. Pure.
namespace berth::cli {

/// Whether as many tasks are healthy as are wanted; some of their servers may be silent.
bool all_healthy(const cluster::ServiceStatus& status);
/// Whether besides no server of a healthy task is silent.
bool all_answer(const cluster::ServiceStatus& status);
/// Whether nobody needs to wait any longer: each wanted task is healthy, or has said that none of its servers
/// can be started or reached at all.
bool nobody_waits(const cluster::ServiceStatus& status);
/// One line for each server that is silent in some healthy task, with the reason it has there; may be empty.
std::string silent_servers(const cluster::ServiceStatus& status);
/// One line for each thing to know of a server that answers: processes that ended by themselves, and what of
/// their separation the machine refused; may be empty.
std::string server_notes(const cluster::ServiceStatus& status);
/// "everything: 3 of 3 tasks healthy".
std::string headline(const cluster::ServiceStatus& status, bool colour);
/// One line a task: zone, address, state, health; why not, and the last words of those that failed. Below
/// them the silent servers of healthy tasks, and server_notes.
std::string task_table(const cluster::ServiceStatus& status, WallTime now, std::size_t columns, bool colour);
/// The URLs, each with what it is.
std::string url_lines(const cluster::ServiceStatus& status, bool colour);

}  // namespace berth::cli
