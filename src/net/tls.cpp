#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <string>
#include <utility>

#include "net/socket_stream.h"
#include "net/tls_context.h"
#include "net/tls_stream.h"

namespace berth::net {

namespace {

Task<Result<std::unique_ptr<Stream>>> start(std::unique_ptr<Stream> clear, SslPointer connection,
                                            std::shared_ptr<TlsContext> context, TimePoint deadline) {
  Endpoint remote = clear->remote();
  if (std::unique_ptr<Pollable> socket = take_socket(*clear)) {
    return tls_on_socket(std::move(socket), std::move(connection), std::move(context), std::move(remote),
                         deadline);
  }
  return tls_over_stream(std::move(clear), std::move(connection), std::move(context), deadline);
}

}  // namespace

Task<Result<std::unique_ptr<Stream>>> tls_accept(std::unique_ptr<Stream> clear,
                                                 std::shared_ptr<TlsContext> context, TimePoint deadline) {
  SslPointer connection = context->make_connection(true, {});
  return start(std::move(clear), std::move(connection), std::move(context), deadline);
}

Task<Result<std::unique_ptr<Stream>>> tls_connect(std::unique_ptr<Stream> clear,
                                                  std::shared_ptr<TlsContext> context, std::string host_name,
                                                  TimePoint deadline) {
  SslPointer connection = context->make_connection(false, host_name);
  return start(std::move(clear), std::move(connection), std::move(context), deadline);
}

Error handshake_error(SSL* connection, TlsContext::Kind kind, const Endpoint& remote, int number) {
  const std::string what = "TLS handshake with " + to_string(remote);
  const int reason = ERR_GET_REASON(ERR_peek_last_error());
  const std::string text = take_tls_error();
  if (number != 0) return errno_error(number, what);
  const long verdict = SSL_get_verify_result(connection);
  if (kind == TlsContext::Kind::client && verdict != X509_V_OK) {
    return Error(ErrorCode::permission_denied,
                 what + ": its certificate is refused: " + X509_verify_cert_error_string(verdict));
  }
  if (reason == SSL_R_HTTP_REQUEST || reason == SSL_R_WRONG_VERSION_NUMBER) {
    return Error(ErrorCode::invalid_argument, what + ": the other side does not speak TLS (" + text + ")");
  }
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING || reason == 0) {
    return Error(ErrorCode::unavailable, what + ": the other side closed the connection");
  }
  if (kind == TlsContext::Kind::peer) {
    return Error(ErrorCode::permission_denied,
                 what + ": the other side does not hold our fleet key (" + text + ")");
  }
  return Error(ErrorCode::permission_denied, what + ": " + text);
}

Result<void> check_authenticated(SSL* connection, TlsContext::Kind kind, const Endpoint& remote) {
  if (kind != TlsContext::Kind::peer || SSL_session_reused(connection) == 1) return {};
  return fail(ErrorCode::permission_denied, "TLS handshake with " + to_string(remote) +
                                                ": the other side did not prove that it holds our fleet key");
}

}  // namespace berth::net
