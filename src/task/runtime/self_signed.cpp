#include "task/runtime/self_signed.h"

#include <algorithm>

#include "security/local_ca.h"

namespace berth::task {

namespace {
/// Well before its end, for a machine that slept or whose clock is off.
constexpr std::chrono::hours renewal_before{30 * 24};
}  // namespace

Result<SelfSigned> make_self_signed(const net::Endpoint& listen, WallTime now) {
  std::vector<std::string> hosts;
  if (listen.host != "0.0.0.0" && listen.host != "::" && !listen.is_unix()) hosts.push_back(listen.host);
  auto certificate = security::self_signed_certificate(hosts, now);
  if (!certificate) return Failure(certificate.error());
  net::TlsServerOptions options{std::move(certificate->chain_pem), std::move(certificate->key_pem)};
  auto tls = net::make_tls_server(options);
  if (!tls) return Failure(tls.error());
  return SelfSigned{std::move(*tls), certificate->not_after - now - renewal_before};
}

}  // namespace berth::task
