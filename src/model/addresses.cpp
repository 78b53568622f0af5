#include "model/addresses.h"

#include <algorithm>

namespace berth::model {

bool is_any_address(std::string_view address) { return address == "0.0.0.0" || address == "::"; }

std::string host_of(std::string_view authority) {
  if (authority.starts_with('[')) {
    const std::size_t end = std::min(authority.find(']'), authority.size());
    return std::string(authority.substr(1, end - 1));
  }
  // More than one colon is an IPv6 address, which has no port without brackets.
  const bool has_port = std::ranges::count(authority, ':') == 1;
  return std::string(authority.substr(0, has_port ? authority.find(':') : authority.size()));
}

std::string public_host(const ListenerSpec& listener) {
  const std::size_t scheme = listener.public_url.find("://");
  if (scheme == std::string::npos) return {};
  const std::string_view rest = std::string_view(listener.public_url).substr(scheme + 3);
  return host_of(rest.substr(0, rest.find_first_of("/?#")));
}

std::vector<std::string> own_hosts(const ListenerSpec& listener) {
  std::vector<std::string> out;
  const auto add = [&out](std::string host) {
    if (!host.empty() && std::ranges::find(out, host) == out.end()) out.push_back(std::move(host));
  };
  for (const std::string& host : listener.hosts) add(host_of(host));
  add(public_host(listener));
  if (!is_any_address(listener.address) && listener.address != "127.0.0.1" && listener.address != "::1")
    add(listener.address);
  return out;
}

}  // namespace berth::model
