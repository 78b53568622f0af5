#pragma once

#include <string>

#include "net/tls.h"

namespace berth::net::testing {

/// A certificate authority of its own and a certificate it has issued, all valid for a day around now.
struct TestIdentity {
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;

  TlsServerOptions server() const { return {certificate_pem, Secret(key_pem)}; }
};

enum class Validity : std::uint8_t { current, expired };

/// `names` as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1".
TestIdentity make_test_identity(const std::string& names, Validity validity = Validity::current);

}  // namespace berth::net::testing
