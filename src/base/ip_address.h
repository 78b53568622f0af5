#pragma once

#include <string_view>

namespace berth {

/// Whether `text` is an address in its numeric form, as inet_pton(3) takes it: "127.0.0.1", "::1". No
/// brackets, no port, no zone.
bool is_ipv4_address(std::string_view text);
bool is_ipv6_address(std::string_view text);
inline bool is_ip_address(std::string_view text) { return is_ipv4_address(text) || is_ipv6_address(text); }

/// Whether it is such an address, and one that is reached from this machine alone: 127.0.0.0/8 or ::1.
bool is_loopback_address(std::string_view text);

}  // namespace berth
