#include "task/runtime/host_guard.h"

#include <algorithm>

#include "base/ip_address.h"
#include "model/addresses.h"

namespace berth::task {

namespace {

bool is_port(std::string_view text) {
  return text.size() <= 5 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// "name", "name:80", "[::1]:80" without the port; nullopt when it is none of these.
std::optional<std::string_view> without_port(std::string_view authority) {
  std::size_t end = authority.find(':');
  if (authority.starts_with('[')) {
    end = authority.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    ++end;
  }
  if (end == std::string_view::npos || end >= authority.size()) return authority;
  if (authority[end] != ':' || !is_port(authority.substr(end + 1))) return std::nullopt;
  return authority.substr(0, end);
}

bool is_loopback(std::string_view name) {
  return http::equals_ignoring_case(name, "localhost") || name == "[::1]" ||
         (is_ipv4_address(name) && is_loopback_address(name));
}

/// An address, as a URL writes it: no top-level domain is a number, so it cannot be a name.
bool is_url_address(std::string_view name) {
  return name.starts_with('[') ? is_ipv6_address(name.substr(1, name.size() - 2)) : is_ipv4_address(name);
}

std::string_view without_slash(std::string_view text) {
  if (text.ends_with('/')) text.remove_suffix(1);
  return text;
}

}  // namespace

HostGuard::HostGuard(const model::ListenerSpec& listener) {
  for (const std::string& host : listener.hosts) {
    hosts_.emplace_back(without_port(host).value_or(host));
  }
  if (std::string host = model::public_host(listener); !host.empty()) hosts_.push_back(std::move(host));
  for (const std::string& origin : listener.origins) origins_.emplace_back(without_slash(origin));
}

bool HostGuard::is_ours(std::string_view name) const {
  return is_loopback(name) || std::ranges::any_of(hosts_, [&](const auto& host) {
           return http::equals_ignoring_case(host, name);
         });
}

bool HostGuard::allows_host(std::string_view host) const {
  const auto name = without_port(host);
  return name && (is_ours(*name) || is_url_address(*name));
}

bool HostGuard::allows_origin(std::string_view origin) const {
  const auto listed = [&](const auto& known) { return http::equals_ignoring_case(known, origin); };
  if (std::ranges::any_of(origins_, listed)) return true;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!origin.starts_with(scheme)) continue;
    const auto name = without_port(origin.substr(scheme.size()));
    return name && is_ours(*name);
  }
  return false;
}

std::optional<std::string> HostGuard::refuse(const http::Headers& headers) const {
  const auto host = headers.get("Host");
  if (host && !allows_host(*host)) {
    return "The Host '" + std::string(*host) +
           "' is not one of this service's; add it to listener.hosts in berth.yaml if it should be.";
  }
  const auto origin = headers.get("Origin");
  if (origin && !allows_origin(*origin)) {
    return "The Origin '" + std::string(*origin) +
           "' is not allowed; add it to listener.origins in berth.yaml if it should be.";
  }
  return std::nullopt;
}

}  // namespace berth::task
