#include "net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "net/socket_stream.h"

namespace berth::net {

namespace {

/// After that many reads without a wait the reader lets others run.
constexpr int immediate_records_max = 32;

/// How often one call of OpenSSL may read from the socket: it goes on by itself while what it reads holds no
/// data, for as long as the peer keeps sending. Two reads bring any record.
constexpr int reads_per_attempt = 2;

/// How long a read waits for room to answer a key update in.
constexpr Duration key_update_pause = std::chrono::milliseconds(1);

/// What whoever speaks plain HTTP to the HTTPS port is told.
constexpr std::string_view plain_http_answer =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 49\r\nConnection: close\r\n\r\n"
    "This port speaks HTTPS; use https:// in the URL.\n";

class TlsStream final : public Stream {
 public:
  TlsStream(std::unique_ptr<Pollable> socket, SslPointer connection, std::shared_ptr<TlsContext> context,
            Endpoint remote)
      : socket_(std::move(socket)),
        context_(std::move(context)),
        connection_(std::move(connection)),
        remote_(std::move(remote)) {
    SSL_set_fd(connection_.get(), socket_->descriptor());
    BIO* const reader = SSL_get_rbio(connection_.get());
    BIO_set_callback_arg(reader, static_cast<char*>(static_cast<void*>(&reads_left_)));
    BIO_set_callback_ex(reader, count_read);
    socket_->set_probe([this] { return look(); });
  }
  ~TlsStream() override { close(); }

  Task<Result<void>> handshake(TimePoint deadline) {
    socket_->set_deadline(deadline);
    while (true) {
      const int outcome = attempt([this] { return SSL_do_handshake(connection_.get()); });
      if (outcome == 1) break;
      const int need = SSL_get_error(connection_.get(), outcome);
      if (need != SSL_ERROR_WANT_READ && need != SSL_ERROR_WANT_WRITE) {
        co_return Failure(fail_handshake(need));
      }
      const Wake wake =
          co_await socket_->wait(need == SSL_ERROR_WANT_READ ? Direction::read : Direction::write);
      if (wake != Wake::ready) co_return co_await socket_->failed_wait(wake, about("TLS handshake with"));
    }
    socket_->set_deadline(std::nullopt);
    dataless_.on_data(connection_.get());
    co_return check_authenticated(connection_.get(), context_->kind(), remote_);
  }

  Task<Result<std::size_t>> read_some(std::span<char> into) override {
    while (true) {
      if (socket_->closed()) co_return Failure(socket_->failure(Wake::closed, about("reading from")));
      std::size_t count = 0;
      const int outcome =
          attempt([&] { return SSL_read_ex(connection_.get(), into.data(), into.size(), &count); });
      if (outcome == 1) {
        dataless_.on_data(connection_.get());
        if (++immediate_reads_ >= immediate_records_max) {
          immediate_reads_ = 0;
          co_await socket_->yield();
        }
        co_return count;
      }
      const int need = SSL_get_error(connection_.get(), outcome);
      if (need == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
      immediate_reads_ = 0;
      if (is_chatter(need)) co_return Failure(broken_by_chatter());
      if (need == SSL_ERROR_WANT_WRITE) {
        // A key update wants to be answered and the socket has no room; a writer may be waiting for it too.
        co_await socket_->clock().sleep_for(key_update_pause);
        continue;
      }
      if (need != SSL_ERROR_WANT_READ) co_return Failure(broken("reading from", need));
      const Wake wake = co_await socket_->wait(Direction::read);
      if (wake != Wake::ready) co_return co_await socket_->failed_wait(wake, about("reading from"));
    }
  }

  Task<Result<void>> write(std::string_view data) override { return write_all(data); }

  Task<Result<void>> write(std::string_view first, std::string_view second) override {
    if (first.empty() || second.empty()) return write_all(first.empty() ? second : first);
    return write_joined(first, second);
  }

  void close_write() override {
    if (socket_->closed()) return;
    say_goodbye();
    ::shutdown(socket_->descriptor(), SHUT_WR);
  }

  void close() override {
    if (socket_->closed()) return;
    say_goodbye();
    socket_->close();
  }

  void set_deadline(std::optional<TimePoint> when) override { socket_->set_deadline(when); }
  void watch_peer_close(std::function<void()> callback) override {
    // What OpenSSL has read ahead would never make the descriptor readable again.
    if (callback && look() == PeerState::has_sent) return;
    socket_->watch_peer_close(std::move(callback));
  }
  bool quiet() override { return look() == PeerState::quiet; }
  Endpoint local() const override {
    return socket_->closed() ? Endpoint{} : local_endpoint(socket_->descriptor());
  }
  Endpoint remote() const override { return remote_; }
  std::string security() const override { return describe_security(connection_.get()); }

 private:
  /// One OpenSSL call; its error queue holds nothing else afterwards.
  template <class Call>
  int attempt(Call call) {
    ERR_clear_error();
    errno = 0;
    reads_left_ = reads_per_attempt;
    const int outcome = call();
    number_ = errno;
    return outcome;
  }

  /// OpenSSL is told "not now" when the call has read enough; the socket is then still readable, so that the
  /// wait for it is a turn of the loop.
  static long count_read(BIO* reader, int operation, const char*, std::size_t, int, long, int outcome,
                         std::size_t*) {
    if (operation != BIO_CB_READ) return outcome;
    auto* const left = static_cast<int*>(static_cast<void*>(BIO_get_callback_arg(reader)));
    if (--*left >= 0) return outcome;
    BIO_set_retry_read(reader);
    return -1;
  }

  /// Whether what was read last is more than any peer sends without data.
  bool is_chatter(int need) const {
    return (need == SSL_ERROR_WANT_READ || need == SSL_ERROR_WANT_WRITE) &&
           dataless_.too_many(connection_.get());
  }

  Error broken_by_chatter() {
    broken_ = true;
    return Error(ErrorCode::unavailable, about("reading from") + ": " + std::string(dataless_problem));
  }

  std::string about(std::string_view verb) const { return std::string(verb) + " " + to_string(remote_); }

  Error fail_handshake(int need) {
    const int number = need == SSL_ERROR_SYSCALL ? number_ : 0;
    broken_ = true;
    if (context_->kind() == TlsContext::Kind::server &&
        ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_HTTP_REQUEST) {
      ::send(socket_->descriptor(), plain_http_answer.data(), plain_http_answer.size(), MSG_NOSIGNAL);
    }
    const Error error = handshake_error(connection_.get(), context_->kind(), remote_, number);
    socket_->close();
    return error;
  }

  Error broken(std::string_view verb, int need) {
    broken_ = true;
    const std::string reason = take_tls_error();
    if (need == SSL_ERROR_SYSCALL && number_ != 0) return errno_error(number_, about(verb));
    return Error(ErrorCode::unavailable, about(verb) + ": the TLS connection broke (" + reason + ")");
  }

  /// The peer's state without taking anything from it. Reads records that carry no data (tickets, alerts).
  PeerState look() {
    if (socket_->closed() || broken_) return PeerState::gone;
    char byte = 0;
    std::size_t count = 0;
    const int outcome = attempt([&] { return SSL_peek_ex(connection_.get(), &byte, 1, &count); });
    if (outcome == 1) return PeerState::has_sent;
    const int need = SSL_get_error(connection_.get(), outcome);
    if (is_chatter(need)) return PeerState::gone;
    return need == SSL_ERROR_WANT_READ || need == SSL_ERROR_WANT_WRITE ? PeerState::quiet : PeerState::gone;
  }

  Task<Result<void>> write_joined(std::string_view first, std::string_view second) {
    const std::size_t room = tls_record_bytes_max - std::min(first.size(), tls_record_bytes_max);
    std::string record;
    record.reserve(first.size() + std::min(room, second.size()));
    record += first;
    record += second.substr(0, room);
    const std::string_view rest = second.substr(std::min(room, second.size()));
    const auto head_written = co_await write_all(record);
    if (!head_written || rest.empty()) co_return head_written;
    co_return co_await write_all(rest);
  }

  Task<Result<void>> write_all(std::string_view data) {
    while (!data.empty()) {
      if (socket_->closed()) co_return Failure(socket_->failure(Wake::closed, about("writing to")));
      std::size_t count = 0;
      const int outcome =
          attempt([&] { return SSL_write_ex(connection_.get(), data.data(), data.size(), &count); });
      if (outcome == 1) {
        data.remove_prefix(count);
        continue;
      }
      const int need = SSL_get_error(connection_.get(), outcome);
      if (need != SSL_ERROR_WANT_WRITE) co_return Failure(broken("writing to", need));
      const Wake wake = co_await socket_->wait(Direction::write);
      if (wake != Wake::ready) co_return co_await socket_->failed_wait(wake, about("writing to"));
    }
    co_return Result<void>();
  }

  /// Sends close_notify when the connection is in a state to. It is lost when the socket has no room, which
  /// the end of the TCP stream makes up for.
  void say_goodbye() {
    if (broken_ || !SSL_is_init_finished(connection_.get())) return;
    if ((SSL_get_shutdown(connection_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
    attempt([this] { return SSL_shutdown(connection_.get()); });
    ERR_clear_error();
  }

  std::unique_ptr<Pollable> socket_;
  std::shared_ptr<TlsContext> context_;
  SslPointer connection_;
  Endpoint remote_;
  bool broken_ = false;
  int number_ = 0;  ///< errno of the last attempt
  int immediate_reads_ = 0;
  int reads_left_ = 0;  ///< of the attempt; OpenSSL's reader counts it down
  DatalessBytes dataless_;
};

}  // namespace

Task<Result<std::unique_ptr<Stream>>> tls_on_socket(std::unique_ptr<Pollable> socket, SslPointer connection,
                                                    std::shared_ptr<TlsContext> context, Endpoint remote,
                                                    TimePoint deadline) {
  auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(connection), std::move(context),
                                            std::move(remote));
  const auto shaken = co_await stream->handshake(deadline);
  if (!shaken) co_return Failure(shaken.error());
  co_return std::move(stream);
}

std::string describe_security(const SSL* connection) {
  const unsigned char* protocol = nullptr;
  unsigned int length = 0;
  SSL_get0_alpn_selected(connection, &protocol, &length);
  std::string text = std::string(SSL_get_version(connection)) + " " + SSL_get_cipher_name(connection);
  if (length > 0) {
    text += " ";
    text.append(static_cast<const char*>(static_cast<const void*>(protocol)), length);
  }
  if (SSL_session_reused(connection) == 1 && SSL_get0_peer_certificate(connection) != nullptr) {
    text += " resumed";
  }
  return text;
}

}  // namespace berth::net
