#include <openssl/bio.h>
#include <openssl/err.h>

#include <array>
#include <string>
#include <utility>

#include "base/signal.h"
#include "net/tls_stream.h"

namespace berth::net {

namespace {

class BridgedTlsStream final : public Stream {
 public:
  BridgedTlsStream(std::unique_ptr<Stream> clear, SslPointer connection, std::shared_ptr<TlsContext> context)
      : clear_(std::move(clear)), context_(std::move(context)), connection_(std::move(connection)) {
    incoming_ = BIO_new(BIO_s_mem());
    outgoing_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(incoming_, -1);
    SSL_set_bio(connection_.get(), incoming_, outgoing_);
  }
  ~BridgedTlsStream() override { clear_->close(); }

  Task<Result<void>> handshake(TimePoint deadline) {
    clear_->set_deadline(deadline);
    while (true) {
      ERR_clear_error();
      const int outcome = SSL_do_handshake(connection_.get());
      const int need = SSL_get_error(connection_.get(), outcome);
      if (need == SSL_ERROR_SSL || need == SSL_ERROR_SYSCALL) {
        const Error error = handshake_error(connection_.get(), context_->kind(), clear_->remote(), 0);
        const auto alerted = co_await flush();
        co_return Failure(alerted ? error : alerted.error());
      }
      const auto flushed = co_await flush();
      if (!flushed) co_return Failure(flushed.error());
      if (outcome == 1) break;
      const auto count = co_await feed();
      if (!count) co_return Failure(count.error());
      if (*count == 0) {
        co_return fail(ErrorCode::unavailable, "TLS handshake with " + to_string(clear_->remote()) +
                                                   ": the other side closed the connection");
      }
    }
    clear_->set_deadline(std::nullopt);
    dataless_.on_data(connection_.get());
    co_return check_authenticated(connection_.get(), context_->kind(), clear_->remote());
  }

  Task<Result<std::size_t>> read_some(std::span<char> into) override {
    while (true) {
      ERR_clear_error();
      std::size_t count = 0;
      const int outcome = SSL_read_ex(connection_.get(), into.data(), into.size(), &count);
      if (outcome == 1) {
        dataless_.on_data(connection_.get());
        co_return count;
      }
      const int need = SSL_get_error(connection_.get(), outcome);
      if (need == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
      if (need != SSL_ERROR_WANT_READ) co_return Failure(broken("reading from"));
      if (dataless_.too_many(connection_.get())) {
        co_return fail(ErrorCode::unavailable,
                       "reading from " + to_string(clear_->remote()) + ": " + std::string(dataless_problem));
      }
      const auto fed = co_await feed();
      if (!fed) co_return Failure(fed.error());
      if (*fed == 0) co_return std::size_t{0};
    }
  }

  Task<Result<void>> write(std::string_view data) override { return write(data, {}); }

  Task<Result<void>> write(std::string_view first, std::string_view second) override {
    for (std::string_view part : {first, second}) {
      // The memory buffer takes everything; what bounds it is that all is flushed before we return.
      while (!part.empty()) {
        std::size_t count = 0;
        ERR_clear_error();
        if (SSL_write_ex(connection_.get(), part.data(), part.size(), &count) != 1) {
          co_return Failure(broken("writing to"));
        }
        part.remove_prefix(count);
      }
    }
    co_return co_await flush();
  }

  /// Without close_notify, which would have to wait for room: the end of the stream below tells as much.
  void close_write() override { clear_->close_write(); }
  void close() override { clear_->close(); }
  void set_deadline(std::optional<TimePoint> when) override { clear_->set_deadline(when); }
  void watch_peer_close(std::function<void()> callback) override {
    clear_->watch_peer_close(std::move(callback));
  }
  bool quiet() override { return SSL_pending(connection_.get()) == 0 && clear_->quiet(); }
  Endpoint local() const override { return clear_->local(); }
  Endpoint remote() const override { return clear_->remote(); }
  std::string security() const override { return describe_security(connection_.get()); }

 private:
  Error broken(std::string_view verb) const {
    return Error(ErrorCode::unavailable, std::string(verb) + " " + to_string(clear_->remote()) +
                                             ": the TLS connection broke (" + take_tls_error() + ")");
  }

  Task<Result<void>> flush() {
    char* data = nullptr;
    const long size = BIO_get_mem_data(outgoing_, &data);
    if (size <= 0) co_return Result<void>();
    const std::string bytes(data, static_cast<std::size_t>(size));
    static_cast<void>(BIO_reset(outgoing_));
    co_return co_await clear_->write(bytes);
  }

  Task<Result<std::size_t>> feed() {
    const auto count = co_await clear_->read_some(buffer_);
    if (count) BIO_write(incoming_, buffer_.data(), static_cast<int>(*count));
    co_return count;
  }

  std::unique_ptr<Stream> clear_;
  std::shared_ptr<TlsContext> context_;
  SslPointer connection_;
  BIO* incoming_ = nullptr;  ///< owned by the connection, as is
  BIO* outgoing_ = nullptr;
  DatalessBytes dataless_;
  std::array<char, tls_record_bytes_max> buffer_{};
};

}  // namespace

Task<Result<std::unique_ptr<Stream>>> tls_over_stream(std::unique_ptr<Stream> clear, SslPointer connection,
                                                      std::shared_ptr<TlsContext> context,
                                                      TimePoint deadline) {
  auto stream =
      std::make_unique<BridgedTlsStream>(std::move(clear), std::move(connection), std::move(context));
  const auto shaken = co_await stream->handshake(deadline);
  if (!shaken) co_return Failure(shaken.error());
  co_return std::move(stream);
}

}  // namespace berth::net
