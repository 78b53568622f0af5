#pragma once

#include <sys/socket.h>

#include <memory>

#include "net/stream.h"

namespace berth::net {

/// A kernel socket address of any family that Berth uses.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);
  /// Keeps the folder of a long Unix path open, through which the kernel finds the socket.
  std::shared_ptr<const int> folder;

  sockaddr* data() { return static_cast<sockaddr*>(static_cast<void*>(&storage)); }
  const sockaddr* data() const { return static_cast<const sockaddr*>(static_cast<const void*>(&storage)); }
};

/// invalid_argument when the host is not a numeric address or a Unix path is empty; not_found when the folder
/// of a long Unix path does not exist. The kernel takes paths up to 107 bytes (unix(7)); for a longer one the
/// address goes by way of /proc/self/fd, and holds as long as this object.
Result<SocketAddress> to_address(const Endpoint& endpoint);
Endpoint to_endpoint(const SocketAddress& address);

}  // namespace berth::net
