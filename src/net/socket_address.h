#pragma once

#include <sys/socket.h>

#include "net/stream.h"

namespace berth::net {

/// A kernel socket address of any family that Berth uses.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  sockaddr* data() { return static_cast<sockaddr*>(static_cast<void*>(&storage)); }
  const sockaddr* data() const { return static_cast<const sockaddr*>(static_cast<const void*>(&storage)); }
};

/// invalid_argument when the host is not a numeric address, or a Unix path is empty or too long.
Result<SocketAddress> to_address(const Endpoint& endpoint);
Endpoint to_endpoint(const SocketAddress& address);

}  // namespace berth::net
