#pragma once

#include <string>
#include <string_view>

#include "mcp/core.h"

namespace berth::task::edge {

/// A call's notification as its client may see it, or empty: progress only when asked for, with the client's
/// own token and strictly increasing (`last_progress` is kept by the caller); log messages only from the
/// level asked for; everything else as it is.
std::string relayed(const mcp::Notification& notification, const mcp::Call& call,
                    std::string_view progress_token, double& last_progress);

}  // namespace berth::task::edge
