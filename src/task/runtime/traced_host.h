#pragma once

#include <memory>
#include <string>

#include "monitoring/trace.h"
#include "task/server_host.h"

namespace berth::task {

/// `inner` with a client span around each call whose trace_parent says that it is sampled; the server is told
/// that span as its caller. Everything else passes through. Both outlive what is made here.
std::unique_ptr<ServerHost> make_traced_host(ServerHost& inner, std::string server,
                                             monitoring::Tracer& tracer);

}  // namespace berth::task
