#pragma once

#include <optional>
#include <string>

#include "base/memory_account.h"
#include "http/service.h"

namespace berth::task::edge {

/// A request's body, counted in `memory` as it comes: a client that sends half of it and waits takes from its
/// own share alone. nullopt: there is no memory for it.
Task<Result<std::optional<std::string>>> read_request_body(http::Exchange& exchange, std::size_t bytes_max,
                                                           MemoryAccount::Charge& memory);

}  // namespace berth::task::edge
