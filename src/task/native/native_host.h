#pragma once

#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "model/spec.h"
#include "task/identity.h"
#include "task/server_host.h"

namespace berth {
class Server;
}

namespace berth::task {

/// A C++ server as a host, in this process and on this event loop. Handlers that are plain functions answer
/// inside `start`; coroutines run in a scope of their own. A handler that asks the user is parked: its call
/// ends with input_required (owned, state = a key of this host), and goes on when `start` comes with that
/// state and the responses. What is missing or does not fit is asked again; what nobody asked for is
/// ignored. A first call may already bring responses: an ask of that key takes its answer from there.
///
/// Uses of `spec`: call_timeout (a coroutine that runs longer without telling progress ends with -32603),
/// input_timeout (how long a parked call waits). At most 8,192 coroutine calls run or are parked; -32000
/// above. Everything given outlives the host; one host per Server at a time. Await drain() before destroying
/// a host that has run coroutines.
std::unique_ptr<ServerHost> make_native_host(Server& server, ChangeSink& changes,
                                             const TaskIdentity& identity, Clock& clock, Log& log,
                                             const model::ServerSpec& spec);

}  // namespace berth::task
