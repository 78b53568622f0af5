#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/stream.h"

namespace berth::http {

/// The parts of a URL.
struct UrlAddress {
  bool tls = false;
  std::string host;  ///< name or numeric address, without brackets
  std::uint16_t port = 0;
  std::string target = "/";  ///< path and query
  bool operator==(const UrlAddress&) const = default;

  /// The value of the Host field: without the scheme's own port.
  std::string host_header() const;
};

/// `http://host[:port]/path[?query]` or https. invalid_argument, with the remedy, for anything else: no user
/// information, no fragment.
Result<UrlAddress> parse_url(std::string_view url);

/// The endpoints of a host, at least one: numeric as it is, localhost as both loopbacks, names by the
/// system's resolver (at most `addresses_max`). IPv4 before IPv6. unavailable when it has none.
inline constexpr std::size_t addresses_max = 8;
Task<Result<std::vector<net::Endpoint>>> resolve_all(Executor executor, std::string host, std::uint16_t port);
/// The first of them.
Task<Result<net::Endpoint>> resolve(Executor executor, std::string host, std::uint16_t port);

}  // namespace berth::http
