// The front door on its own threads and kernel sockets: what the in-memory tests cannot show.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <thread>

#include "codec/http1.h"
#include "net/testing/certificates.h"
#include "network/front_door.h"

namespace berth::network {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A target on a thread of its own that answers every request alike.
class EchoTarget {
 public:
  EchoTarget()
      : clock_(make_real_clock(loop_.get_executor())),
        network_(net::make_network(*clock_)),
        listener_(std::move(*network_->listen({"127.0.0.1", 0}))),
        scope_(loop_.get_executor()) {
    scope_.spawn(accept_all());
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~EchoTarget() {
    asio::post(loop_, [this] {
      listener_->close();
      scope_.cancel();
    });
    thread_.join();
  }
  net::Endpoint endpoint() const { return listener_->local(); }

 private:
  Task<void> accept_all() {
    while (true) {
      auto accepted = co_await listener_->accept();
      if (!accepted) co_return;
      scope_.spawn(serve(std::move(*accepted)));
    }
  }
  Task<void> serve(std::unique_ptr<net::Stream> stream) {
    std::string bytes;
    char part[4096];
    http1::HeadView head;
    while (true) {
      const auto count = co_await stream->read_some(part);
      if (!count || *count == 0) co_return;
      bytes.append(part, *count);
      while (http1::parse_request(bytes, {}, head) == http1::HeadStatus::complete &&
             bytes.size() >= head.bytes + head.content_length) {
        bytes.erase(0, head.bytes + head.content_length);
        const auto written = co_await stream->write(answer);
        if (!written) co_return;
      }
    }
  }

  asio::io_context loop_{1};
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<net::Network> network_;
  std::unique_ptr<net::Listener> listener_;
  std::thread thread_;
  TaskScope scope_;
};

class ThreadsTest : public ::testing::Test {
 protected:
  ThreadsTest() {
    options.listener.http_port = 0;
    options.listener.https_port = 0;
    options.listener.threads = 2;
  }

  void run(Task<void> script) {
    TaskScope scope(loop.get_executor());
    scope.spawn(std::move(script));
    loop.restart();
    loop.run();
  }

  Task<void> wait_until_healthy(FrontDoor& door, std::size_t count) {
    while (true) {
      std::size_t healthy = 0;
      for (const TargetHealth& health : door.targets())
        healthy += health.state == TargetState::healthy ? 1 : 0;
      if (healthy >= count) co_return;
      co_await clock->sleep_for(1ms);
    }
  }

  /// `requests` requests over one connection; counts the good answers.
  Task<void> client(net::Endpoint endpoint, std::shared_ptr<net::TlsContext> tls, int requests, int& good) {
    auto connected = co_await network->connect(endpoint, clock->now() + 5s);
    if (!connected) co_return;
    std::unique_ptr<net::Stream> stream = std::move(*connected);
    if (tls) {
      auto secured = co_await net::tls_connect(std::move(stream), tls, "localhost", clock->now() + 5s);
      if (!secured) co_return;
      stream = std::move(*secured);
    }
    for (int i = 0; i < requests; ++i) {
      const auto written =
          co_await stream->write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
      if (!written) co_return;
      std::string received;
      while (received.size() < answer.size()) {
        char part[4096];
        const auto count = co_await stream->read_some(part);
        if (!count || *count == 0) co_return;
        received.append(part, *count);
      }
      good += received == answer ? 1 : 0;
    }
  }

  asio::io_context loop{1};
  std::unique_ptr<Clock> clock = make_real_clock(loop.get_executor());
  std::unique_ptr<net::Network> network = net::make_network(*clock);
  FrontDoorOptions options;
};

TEST_F(ThreadsTest, ServesManyClientsOverHttpAndHttpsWhileTargetsComeAndGo) {
  const auto identity = net::testing::make_test_identity("DNS:localhost");
  options.tls = std::move(*net::make_tls_server(identity.server()));
  const auto client_tls = std::move(*net::make_tls_client(identity.ca_pem));
  EchoTarget targets[3];
  const auto door = std::move(*make_front_door(options, *network, null_log()));
  constexpr int clients = 24;
  constexpr int requests = 40;
  int good = 0;
  const auto script = [&]() -> Task<void> {
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(door->register_target({std::to_string(i), targets[i].endpoint(), "a"}));
    }
    co_await wait_until_healthy(*door, 3);
    TaskScope scope(loop.get_executor());
    for (int i = 0; i < clients; ++i) {
      const bool secure = i % 2 == 1;
      const net::Endpoint endpoint = secure ? *door->https() : *door->http();
      scope.spawn(client(endpoint, secure ? client_tls : nullptr, requests, good));
    }
    co_await door->deregister_target("0");
    EXPECT_TRUE(door->register_target({"3", targets[0].endpoint(), "b"}));
    door->set_tls(options.tls);
    co_await scope.join();
    monitoring::MetricsWriter writer;
    door->write_metrics(writer);
    EXPECT_NE(writer.text().find("berth_target_answers_total"), std::string::npos);
    EXPECT_EQ(door->totals().requests, static_cast<std::uint64_t>(clients * requests));
    const std::size_t cut = co_await door->drain(clock->now() + 5s);
    EXPECT_EQ(cut, 0u);
  };
  run(script());
  EXPECT_EQ(good, clients * requests);
}

TEST_F(ThreadsTest, APortThatAnotherHasIsAConflictAlthoughThreadsShareOne) {
  const auto first = make_front_door(options, *network, null_log());
  ASSERT_TRUE(first);
  options.listener.http_port = (*first)->http()->port;
  const auto second = make_front_door(options, *network, null_log());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::conflict);
}

TEST_F(ThreadsTest, MayBeDestroyedWithoutHavingBeenDrained) {
  EchoTarget target;
  auto door = std::move(*make_front_door(options, *network, null_log()));
  int good = 0;
  const auto script = [&]() -> Task<void> {
    EXPECT_TRUE(door->register_target({"1", target.endpoint(), "a"}));
    co_await wait_until_healthy(*door, 1);
    co_await client(*door->http(), nullptr, 3, good);
    door->remove_target("1");
    co_await clock->sleep_for(1ms);
  };
  run(script());
  EXPECT_EQ(good, 3);
}

}  // namespace
}  // namespace berth::network
