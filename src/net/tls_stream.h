#pragma once

#include <openssl/bio.h>

#include <memory>
#include <string_view>

#include "net/pollable.h"
#include "net/tls_context.h"

namespace berth::net {

/// A record carries that much at most (RFC 8446 §5.1); two parts that fit are sent as one.
inline constexpr std::size_t tls_record_bytes_max = 16 * 1024;

/// What a peer may send in a row without a byte of data in it: tickets, key updates, alerts, empty records.
/// A few hundred bytes now and then in earnest; whoever sends more only makes work.
inline constexpr std::size_t tls_dataless_bytes_max = 64 * 1024;
/// So that a record that is still on its way is never taken for that.
static_assert(tls_dataless_bytes_max >= 3 * tls_record_bytes_max);

/// Counts what a connection reads without getting data.
class DatalessBytes {
 public:
  /// After each read that brought data, and after the handshake.
  void on_data(SSL* connection) { with_data_ = BIO_number_read(SSL_get_rbio(connection)); }
  bool too_many(SSL* connection) const {
    return BIO_number_read(SSL_get_rbio(connection)) - with_data_ > tls_dataless_bytes_max;
  }

 private:
  std::uint64_t with_data_ = 0;
};
inline constexpr std::string_view dataless_problem = "it sends records without data";

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
