#include "net/network.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/testing/sim_clock.h"
#include "net/testing/memory_network.h"

namespace berth::net {
namespace {

using namespace std::chrono_literals;

constexpr auto test_timeout = 10s;

TEST(Endpoint, ParsesWhatItWrites) {
  for (const char* text : {"127.0.0.1:3000", "[::1]:3000", "unix:/tmp/x.sock", "0.0.0.0:0"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(to_string(*endpoint), text);
  }
  EXPECT_EQ(to_string(*parse_endpoint("localhost:80")), "127.0.0.1:80");
}

TEST(Endpoint, RefusesWhatIsNoNumericEndpoint) {
  for (const char* text : {"", "80", "example.com:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80",
                           "[::1]", "[127.0.0.1:80", "unix:", "127.0.0.1:8x"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
}

/// The same behaviour is expected of kernel sockets in real time and of the in-memory twin.
enum class Kind { tcp, unix_socket, long_unix_path, memory };

class NetworkTest : public ::testing::TestWithParam<Kind> {
 protected:
  NetworkTest() {
    clock_ = make_real_clock(loop_.get_executor());
    if (GetParam() == Kind::memory) {
      network_ = testing::make_memory_network(*clock_);
    } else {
      network_ = make_network(*clock_);
    }
    endpoint_ = Endpoint{"127.0.0.1", 0};
    folder_ = ::testing::TempDir() + "berth-" + std::to_string(::getpid());
    if (GetParam() == Kind::long_unix_path) folder_ += std::string(150, 'x');
    std::filesystem::create_directories(folder_);
    if (is_unix()) endpoint_ = Endpoint{"unix:" + folder_ + "/x.sock", 0};
    auto listener = network_->listen(endpoint_);
    EXPECT_TRUE(listener) << listener.error().message();
    listener_ = std::move(*listener);
    endpoint_ = listener_->local();
  }

  ~NetworkTest() override {
    listener_.reset();
    std::filesystem::remove_all(folder_);
  }

  static bool is_unix() { return GetParam() == Kind::unix_socket || GetParam() == Kind::long_unix_path; }

  /// Runs the loop until `task` is done.
  void run(Task<void> task) {
    TaskScope scope(loop_.get_executor());
    scope.spawn(std::move(task));
    loop_.restart();
    const auto limit = clock_->now() + test_timeout;
    while (scope.size() > 0 && clock_->now() < limit) {
      loop_.restart();
      loop_.run_one_for(100ms);
    }
    EXPECT_EQ(scope.size(), 0u) << "the test did not finish in time";
  }

  Task<void> connect_both() {
    auto client = co_await network_->connect(endpoint_, clock_->now() + 5s);
    EXPECT_TRUE(client);
    auto server = co_await listener_->accept();
    EXPECT_TRUE(server);
    client_ = std::move(*client);
    server_ = std::move(*server);
  }

  asio::io_context loop_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Listener> listener_;
  Endpoint endpoint_;
  std::string folder_;
  std::unique_ptr<Stream> client_;
  std::unique_ptr<Stream> server_;
};

INSTANTIATE_TEST_SUITE_P(All, NetworkTest,
                         ::testing::Values(Kind::tcp, Kind::unix_socket, Kind::long_unix_path, Kind::memory));

Task<void> read_all(Stream& stream, std::string& out) {
  std::vector<char> buffer(1000);
  while (true) {
    const auto count = co_await stream.read_some(buffer);
    EXPECT_TRUE(count) << count.error().message();
    if (!count || *count == 0) co_return;
    out.append(buffer.data(), *count);
  }
}

Task<void> write_and_end(Stream& stream, std::string first, std::string second) {
  const auto written = co_await stream.write(first, second);
  EXPECT_TRUE(written);
  stream.close_write();
}

TEST_P(NetworkTest, BothPartsOfAWriteArriveThenTheEnd) {
  std::string received;
  run(connect_both());
  run(write_and_end(*client_, "head|", "body"));
  run(read_all(*server_, received));
  EXPECT_EQ(received, "head|body");
  received.clear();
  run(write_and_end(*server_, "answer", ""));
  run(read_all(*client_, received));
  EXPECT_EQ(received, "answer");
}

TEST_P(NetworkTest, ABigTransferWaitsForItsReader) {
  std::string received;
  run(connect_both());
  TaskScope scope(loop_.get_executor());
  const std::string big(8'000'000, 'x');
  scope.spawn(write_and_end(*client_, big, big));
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(scope.size(), 1u) << "nobody reads, so the writer waits";
  run(read_all(*server_, received));
  run(scope.join());
  EXPECT_EQ(received.size(), 2 * big.size());
}

Task<void> read_once(Stream& stream, std::optional<ErrorCode>& code) {
  std::vector<char> buffer(10);
  const auto count = co_await stream.read_some(buffer);
  if (!count) code = count.error().code();
}

TEST_P(NetworkTest, AReadPastItsDeadlineFailsAndLeavesTheStreamOpen) {
  std::optional<ErrorCode> code;
  std::string received;
  run(connect_both());
  client_->set_deadline(clock_->now() + 1h);
  client_->set_deadline(clock_->now() + 5ms);
  run(read_once(*client_, code));
  EXPECT_EQ(code, ErrorCode::deadline_exceeded);
  client_->set_deadline(std::nullopt);
  run(write_and_end(*client_, "why", ""));
  run(read_all(*server_, received));
  EXPECT_EQ(received, "why");
}

Task<void> write_once(Stream& stream, std::string data, std::optional<ErrorCode>& code) {
  const auto written = co_await stream.write(data);
  if (!written) code = written.error().code();
}

TEST_P(NetworkTest, AWritePastItsDeadlineFailsAndClosesTheStream) {
  std::optional<ErrorCode> code;
  run(connect_both());
  client_->set_deadline(clock_->now() + 5ms);
  run(write_once(*client_, std::string(20'000'000, 'x'), code));
  EXPECT_EQ(code, ErrorCode::deadline_exceeded);
  run(read_once(*client_, code));
  EXPECT_TRUE(code == ErrorCode::cancelled || code == ErrorCode::deadline_exceeded);
}

TEST_P(NetworkTest, AStreamIsQuietUntilThePeerSendsOrLeaves) {
  std::string received;
  run(connect_both());
  EXPECT_TRUE(server_->quiet());
  run(write_and_end(*client_, "x", ""));
  EXPECT_FALSE(server_->quiet());
  run(read_all(*server_, received));
  EXPECT_FALSE(server_->quiet()) << "the peer has ended";
}

TEST_P(NetworkTest, ADeadlineMovedOnDoesNotFire) {
  std::optional<ErrorCode> code;
  run(connect_both());
  TaskScope scope(loop_.get_executor());
  client_->set_deadline(clock_->now() + 5ms);
  scope.spawn(read_once(*client_, code));
  loop_.restart();
  loop_.poll();
  client_->set_deadline(clock_->now() + 1h);
  loop_.run_for(30ms);
  EXPECT_EQ(scope.size(), 1u);
  run(write_and_end(*server_, "x", ""));
  run(scope.join());
  EXPECT_FALSE(code);
}

TEST_P(NetworkTest, ClosingEndsAReadUnderWay) {
  std::optional<ErrorCode> code;
  run(connect_both());
  TaskScope scope(loop_.get_executor());
  scope.spawn(read_once(*client_, code));
  loop_.restart();
  loop_.poll();
  client_->close();
  run(scope.join());
  EXPECT_EQ(code, ErrorCode::cancelled);
}

TEST_P(NetworkTest, CancellingAReaderLeavesTheStreamUsable) {
  std::optional<ErrorCode> code;
  std::string received;
  run(connect_both());
  {
    TaskScope scope(loop_.get_executor());
    scope.spawn(read_once(*client_, code));
    loop_.restart();
    loop_.poll();
    scope.cancel();
    run(scope.join());
  }
  EXPECT_FALSE(code) << "cancellation unwinds, it is no error value";
  run(write_and_end(*server_, "later", ""));
  run(read_all(*client_, received));
  EXPECT_EQ(received, "later");
}

TEST_P(NetworkTest, AWatchTellsOnceWhenThePeerGoes) {
  int told = 0;
  run(connect_both());
  server_->watch_peer_close([&told] { ++told; });
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(told, 0);
  client_->close();
  loop_.restart();
  loop_.run_for(20ms);
  EXPECT_EQ(told, 1);
}

TEST_P(NetworkTest, ACancelledWatchAndOneEndedByBytesStaySilent) {
  int told = 0;
  run(connect_both());
  server_->watch_peer_close([&told] { ++told; });
  server_->watch_peer_close(nullptr);
  run(write_and_end(*client_, "x", ""));
  server_->watch_peer_close([&told] { ++told; });
  loop_.restart();
  loop_.run_for(20ms);
  EXPECT_EQ(told, 0);
  std::string received;
  run(read_all(*server_, received));
  EXPECT_EQ(received, "x");
}

TEST_P(NetworkTest, WritingToAPeerThatHasGoneFails) {
  std::optional<ErrorCode> code;
  run(connect_both());
  server_->close();
  const auto write_on = [](Stream& stream, std::optional<ErrorCode>& out) -> Task<void> {
    const std::string big(1'000'000, 'x');
    for (int i = 0; i < 10 && !out; ++i) {
      const auto written = co_await stream.write(big);
      if (!written) out = written.error().code();
    }
  };
  run(write_on(*client_, code));
  EXPECT_EQ(code, ErrorCode::unavailable);
}

TEST_P(NetworkTest, AnEndpointInUseIsNamed) {
  const auto second = network_->listen(endpoint_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::conflict);
  if (!is_unix()) {
    EXPECT_EQ(second.error().message(), "port " + std::to_string(endpoint_.port) +
                                            " on 127.0.0.1 is in use by "
                                            "another process; stop it or choose another port");
  }
}

Task<void> accept_once(Listener& listener, std::optional<ErrorCode>& code) {
  const auto stream = co_await listener.accept();
  if (!stream) code = stream.error().code();
}

Task<void> connect_once(Network& network, Endpoint endpoint, std::optional<ErrorCode>& code) {
  const auto stream = co_await network.connect(endpoint, network.clock().now() + 5s);
  if (!stream) code = stream.error().code();
}

TEST_P(NetworkTest, AClosedListenerEndsItsAcceptAndRefusesConnections) {
  std::optional<ErrorCode> accepted;
  std::optional<ErrorCode> connected;
  TaskScope scope(loop_.get_executor());
  scope.spawn(accept_once(*listener_, accepted));
  loop_.restart();
  loop_.poll();
  listener_->close();
  run(scope.join());
  EXPECT_EQ(accepted, ErrorCode::cancelled);
  run(connect_once(*network_, endpoint_, connected));
  EXPECT_EQ(connected, ErrorCode::unavailable);
  const auto again = network_->listen(endpoint_);
  EXPECT_TRUE(again) << "the port is free at once";
}

Task<void> accept_after_close(Network& network, std::string& seen) {
  const auto listener = network.listen(Endpoint{"127.0.0.1", 0});
  const auto client = co_await network.connect((*listener)->local(), network.clock().now() + 5s);
  (*listener)->close();
  const auto waiting = co_await (*listener)->accept();
  const auto further = co_await (*listener)->accept();
  seen = std::string(client && waiting ? "accepted" : "lost") + (further ? "" : ", closed");
}

TEST(KernelNetwork, AConnectionThatWaitedToBeAcceptedOutlivesItsListener) {
  asio::io_context loop;
  const auto clock = make_real_clock(loop.get_executor());
  const auto network = make_network(*clock);
  std::string seen;
  TaskScope scope(loop.get_executor());
  scope.spawn(accept_after_close(*network, seen));
  loop.run();
  EXPECT_EQ(seen, "accepted, closed");
}

TEST(KernelNetwork, ExplainsWhatCannotBeListenedOn) {
  asio::io_context loop;
  const auto clock = make_real_clock(loop.get_executor());
  const auto network = make_network(*clock);
  EXPECT_EQ(network->listen(Endpoint{"198.51.100.7", 0}).error().message(),
            "198.51.100.7 is not an address of this machine; listen on 127.0.0.1 or on one of its own");
  EXPECT_EQ(network->listen(Endpoint{"localhost", 80}).error().code(), ErrorCode::invalid_argument);
  const auto too_long = network->listen(Endpoint{"unix:/tmp/" + std::string(200, 'x'), 0});
  EXPECT_EQ(too_long.error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(network->listen(Endpoint{"unix:/nowhere/x.sock", 0}).error().code(), ErrorCode::not_found);
}

TEST(KernelNetwork, SeveralListenersShareAPortThatIsTheirsAlone) {
  asio::io_context loop;
  const auto clock = make_real_clock(loop.get_executor());
  const auto network = make_network(*clock);
  const auto first = network->listen(Endpoint{"127.0.0.1", 0}, PortSharing::first);
  ASSERT_TRUE(first);
  const Endpoint endpoint = (*first)->local();
  const auto second = network->listen(endpoint, PortSharing::further);
  EXPECT_TRUE(second);
  EXPECT_TRUE(network->listen(endpoint, PortSharing::further));
  // Another service would begin like the first of these did.
  EXPECT_EQ(network->listen(endpoint, PortSharing::first).error().code(), ErrorCode::conflict);
  EXPECT_EQ(network->listen(endpoint, PortSharing::exclusive).error().code(), ErrorCode::conflict);
}

TEST(MemoryNetwork, ACutEndpointResetsItsStreamsUntilHealed) {
  asio::io_context loop;
  berth::testing::SimClock clock(loop);
  const auto network = testing::make_memory_network(clock);
  const auto listener = network->listen(Endpoint{"10.0.0.1", 3000});
  ASSERT_TRUE(listener);
  std::optional<ErrorCode> code;
  TaskScope scope(loop.get_executor());
  const Endpoint endpoint{"10.0.0.1", 3000};
  const auto use = [](Network& net, Endpoint to, std::optional<ErrorCode>& out) -> Task<void> {
    const auto stream = co_await net.connect(to, net.clock().now() + 1s);
    EXPECT_TRUE(stream);
    std::vector<char> buffer(1);
    const auto count = co_await (*stream)->read_some(buffer);
    if (!count) out = count.error().code();
  };
  scope.spawn(use(*network, endpoint, code));
  clock.run_until_idle();
  EXPECT_FALSE(code);
  network->cut(endpoint);
  clock.run_until_idle();
  EXPECT_EQ(code, ErrorCode::unavailable);
  code.reset();
  scope.spawn(connect_once(*network, endpoint, code));
  clock.run_until_idle();
  EXPECT_EQ(code, ErrorCode::unavailable);
  code.reset();
  network->heal(endpoint);
  scope.spawn(connect_once(*network, endpoint, code));
  clock.run_until_idle();
  EXPECT_FALSE(code);
}

}  // namespace
}  // namespace berth::net
