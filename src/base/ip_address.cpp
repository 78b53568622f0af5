#include "base/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace berth {

namespace {

bool reads(int family, std::string_view text, void* address) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.contains('\0')) return false;
  std::ranges::copy(text, terminated.begin());
  return ::inet_pton(family, terminated.data(), address) == 1;
}

}  // namespace

bool is_ipv4_address(std::string_view text) {
  in_addr address{};
  return reads(AF_INET, text, &address);
}

bool is_ipv6_address(std::string_view text) {
  in6_addr address{};
  return reads(AF_INET6, text, &address);
}

bool is_loopback_address(std::string_view text) {
  in6_addr address{};
  return (text.starts_with("127.") && is_ipv4_address(text)) ||
         (reads(AF_INET6, text, &address) && IN6_IS_ADDR_LOOPBACK(&address));
}

}  // namespace berth
