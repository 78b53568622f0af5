#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "task/server_host.h"

namespace berth::task {

/// A server spoken to in the era of whoever calls, where it speaks both: what it asks and says by the session
/// era's means alone then reaches clients of that era. `first` finds out what the server speaks and serves
/// the callers of its era. Where that is the modern one, the first caller of a session has `make_legacy` make
/// a host that is to serve such callers; if the server does not answer its handshake within `patience`,
/// `first` serves them, too. Everything passed outlives the host; drain() before destroying it.
std::unique_ptr<ServerHost> make_dual_host(std::string server, std::unique_ptr<ServerHost> first,
                                           std::function<std::unique_ptr<ServerHost>()> make_legacy,
                                           Duration patience, Clock& clock, Log& log);

}  // namespace berth::task
