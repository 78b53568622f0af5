#include "cluster/addresses.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"

namespace berth::cluster {

namespace {

bool can_bind(const std::string& address, std::uint16_t port) {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  // As the task's listener does: a connection of an earlier task in TIME_WAIT does not count as taken.
  const int on = 1;
  ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &name.sin_addr);
  sockaddr generic{};
  static_assert(sizeof generic == sizeof name);
  std::copy_n(reinterpret_cast<const char*>(&name), sizeof name, reinterpret_cast<char*>(&generic));
  const bool bound = ::bind(probe, &generic, sizeof generic) == 0;
  ::close(probe);
  return bound;
}

}  // namespace

std::string zone_prefix(std::string_view zone, const std::vector<std::string>& zones) {
  const auto place = std::find(zones.begin(), zones.end(), zone);
  BERTH_CHECK(place != zones.end(), "the zone is one of the service's zones");
  return fmt::format("127.0.{}.", place - zones.begin() + 1);
}

Result<std::string> free_address(std::string_view zone, const std::vector<std::string>& zones,
                                 const std::vector<std::string>& taken) {
  const std::string prefix = zone_prefix(zone, zones);
  for (int host = 1; host <= 254; ++host) {
    std::string address = prefix + std::to_string(host);
    if (std::find(taken.begin(), taken.end(), address) != taken.end()) continue;
    if (can_bind(address, task_port) && can_bind(address, peer_port)) return address;
  }
  return fail(
      ErrorCode::resource_exhausted,
      fmt::format("no address of zone {} ({}1 to {}254) has ports {} and {} free; stop what listens there",
                  zone, prefix, prefix, task_port, peer_port));
}

}  // namespace berth::cluster
