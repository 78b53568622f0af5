#pragma once

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/testing/sim_clock.h"
#include "net/testing/memory_network.h"
#include "network/front_door.h"

/// For tests: a front door on an in-memory network and simulated time, with clients and targets played by
/// hand.
namespace berth::network::testing {

using namespace std::chrono_literals;

/// One end of a connection, played by the test: what it has received so far lies in `received`.
class Peer {
 public:
  enum class Reading : std::uint8_t { from_start, later };
  Peer(std::unique_ptr<net::Stream> stream, Executor executor, Reading reading = Reading::from_start)
      : stream_(std::move(stream)), scope_(executor) {
    if (reading == Reading::from_start) start_reading();
  }

  void start_reading() { scope_.spawn(read_all()); }
  void send(std::string text) { scope_.spawn(write_all(std::move(text))); }
  void close() { stream_->close(); }
  void close_write() { stream_->close_write(); }
  /// What came since the last call.
  std::string take() { return std::exchange(received, {}); }
  void stop() {
    stream_->close();
    scope_.cancel();
  }

  std::string received;
  bool ended = false;    ///< the other side has ended or reset the stream
  std::size_t sent = 0;  ///< bytes written so far

 private:
  Task<void> read_all() {
    std::vector<char> part(64 * 1024);
    while (true) {
      const auto count = co_await stream_->read_some(part);
      if (!count || *count == 0) break;
      received.append(part.data(), *count);
    }
    ended = true;
  }
  Task<void> write_all(std::string text) {
    constexpr std::size_t step = 4096;
    for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(std::min(step, rest.size()))) {
      const auto written = co_await stream_->write(rest.substr(0, step));
      if (!written) co_return;
      sent += std::min(step, rest.size());
    }
  }

  std::unique_ptr<net::Stream> stream_;
  TaskScope scope_;
};

/// A target whose health checks are answered by `healthy`; every other connection is played by the test.
class StubTarget {
 public:
  StubTarget(net::Network& network, net::Endpoint endpoint)
      : network_(network), endpoint_(std::move(endpoint)), scope_(network.clock().executor()) {
    listen();
  }

  void listen() {
    listener_ = std::move(*network_.listen(endpoint_));
    scope_.spawn(accept_all());
  }
  /// New connections are refused from now on.
  void refuse() { listener_->close(); }
  void stop() {
    listener_->close();
    for (Peer& peer : peers) peer.stop();
    scope_.cancel();
  }

  bool healthy = true;
  Peer::Reading reading = Peer::Reading::from_start;  ///< of all that comes after the first bytes
  std::size_t probes = 0;
  std::list<Peer> peers;  ///< connections of the front door, oldest first

 private:
  Task<void> accept_all() {
    while (true) {
      auto accepted = co_await listener_->accept();
      if (!accepted) co_return;
      scope_.spawn(sort_out(std::move(*accepted)));
    }
  }
  Task<void> sort_out(std::unique_ptr<net::Stream> stream) {
    std::vector<char> part(64 * 1024);
    const auto count = co_await stream->read_some(part);
    if (!count || *count == 0) co_return;
    const std::string_view text(part.data(), *count);
    if (text.starts_with("GET /readyz ")) {
      ++probes;
      const std::string_view answer = healthy
                                          ? "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                                          : "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
      co_await stream->write(answer);
      co_return;
    }
    peers.emplace_back(std::move(stream), network_.clock().executor(), reading).received = text;
  }

  net::Network& network_;
  net::Endpoint endpoint_;
  std::unique_ptr<net::Listener> listener_;
  TaskScope scope_;
};

class DoorFixture : public ::testing::Test {
 protected:
  DoorFixture() {
    options.loops = FrontDoorOptions::Loops::callers_loop;
    options.listener.http_port = 8080;
    options.listener.idle_timeout = 60'000ms;
  }

  void TearDown() override {
    if (door_) drain(clock.now());
    for (auto& [id, stub] : targets) stub.stop();
    for (Peer& client : clients) client.stop();
    clock.run_until_idle();
  }

  FrontDoor& door() {
    if (!door_) door_ = std::move(*make_front_door(options, *network, null_log()));
    return *door_;
  }

  /// Registers a target at 127.0.<zone>.1:3000 and waits until it is healthy.
  StubTarget& add_target(const std::string& id = "1") {
    const net::Endpoint endpoint{"127.0." + id + ".1", 3000};
    StubTarget& stub = targets.try_emplace(id, *network, endpoint).first->second;
    EXPECT_TRUE(door().register_target({id, endpoint, "a"}));
    clock.advance(20ms);
    return stub;
  }

  Peer& connect(Peer::Reading reading = Peer::Reading::from_start) {
    door();
    std::unique_ptr<net::Stream> stream;
    TaskScope scope(loop.get_executor());
    scope.spawn(connect_to({"127.0.0.1", 8080}, stream));
    clock.run_until_idle();
    EXPECT_TRUE(stream);
    return clients.emplace_back(std::move(stream), loop.get_executor(), reading);
  }

  /// A new client that sends `text`.
  Peer& request(std::string text) {
    Peer& client = connect();
    client.send(std::move(text));
    clock.run_until_idle();
    return client;
  }

  void send(Peer& peer, std::string text) {
    peer.send(std::move(text));
    clock.run_until_idle();
  }

  /// What a client gets for `text`, with nobody behind.
  std::string answer_to(std::string text) {
    Peer& client = request(std::move(text));
    return client.received;
  }

  std::optional<std::size_t> drain(TimePoint deadline) {
    std::optional<std::size_t> cut;
    drains_.emplace_back(loop.get_executor()).spawn(run_drain(deadline, cut));
    clock.advance(deadline - clock.now());
    return cut;
  }

  Task<void> connect_to(net::Endpoint endpoint, std::unique_ptr<net::Stream>& out) {
    auto connected = co_await network->connect(endpoint, clock.now() + 1s);
    if (connected) out = std::move(*connected);
  }
  Task<void> run_drain(TimePoint deadline, std::optional<std::size_t>& cut) {
    cut = co_await door_->drain(deadline);
  }

  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  FrontDoorOptions options;
  std::unique_ptr<FrontDoor> door_;
  std::map<std::string, StubTarget> targets;
  std::list<Peer> clients;

 private:
  std::list<TaskScope> drains_;
};

/// The body of a message whose head ends in an empty line.
inline std::string body_of(const std::string& message) {
  const std::size_t end = message.find("\r\n\r\n");
  return end == std::string::npos ? std::string() : message.substr(end + 4);
}
inline std::string first_line(const std::string& message) { return message.substr(0, message.find("\r\n")); }

}  // namespace berth::network::testing
