#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "net/network.h"

namespace berth::net {

/// TLS settings shared by the connections of one listener or client; immutable once made.
class TlsContext;

struct TlsServerOptions {
  std::string certificate_pem;  ///< leaf first, then the chain
  Secret key_pem;
};

/// TLS 1.2 and 1.3 with session resumption, no renegotiation, no compression.
Result<std::shared_ptr<TlsContext>> make_tls_server(const TlsServerOptions& options);

/// Client that trusts `ca_pem` (empty: the system's store) and checks the host name.
Result<std::shared_ptr<TlsContext>> make_tls_client(const std::string& ca_pem);

/// Client that accepts any certificate: for asking this very machine, where there is nobody else to be.
std::shared_ptr<TlsContext> make_tls_client_unchecked();

/// Both ends prove knowledge of `key` (32 bytes): TLS 1.3 with an external PSK and (EC)DHE, RFC 8446 §2.2.
/// Mutual authentication between tasks with no certificates to issue or rotate. While the key is rotated, a
/// peer that knows `second` (32 bytes, or empty) is let in, too.
std::shared_ptr<TlsContext> make_tls_peer(const Secret& key, const Secret& second = {});

/// Handshakes over an accepted kernel stream, which it takes over. Fails with deadline_exceeded,
/// permission_denied (peer not authenticated) or unavailable.
Task<Result<std::unique_ptr<Stream>>> tls_accept(std::unique_ptr<Stream> clear,
                                                 std::shared_ptr<TlsContext> context, TimePoint deadline);
/// `host_name` is sent as SNI and checked against the certificate; unused for peers.
Task<Result<std::unique_ptr<Stream>>> tls_connect(std::unique_ptr<Stream> clear,
                                                  std::shared_ptr<TlsContext> context, std::string host_name,
                                                  TimePoint deadline);

}  // namespace berth::net
