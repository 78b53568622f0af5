#pragma once

#include <memory>

#include "base/clock.h"
#include "net/tls.h"

namespace berth::task {

/// TLS with a certificate that vouches for itself, and how long until the next one should take its place.
struct SelfSigned {
  std::shared_ptr<net::TlsContext> tls;
  Duration renew_after;
};

/// For a listener at `listen`: the certificate names that address (unless it is every address) and loopback.
Result<SelfSigned> make_self_signed(const net::Endpoint& listen, WallTime now);

}  // namespace berth::task
