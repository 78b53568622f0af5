#pragma once

#include <memory>

#include "net/pollable.h"
#include "net/tls_context.h"

namespace berth::net {

/// A record carries that much at most (RFC 8446 §5.1); two parts that fit are sent as one.
inline constexpr std::size_t tls_record_bytes_max = 16 * 1024;

/// TLS directly on a kernel socket, handshake still to do. Fails as tls_accept says.
Task<Result<std::unique_ptr<Stream>>> tls_on_socket(std::unique_ptr<Pollable> socket, SslPointer connection,
                                                    std::shared_ptr<TlsContext> context, Endpoint remote,
                                                    TimePoint deadline);

/// The same over any other stream (in-memory networks), by way of OpenSSL's memory buffers.
Task<Result<std::unique_ptr<Stream>>> tls_over_stream(std::unique_ptr<Stream> clear, SslPointer connection,
                                                      std::shared_ptr<TlsContext> context,
                                                      TimePoint deadline);

/// Why the handshake failed, from OpenSSL's error queue and the state of the connection.
Error handshake_error(SSL* connection, TlsContext::Kind kind, const Endpoint& remote, int number);

/// After a handshake: a peer must have been authenticated by the shared key and by nothing else.
Result<void> check_authenticated(SSL* connection, TlsContext::Kind kind, const Endpoint& remote);

/// "TLSv1.3 TLS_AES_128_GCM_SHA256 http/1.1".
std::string describe_security(const SSL* connection);

}  // namespace berth::net
