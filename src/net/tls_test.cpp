#include "net/tls.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>

#include <functional>
#include <string>
#include <vector>

#include "net/network.h"
#include "net/testing/certificates.h"
#include "net/testing/memory_network.h"
#include "net/tls_context.h"

namespace berth::net {
namespace {

using namespace std::chrono_literals;

constexpr auto test_timeout = 10s;

struct Outcome {
  std::unique_ptr<Stream> stream;
  std::optional<Error> error;

  std::string text() const {
    if (!error) return "";
    return std::string(to_string(error->code())) + ": " + error->message();
  }
};

/// The same on kernel sockets, where OpenSSL has the descriptor, and over in-memory streams.
enum class Kind { kernel, memory };

class TlsTest : public ::testing::TestWithParam<Kind> {
 protected:
  TlsTest() : clock_(make_real_clock(loop_.get_executor())) {
    if (GetParam() == Kind::memory) {
      network_ = testing::make_memory_network(*clock_);
    } else {
      network_ = make_network(*clock_);
    }
    listener_ = std::move(*network_->listen(Endpoint{"127.0.0.1", 0}));
  }

  void run(Task<void> task) {
    TaskScope scope(loop_.get_executor());
    scope.spawn(std::move(task));
    finish(scope);
  }

  void finish(TaskScope& scope) {
    const auto limit = clock_->now() + test_timeout;
    while (scope.size() > 0 && clock_->now() < limit) {
      loop_.restart();
      loop_.run_one_for(100ms);
    }
    EXPECT_EQ(scope.size(), 0u) << "the test did not finish in time";
  }

  Task<void> connect_clear() {
    auto client = co_await network_->connect(listener_->local(), clock_->now() + 5s);
    auto server = co_await listener_->accept();
    clear_client_ = std::move(*client);
    clear_server_ = std::move(*server);
  }

  static void keep(Outcome& outcome, Result<std::unique_ptr<Stream>> stream) {
    if (stream) {
      outcome.stream = std::move(*stream);
    } else {
      outcome.error = stream.error();
    }
  }

  static Task<void> accept(std::unique_ptr<Stream> clear, std::shared_ptr<TlsContext> context,
                           TimePoint deadline, Outcome& outcome) {
    auto stream = co_await tls_accept(std::move(clear), context, deadline);
    keep(outcome, std::move(stream));
  }

  static Task<void> connect(std::unique_ptr<Stream> clear, std::shared_ptr<TlsContext> context,
                            std::string host, TimePoint deadline, Outcome& outcome) {
    auto stream = co_await tls_connect(std::move(clear), context, std::move(host), deadline);
    keep(outcome, std::move(stream));
  }

  /// Both ends of one handshake, however it ends.
  void shake(std::shared_ptr<TlsContext> server, std::shared_ptr<TlsContext> client, std::string host) {
    run(connect_clear());
    server_ = {};
    client_ = {};
    TaskScope scope(loop_.get_executor());
    const TimePoint deadline = clock_->now() + 5s;
    scope.spawn(accept(std::move(clear_server_), std::move(server), deadline, server_));
    scope.spawn(connect(std::move(clear_client_), std::move(client), std::move(host), deadline, client_));
    finish(scope);
  }

  void shake_well() {
    shake(*make_tls_server(identity().server()), *make_tls_client(identity().ca_pem), "localhost");
    ASSERT_TRUE(server_.stream) << server_.text();
    ASSERT_TRUE(client_.stream) << client_.text();
  }

  static const testing::TestIdentity& identity() {
    static const testing::TestIdentity value = testing::make_test_identity("DNS:localhost,IP:127.0.0.1");
    return value;
  }

  asio::io_context loop_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Stream> clear_client_;
  std::unique_ptr<Stream> clear_server_;
  Outcome server_;
  Outcome client_;
};

INSTANTIATE_TEST_SUITE_P(All, TlsTest, ::testing::Values(Kind::kernel, Kind::memory));

Task<void> read_all(Stream& stream, std::string& out) {
  std::vector<char> buffer(20'000);
  while (true) {
    const auto count = co_await stream.read_some(buffer);
    EXPECT_TRUE(count) << count.error().message();
    if (!count || *count == 0) co_return;
    out.append(buffer.data(), *count);
  }
}

Task<void> write_and_end(Stream& stream, std::string first, std::string second) {
  const auto written = co_await stream.write(first, second);
  EXPECT_TRUE(written) << written.error().message();
  stream.close_write();
}

Task<void> read_once(Stream& stream, std::optional<ErrorCode>& code) {
  std::vector<char> buffer(10);
  const auto count = co_await stream.read_some(buffer);
  if (!count) code = count.error().code();
}

TEST_P(TlsTest, SpeaksTls13AndHttp11) {
  shake_well();
  EXPECT_EQ(client_.stream->security(), "TLSv1.3 TLS_AES_256_GCM_SHA384 http/1.1");
}

TEST_P(TlsTest, BothWaysCarryBigBodiesAtOnceAndEndOneByOne) {
  shake_well();
  const std::string big(3'000'000, 'x');
  std::string to_server;
  std::string to_client;
  TaskScope scope(loop_.get_executor());
  scope.spawn(write_and_end(*client_.stream, "head", big));
  scope.spawn(write_and_end(*server_.stream, big, "tail"));
  scope.spawn(read_all(*server_.stream, to_server));
  scope.spawn(read_all(*client_.stream, to_client));
  finish(scope);
  EXPECT_EQ(to_server, "head" + big);
  EXPECT_EQ(to_client, big + "tail");
}

TEST_P(TlsTest, AfterItsEndOneSideStillReads) {
  shake_well();
  std::string received;
  run(write_and_end(*client_.stream, "question", ""));
  run(read_all(*server_.stream, received));
  EXPECT_EQ(received, "question");
  received.clear();
  run(write_and_end(*server_.stream, "answer", ""));
  run(read_all(*client_.stream, received));
  EXPECT_EQ(received, "answer");
}

TEST_P(TlsTest, AnotherHostNameIsRefused) {
  shake(*make_tls_server(identity().server()), *make_tls_client(identity().ca_pem), "example.com");
  EXPECT_FALSE(client_.stream);
  EXPECT_EQ(client_.error->code(), ErrorCode::permission_denied);
  EXPECT_TRUE(client_.error->message().ends_with("its certificate is refused: hostname mismatch"))
      << client_.text();
  shake(*make_tls_server(identity().server()), *make_tls_client(identity().ca_pem), "127.0.0.2");
  EXPECT_TRUE(client_.error->message().ends_with("its certificate is refused: IP address mismatch"));
  shake(*make_tls_server(identity().server()), *make_tls_client(identity().ca_pem), "127.0.0.1");
  EXPECT_TRUE(client_.stream) << client_.text();
}

TEST_P(TlsTest, AnExpiredCertificateAndAnUnknownAuthorityAreRefused) {
  const auto expired = testing::make_test_identity("DNS:localhost", testing::Validity::expired);
  shake(*make_tls_server(expired.server()), *make_tls_client(expired.ca_pem), "localhost");
  EXPECT_TRUE(client_.text().ends_with("its certificate is refused: certificate has expired"))
      << client_.text();
  EXPECT_FALSE(server_.stream && client_.stream);
  const auto stranger = testing::make_test_identity("DNS:localhost");
  shake(*make_tls_server(stranger.server()), *make_tls_client(identity().ca_pem), "localhost");
  EXPECT_EQ(client_.error->code(), ErrorCode::permission_denied);
}

TEST_P(TlsTest, PeersWithTheSameKeyTrustEachOther) {
  const Secret key(std::string(32, 'k'));
  shake(make_tls_peer(key), make_tls_peer(key), "");
  ASSERT_TRUE(client_.stream) << client_.text();
  ASSERT_TRUE(server_.stream) << server_.text();
  EXPECT_EQ(client_.stream->security(), "TLSv1.3 TLS_AES_128_GCM_SHA256");
  std::string received;
  run(write_and_end(*client_.stream, "hello", ""));
  run(read_all(*server_.stream, received));
  EXPECT_EQ(received, "hello");
}

TEST_P(TlsTest, APeerWithAnotherKeyIsRefusedByBoth) {
  shake(make_tls_peer(Secret(std::string(32, 'k'))), make_tls_peer(Secret(std::string(32, 'x'))), "");
  EXPECT_EQ(server_.error->code(), ErrorCode::permission_denied) << server_.text();
  EXPECT_EQ(client_.error->code(), ErrorCode::permission_denied) << client_.text();
}

TEST_P(TlsTest, PeersTrustEachOtherWhileTheirKeyIsRotated) {
  const Secret old_key(std::string(32, 'o'));
  const Secret new_key(std::string(32, 'n'));
  const auto before = make_tls_peer(old_key);
  const auto first = make_tls_peer(old_key, new_key);
  const auto second = make_tls_peer(new_key, old_key);
  const auto after = make_tls_peer(new_key);
  for (const auto& [server, client] : {std::pair{before, first},
                                       {first, before},
                                       {first, first},
                                       {first, second},
                                       {second, first},
                                       {second, after},
                                       {after, second}}) {
    shake(server, client, "");
    EXPECT_TRUE(client_.stream && server_.stream);
  }
  shake(before, second, "");
  EXPECT_EQ(server_.error->code(), ErrorCode::permission_denied) << "two steps apart";
}

TEST_P(TlsTest, ACertificateDoesNotStandInForTheKey) {
  shake(*make_tls_server(identity().server()), make_tls_peer(Secret(std::string(32, 'k'))), "localhost");
  EXPECT_FALSE(client_.stream);
  EXPECT_EQ(client_.error->code(), ErrorCode::permission_denied);
  shake(make_tls_peer(Secret(std::string(32, 'k'))), *make_tls_client(identity().ca_pem), "localhost");
  EXPECT_FALSE(server_.stream);
  EXPECT_EQ(server_.error->code(), ErrorCode::permission_denied);
}

TEST_P(TlsTest, PlainHttpIsAnsweredInPlainWords) {
  run(connect_clear());
  const auto plain = std::move(clear_client_);
  TaskScope scope(loop_.get_executor());
  const auto request = [](Stream& stream) -> Task<void> {
    const auto written = co_await stream.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(written);
  };
  run(request(*plain));
  const auto context = *make_tls_server(identity().server());
  run(accept(std::move(clear_server_), context, clock_->now() + 5s, server_));
  EXPECT_EQ(server_.error->code(), ErrorCode::invalid_argument);
  EXPECT_TRUE(server_.error->message().contains("does not speak TLS")) << server_.text();
  if (GetParam() == Kind::kernel) {
    std::string answer;
    run(read_all(*plain, answer));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
    EXPECT_TRUE(answer.ends_with("use https:// in the URL.\n")) << answer;
    EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 49u);
  }
}

TEST_P(TlsTest, AHandshakeThatNeverComesMeetsItsDeadline) {
  run(connect_clear());
  run(accept(std::move(clear_server_), *make_tls_server(identity().server()), clock_->now() + 10ms, server_));
  EXPECT_EQ(server_.error->code(), ErrorCode::deadline_exceeded);
}

TEST_P(TlsTest, AReadMeetsItsDeadlineAndTheStreamStillWrites) {
  shake_well();
  std::optional<ErrorCode> code;
  client_.stream->set_deadline(clock_->now() + 5ms);
  run(read_once(*client_.stream, code));
  EXPECT_EQ(code, ErrorCode::deadline_exceeded);
  client_.stream->set_deadline(std::nullopt);
  std::string received;
  run(write_and_end(*client_.stream, "why", ""));
  run(read_all(*server_.stream, received));
  EXPECT_EQ(received, "why");
}

TEST_P(TlsTest, AWatchTellsWhenThePeerLeavesAndBytesEndIt) {
  shake_well();
  int told = 0;
  EXPECT_TRUE(server_.stream->quiet());
  server_.stream->watch_peer_close([&told] { ++told; });
  loop_.restart();
  loop_.run_for(10ms);
  EXPECT_EQ(told, 0);
  client_.stream->close();
  loop_.restart();
  loop_.run_for(20ms);
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(server_.stream->quiet());
}

/// A client that speaks TLS record by record, as no client of ours does.
class RecordClient {
 public:
  RecordClient(Stream& clear, std::shared_ptr<TlsContext> context)
      : clear_(clear),
        context_(std::move(context)),
        connection_(context_->make_connection(false, "localhost")) {
    incoming_ = BIO_new(BIO_s_mem());
    outgoing_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(incoming_, -1);
    SSL_set_bio(connection_.get(), incoming_, outgoing_);
  }

  Task<void> handshake() {
    std::vector<char> part(16 * 1024);
    while (true) {
      const bool done = SSL_do_handshake(connection_.get()) == 1;
      co_await flush();
      if (done) co_return;
      const auto count = co_await clear_.read_some(part);
      EXPECT_TRUE(count && *count > 0);
      if (!count || *count == 0) co_return;
      BIO_write(incoming_, part.data(), static_cast<int>(*count));
    }
  }

  /// So many key updates (RFC 8446 §4.6.3), then one record with `data`, if there is any.
  Task<void> send(int key_updates, std::string data) {
    for (int i = 0; i < key_updates; ++i) {
      EXPECT_EQ(SSL_key_update(connection_.get(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
      EXPECT_EQ(SSL_do_handshake(connection_.get()), 1);
    }
    if (!data.empty()) EXPECT_GT(SSL_write(connection_.get(), data.data(), static_cast<int>(data.size())), 0);
    co_await flush();
  }

 private:
  Task<void> flush() {
    char* data = nullptr;
    const long size = BIO_get_mem_data(outgoing_, &data);
    const std::string bytes(data, static_cast<std::size_t>(size));
    static_cast<void>(BIO_reset(outgoing_));
    // A server that has hung up needs no more.
    [[maybe_unused]] const auto written = co_await clear_.write(bytes);
  }

  Stream& clear_;
  std::shared_ptr<TlsContext> context_;
  SslPointer connection_;
  BIO* incoming_ = nullptr;  // owned by the connection, as is
  BIO* outgoing_ = nullptr;
};

Task<void> count_turns(Executor executor, const bool& done, int& turns) {
  while (!done) {
    ++turns;
    co_await step(executor);
  }
}

Task<void> read_until_failure(Stream& stream, std::string& received, std::string& failure, bool& done) {
  std::vector<char> buffer(1000);
  while (true) {
    const auto count = co_await stream.read_some(buffer);
    if (!count) failure = count.error().message();
    if (!count || *count == 0) break;
    received.append(buffer.data(), *count);
  }
  stream.close();
  done = true;
}

TEST_P(TlsTest, RecordsWithoutDataNeitherHoldTheLoopNorGoOnForEver) {
  run(connect_clear());
  RecordClient client(*clear_client_, *make_tls_client(identity().ca_pem));
  TaskScope scope(loop_.get_executor());
  scope.spawn(client.handshake());
  scope.spawn(
      accept(std::move(clear_server_), *make_tls_server(identity().server()), clock_->now() + 5s, server_));
  finish(scope);
  ASSERT_TRUE(server_.stream) << server_.text();
  std::string received;
  std::string failure;
  bool done = false;
  int turns = 0;
  scope.spawn(read_until_failure(*server_.stream, received, failure, done));
  scope.spawn(count_turns(loop_.get_executor(), done, turns));
  // A client that renews its keys now and then is served ...
  scope.spawn(client.send(500, "one"));
  scope.spawn(client.send(500, "two"));
  // ... and one that does nothing else is not.
  scope.spawn(client.send(8000, ""));
  finish(scope);
  EXPECT_EQ(received, "onetwo");
  EXPECT_TRUE(failure.ends_with("it sends records without data")) << failure;
  EXPECT_GE(turns, 3);
}

class KernelTlsTest : public TlsTest {};
INSTANTIATE_TEST_SUITE_P(Kernel, KernelTlsTest, ::testing::Values(Kind::kernel));

TEST_P(KernelTlsTest, AClientResumesItsLastSession) {
  const auto server = *make_tls_server(identity().server());
  const auto client = *make_tls_client(identity().ca_pem);
  std::vector<bool> resumed;
  for (int i = 0; i < 2; ++i) {
    shake(server, client, "localhost");
    ASSERT_TRUE(client_.stream) << client_.text();
    std::string received;
    run(write_and_end(*server_.stream, "ticket comes with this", ""));
    run(read_all(*client_.stream, received));
    resumed.push_back(client_.stream->security().ends_with("resumed"));
  }
  EXPECT_EQ(resumed, (std::vector<bool>{false, true}));
}

TEST_P(KernelTlsTest, AConnectionCutWithoutGoodbyeIsAnErrorNotAnEnd) {
  run(connect_clear());
  // The peer's TCP stream ends in the middle of a record that never was.
  const auto half = [](Stream& stream) -> Task<void> {
    const auto written = co_await stream.write(std::string_view("\x16\x03\x01\x02", 4));
    EXPECT_TRUE(written);
    stream.close();
  };
  run(half(*clear_client_));
  run(accept(std::move(clear_server_), *make_tls_server(identity().server()), clock_->now() + 5s, server_));
  EXPECT_EQ(server_.error->code(), ErrorCode::unavailable) << server_.text();
}

TEST(TlsContext, ExplainsUnusableFiles) {
  const auto first = testing::make_test_identity("DNS:localhost");
  const auto second = testing::make_test_identity("DNS:localhost");
  EXPECT_EQ(
      make_tls_server({first.certificate_pem, Secret(second.key_pem)}).error().message(),
      "the private key does not belong to the certificate; give the two files that were issued together");
  EXPECT_EQ(make_tls_server({"nonsense", Secret(first.key_pem)}).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(make_tls_server({first.certificate_pem, Secret("nonsense")}).error().message(),
            "the private key is not readable; give an unencrypted PEM file (BEGIN PRIVATE KEY)");
  EXPECT_EQ(make_tls_client("nonsense").error().code(), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace berth::net
