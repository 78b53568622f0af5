#include <charconv>
#include <string>

#include "base/ip_address.h"
#include "net/stream.h"

namespace berth::net {

namespace {

Failure bad_endpoint(std::string_view text) {
  return fail(ErrorCode::invalid_argument,
              "'" + std::string(text) +
                  "' is not an endpoint; write ADDRESS:PORT with a numeric address, such as "
                  "127.0.0.1:8080 or [::1]:8080, or unix:/path");
}

}  // namespace

std::string to_string(const Endpoint& endpoint) {
  if (endpoint.is_unix()) return endpoint.host;
  const bool v6 = endpoint.host.contains(':');
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  if (text.starts_with("unix:")) {
    if (text.size() == 5) return bad_endpoint(text);
    return Endpoint{std::string(text), 0};
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad_endpoint(text);
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') != host.ends_with(']')) return bad_endpoint(text);
  const bool bracketed = host.size() > 2 && host.starts_with('[');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.contains(':') != bracketed) return bad_endpoint(text);

  Endpoint endpoint{host == "localhost" ? "127.0.0.1" : std::string(host), 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty())
    return bad_endpoint(text);
  if (!is_ip_address(endpoint.host)) return bad_endpoint(text);
  return endpoint;
}

}  // namespace berth::net
