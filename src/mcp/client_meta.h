#pragma once

#include <string>
#include <string_view>

namespace berth::mcp {

/// The members of params._meta by which a request of 2026-07-28 that Berth makes for itself says who asks:
/// `client_info` (an Implementation, JSON text), which can be asked nothing.
std::string client_meta(std::string_view client_info);

}  // namespace berth::mcp
