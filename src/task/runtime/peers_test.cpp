#include "task/peers.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/random.h"
#include "base/testing/sim_clock.h"
#include "http/client.h"
#include "net/testing/memory_network.h"
#include "task/runtime/parts.h"
#include "task/runtime/testing/fakes.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(::testing::TempDir() + "berth-" + random_hex(8)) {}
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// One task on a network, with fakes behind its endpoints.
struct Node {
  Node(net::Network& network, const std::string& id, const std::string& host, std::uint16_t port,
       const std::string& data, std::shared_ptr<net::TlsContext> tls)
      : network_(network) {
    RuntimeOptions options;
    options.spec.servers.resize(1);
    options.spec.servers[0].name = "demo";
    options.fleet_key = Secret(std::string(32, 'k'));
    options.keys.emplace_back("alice", Secret("key"));
    options.identity = {id, "a", 0, host + ":" + std::to_string(port == 0 ? 0 : port + 1)};
    options.listen = {host, port};
    options.data_directory = data;
    RuntimeParts parts = fakes.parts();
    parts.peer_tls = std::move(tls);
    runtime = assemble_runtime(std::move(options), std::move(parts), network, null_log()).value();
    http::ClientOptions client_options;
    client_options.endpoint = runtime->local();
    client = http::make_client(network, std::move(client_options));
  }

  const EndpointWorld& world() const { return fakes.endpoints[0]->world_; }

  /// A handle of something that this task owns.
  mcp::Handle handle() const {
    mcp::Handle made;
    made.owner = world().identity.id;
    made.owner_address = world().identity.peer_address;
    made.generation = world().identity.generation;
    made.principal = "alice";
    return made;
  }

  Task<void> drain() { co_await runtime->drain(network_.clock().now() + 2s); }

  net::Network& network_;
  testing::FakeParts fakes;
  std::unique_ptr<Runtime> runtime;
  std::unique_ptr<http::Client> client;
};

Task<void> fetch_into(http::Client& client, http::ClientRequest request, std::string& answer) {
  const auto fetched = co_await client.fetch(std::move(request), 100'000);
  answer = fetched ? std::to_string(fetched->status) + " " + fetched->body : fetched.error().message();
}

/// Asks `node` for something that the owner of `handle` has.
http::ClientRequest forwarded_request(const Node& node, const mcp::Handle& handle) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = "/mcp?forward=" + node.world().sealer.seal(handle);
  request.headers.add("Authorization", "Bearer key");
  request.headers.add("Berth-Principal", "root");
  request.body = "a body";
  return request;
}

class Sisters : public ::testing::Test {
 protected:
  void TearDown() override {
    for (Node* node : {first.get(), second.get()}) {
      if (node != nullptr) scope.spawn(node->drain());
    }
    clock.advance(2s);
  }
  std::unique_ptr<Node> make(const std::string& id) {
    auto node = std::make_unique<Node>(*network, id, "127.0.0." + id, 3000, data.path(), nullptr);
    clock.run_until_idle();
    return node;
  }
  void stop(std::unique_ptr<Node>& node) {
    scope.spawn(node->drain());
    clock.advance(2s);
    node.reset();
  }
  std::string peers_of(Node& node) {
    http::ClientRequest request;
    request.target = "/metrics";
    request.headers.add("X-API-Key", "key");
    std::string answer;
    scope.spawn(fetch_into(*node.client, std::move(request), answer));
    clock.run_until_idle();
    const std::size_t at = answer.find("\nberth_peers ");
    return at == std::string::npos ? answer : answer.substr(at + 13, 1);
  }
  std::string ask_forwarded(Node& node, const mcp::Handle& handle) {
    std::string answer;
    scope.spawn(fetch_into(*node.client, forwarded_request(node, handle), answer));
    clock.advance(5s);
    return answer;
  }

  TemporaryFolder data;
  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  std::unique_ptr<Node> first;
  std::unique_ptr<Node> second;
  TaskScope scope{loop.get_executor()};
};

TEST_F(Sisters, FindEachOtherThroughTheSharedFolderAtOnce) {
  first = make("1");
  EXPECT_EQ(peers_of(*first), "0");
  second = make("2");
  EXPECT_EQ(peers_of(*first), "1");
  EXPECT_EQ(peers_of(*second), "1");
  clock.advance(60s);
  EXPECT_EQ(peers_of(*first), "1");
  EXPECT_EQ(first->world().peers.sisters(), std::vector{second->world().identity});
}

TEST_F(Sisters, ADeadOneIsDroppedAfterItsSilenceAndItsNextLifeIsFound) {
  first = make("1");
  second = make("2");
  network->cut({"127.0.0.2", 3001});
  clock.advance(1s);
  EXPECT_EQ(peers_of(*first), "1");
  stop(second);
  clock.advance(15s);
  EXPECT_EQ(peers_of(*first), "0");
  network->heal({"127.0.0.2", 3001});
  second = make("2");
  EXPECT_EQ(peers_of(*first), "1");
}

TEST_F(Sisters, AChangeReachesListenersOnEveryTaskThatMaySeeIt) {
  first = make("1");
  second = make("2");
  std::vector<std::string> seen;
  std::vector<std::shared_ptr<void>> subscriptions;
  for (Node* node : {first.get(), second.get()}) {
    for (const std::string principal : {"alice", "bob"}) {
      subscriptions.push_back(
          node->world().bus.subscribe("demo", principal, [&seen, node, principal](auto& change) {
            seen.push_back(node->world().identity.id + principal + " " + change.uri);
          }));
    }
  }
  subscriptions.push_back(
      second->world().bus.subscribe("other", "alice", [&](auto&) { seen.push_back("wrong"); }));
  ChangeSink& sink = *first->fakes.sinks[0];
  second->world().bus.watch("demo", "alice", "x:\"1\"");
  clock.run_until_idle();
  sink.on_change({mcp::Change::Kind::resource_updated, "x:\"1\"", "alice"});
  clock.advance(100ms);
  EXPECT_EQ(seen, (std::vector<std::string>{"1alice x:\"1\"", "2alice x:\"1\""}));
  seen.clear();
  // A burst of equal changes is one change, also where sisters tell of the same.
  for (int i = 0; i < 100; ++i) sink.on_change({mcp::Change::Kind::tools_list, "", ""});
  clock.advance(20ms);
  second->fakes.sinks[0]->on_change({mcp::Change::Kind::tools_list, "", ""});
  EXPECT_EQ(seen.size(), 0u);
  clock.advance(100ms);
  EXPECT_EQ(seen.size(), 4u);
  sink.on_change({mcp::Change::Kind::message, "", "alice"});
  EXPECT_EQ(seen.size(), 5u) << "what a process says outside calls is for the sessions beside it";
  clock.advance(100ms);
  EXPECT_EQ(seen.size(), 5u);
  subscriptions.clear();
  sink.on_change({mcp::Change::Kind::tools_list, "", ""});
  clock.advance(100ms);
  EXPECT_EQ(seen.size(), 5u);
}

TEST_F(Sisters, AnUpdateReachesThoseAloneThatWatchTheResource) {
  first = make("1");
  second = make("2");
  std::size_t seen = 0;
  const auto subscription = second->world().bus.subscribe("demo", "alice", [&](auto&) { ++seen; });
  const auto update = [&](const std::string& uri, const std::string& principal) {
    first->fakes.sinks[0]->on_change({mcp::Change::Kind::resource_updated, uri, principal});
    clock.advance(100ms);
    return std::exchange(seen, 0);
  };
  second->world().bus.watch("demo", "alice", "x:1");
  second->world().bus.watch("demo", "alice", "x:1");
  clock.run_until_idle();
  EXPECT_EQ(update("x:1", "alice"), 1u);
  EXPECT_EQ(update("x:1", ""), 1u);
  EXPECT_EQ(update("x:2", "alice"), 0u);
  second->world().bus.unwatch("demo", "alice", "x:1");
  clock.run_until_idle();
  EXPECT_EQ(update("x:1", "alice"), 1u) << "another still watches it";
  second->world().bus.unwatch("demo", "alice", "x:1");
  clock.run_until_idle();
  EXPECT_EQ(update("x:1", "alice"), 0u);
}

TEST_F(Sisters, WhatAListenerWatchesIsAskedOfProcessesInOtherTasks) {
  using Said = std::vector<std::string>;
  first = make("1");
  first->world().bus.watch("demo", "alice", "x:1");
  first->world().bus.watch("demo", "alice", "x:2");
  second = make("2");
  const auto said = [&] { return std::exchange(second->fakes.hosts[0]->elsewhere, {}); };
  EXPECT_EQ(said(), (Said{"alice watches x:1", "alice watches x:2"})) << "a newcomer hears all";
  first->world().bus.unwatch("demo", "alice", "x:2");
  network->cut({"127.0.0.2", 3001});
  first->world().bus.watch("demo", "alice", "x:3");
  first->world().bus.watch("other", "alice", "x:4");
  clock.advance(500ms);
  EXPECT_EQ(said(), Said{});
  network->heal({"127.0.0.2", 3001});
  clock.advance(1s);
  EXPECT_EQ(said(), (Said{"alice watches x:3", "alice no more watches x:2"})) << "it is told until it hears";
  stop(first);
  clock.advance(15s);
  EXPECT_EQ(said(), (Said{"alice no more watches x:1", "alice no more watches x:3"}));
}

TEST_F(Sisters, ASisterThatCannotBeReachedCostsNobodyElse) {
  first = make("1");
  second = make("2");
  network->cut({"127.0.0.2", 3001});
  first->fakes.sinks[0]->on_change({mcp::Change::Kind::tools_list, "", ""});
  clock.advance(700ms);
  EXPECT_EQ(peers_of(*first), "0");
}

TEST_F(Sisters, AForwardedRequestIsServedByTheOwnerForItsCaller) {
  first = make("1");
  second = make("2");
  EXPECT_EQ(ask_forwarded(*first, second->handle()), "200 demo on 2 for alice forwarded got a body");
}

TEST_F(Sisters, NothingIsDeliveredToAnotherLifeOfTheOwnerOrToNone) {
  first = make("1");
  second = make("2");
  mcp::Handle handle = second->handle();
  ++handle.generation;
  EXPECT_EQ(ask_forwarded(*first, handle),
            "500 another life: Another life of that task runs at the owner's address.");
  handle.owner_address = "127.0.0.9:3001";
  EXPECT_TRUE(
      ask_forwarded(*first, handle).starts_with("500 not delivered: cannot connect to 127.0.0.9:3001"));
  handle.owner_address = "nonsense";
  EXPECT_TRUE(ask_forwarded(*first, handle).starts_with("500 not delivered: "));
}

Task<void> read_one_part(http::Client& client, http::ClientRequest request, std::string& part) {
  const auto answer = co_await client.send(std::move(request));
  std::array<char, 100> into;
  const auto count = co_await (*answer)->read_some(into);
  part.assign(into.data(), count.value());
}

TEST_F(Sisters, AForwardedStreamComesPartByPartAndEndsWhenItsClientLeaves) {
  first = make("1");
  second = make("2");
  auto request = forwarded_request(*first, second->handle());
  request.headers.add("X-Slow", "1");
  std::string part;
  scope.spawn(read_one_part(*first->client, std::move(request), part));
  clock.run_until_idle();
  EXPECT_EQ(part, "data: 1\n\n");
  EXPECT_EQ(second->fakes.endpoints[0]->left, 1);
}

TEST_F(Sisters, TheOwnersDeathInTheMiddleOfAStreamEndsItWithAnErrorForEachRequest) {
  first = make("1");
  second = make("2");
  const auto ended_with = [&](std::string body) {
    auto request = forwarded_request(*first, second->handle());
    request.headers.add("X-Slow", "1");
    request.body = std::move(body);
    std::string answer;
    scope.spawn(fetch_into(*first->client, std::move(request), answer));
    clock.run_until_idle();
    network->cut({"127.0.0.2", 3001});
    clock.run_until_idle();
    network->heal({"127.0.0.2", 3001});
    return answer;
  };
  const auto error = [](std::string_view id) {
    return fmt::format(
        "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{},\"error\":{{\"code\":-32603,\"message\":\"The "
        "call may "
        "have run; its end is unknown. The task that ran it was lost before it answered.\"}}}}\n\n",
        id);
  };
  EXPECT_EQ(ended_with(R"({"jsonrpc":"2.0","id":"x","method":"tools/call"})"),
            "200 data: 1\n\n" + error("\"x\""));
  EXPECT_EQ(ended_with(R"([{"jsonrpc":"2.0","id":4,"method":"tools/call"},{"jsonrpc":"2.0","method":"n"},)"
                       R"({"jsonrpc":"2.0","id":5,"method":"tools/call"}])"),
            "200 data: 1\n\n" + error("4") + error("5"));
  EXPECT_EQ(ended_with(""), "200 data: 1\n\n");
}

TEST_F(Sisters, TheOwnersDeathInTheMiddleOfACallLeavesItsEndUnknown) {
  first = make("1");
  second = make("2");
  auto request = forwarded_request(*first, second->handle());
  request.headers.add("X-Silent", "1");
  std::string answer;
  scope.spawn(fetch_into(*first->client, std::move(request), answer));
  clock.advance(5s);
  EXPECT_EQ(answer, "");
  network->cut({"127.0.0.2", 3001});
  clock.run_until_idle();
  EXPECT_TRUE(answer.starts_with("500 unknown: ")) << answer;
}

TEST_F(Sisters, ACallMayBeSilentAsLongAsItsOwnerLives) {
  first = make("1");
  second = make("2");
  auto request = forwarded_request(*first, second->handle());
  request.headers.add("X-Silent", "1");
  std::string answer;
  scope.spawn(fetch_into(*first->client, std::move(request), answer));
  clock.advance(10min);
  EXPECT_EQ(answer, "");
  second->fakes.endpoints[0]->go_on.notify();
  clock.run_until_idle();
  EXPECT_EQ(answer, "200 demo on 2 for alice forwarded got a body");
}

TEST_F(Sisters, AnOwnerThatGivesNoSignOfLifeIsLost) {
  first = make("1");
  second = make("2");
  const auto mute = network->listen({"127.0.0.9", 3001});
  mcp::Handle handle = second->handle();
  handle.owner = "9";
  handle.owner_address = "127.0.0.9:3001";
  std::string answer;
  scope.spawn(fetch_into(*first->client, forwarded_request(*first, handle), answer));
  clock.advance(9s);
  EXPECT_EQ(answer, "");
  clock.advance(2s);
  EXPECT_EQ(answer, "500 unknown: It gave no sign of life.");
}

Task<void> settle_into(const Node& node, std::string key, Homes::From from, std::vector<std::string> tried,
                       Homes::Place& place, bool& done) {
  place = co_await node.world().homes.settle(std::move(key), from, tried);
  done = true;
}

class SisterHomes : public Sisters {
 protected:
  /// Where `node` takes a caller: the task's id, empty: nowhere.
  std::string settle(const Node& node, const std::string& key, Homes::From from = Homes::From::client,
                     std::vector<std::string> tried = {}) {
    Homes::Place place;
    bool done = false;
    scope.spawn(settle_into(node, key, from, std::move(tried), place, done));
    clock.run_until_idle();
    if (!done) clock.advance(5s);
    EXPECT_TRUE(done);
    home = place.here;
    if (place.here) return node.world().identity.id;
    return place.at ? place.at->id : "";
  }
  /// A key that hashing gives to the task, of the two there are.
  std::string key_of(const Node& node, const std::string& id) {
    for (int i = 0;; ++i) {
      std::string key = home_key("demo", "alice", std::to_string(i));
      if (settle(node, key) == id) return key;
    }
  }

  std::shared_ptr<Home> home;  ///< of the last settle
};

TEST_F(SisterHomes, AreTheSameFromEveryTask) {
  first = make("1");
  second = make("2");
  const std::string key = key_of(*first, "2");
  EXPECT_EQ(settle(*second, key, Homes::From::sister), "2");
  EXPECT_EQ(settle(*second, key), "2");
  EXPECT_EQ(settle(*first, key), "2");
}

TEST_F(SisterHomes, StayWhereTheirStateIsWhenATaskJoins) {
  first = make("1");
  std::vector<std::string> keys;
  for (int i = 0; i < 20; ++i) {
    keys.push_back(home_key("demo", "alice", std::to_string(i)));
    EXPECT_EQ(settle(*first, keys.back()), "1");
    first->world().homes.keep(*home);
  }
  second = make("2");
  for (const std::string& key : keys) EXPECT_EQ(settle(*second, key), "1");
  EXPECT_EQ(first->world().homes.count("demo"), 20u);
  // What a task without any state would take over moves at once.
  EXPECT_EQ(settle(*first, key_of(*second, "1")), "1");
}

TEST_F(SisterHomes, OfATaskThatDrainsMoveAndTheirStateIsKnownToBeLost) {
  first = make("1");
  const std::string key = home_key("demo", "alice", "");
  settle(*first, key);
  first->world().homes.keep(*home);
  second = make("2");
  stop(first);
  // It is asked in vain, as long as the fleet has not missed it.
  EXPECT_EQ(settle(*second, key), "1");
  ASSERT_EQ(settle(*second, key, Homes::From::client, {"1"}), "2");
  EXPECT_TRUE(home->is_lost);
  ASSERT_EQ(settle(*second, home_key("demo", "bob", "")), "2");
  EXPECT_FALSE(home->is_lost);
  // Its knowledge outlives the whole former fleet.
  first = make("1");
  stop(second);
  ASSERT_EQ(settle(*first, key, Homes::From::client, {"2"}), "1");
  EXPECT_TRUE(home->is_lost);
}

TEST_F(SisterHomes, OfATaskThatIsLostMoveToo) {
  first = make("1");
  second = make("2");
  const std::string key = key_of(*first, "2");
  ASSERT_EQ(settle(*second, key, Homes::From::sister), "2");
  second->world().homes.keep(*home);
  clock.run_until_idle();
  network->cut({"127.0.0.2", 3001});
  stop(second);
  clock.advance(15s);
  ASSERT_EQ(settle(*first, key), "1");
  EXPECT_TRUE(home->is_lost);
  network->heal({"127.0.0.2", 3001});
}

TEST_F(SisterHomes, OfASisterThatDoesNotAnswerAreNotWaitedForLong) {
  first = make("1");
  const std::string key = home_key("demo", "alice", "");
  second = make("2");
  network->cut({"127.0.0.2", 3001});
  const TimePoint began = clock.now();
  EXPECT_NE(settle(*first, key, Homes::From::sister), "");
  EXPECT_LE(clock.now() - began, 5s);
  network->heal({"127.0.0.2", 3001});
}

Task<void> settle_sole_into(const Node& node, Homes::From from, std::vector<std::string> tried,
                            std::optional<Homes::Place>& place) {
  std::string key = sole_home_key("demo");
  place = co_await node.world().homes.settle_sole(std::move(key), from, tried);
}

/// The home of a server that has one process in the whole service.
class SoleSisterHome : public SisterHomes {
 protected:
  struct Settled {
    const Node& node;
    std::optional<Homes::Place> place{};
    /// "here", the id of a task, "unknown", or "unanswered".
    std::string text() const {
      if (!place) return "unanswered";
      if (place->here) return "here";
      return place->at ? place->at->id : "unknown";
    }
  };
  std::string settle_sole(const Node& node, Homes::From from = Homes::From::client,
                          std::vector<std::string> tried = {}) {
    Settled settled{node};
    scope.spawn(settle_sole_into(node, from, std::move(tried), settled.place));
    clock.run_until_idle();
    if (!settled.place) clock.advance(5s);
    if (settled.place && settled.place->here) home = settled.place->here;
    return settled.text();
  }
};

TEST_F(SoleSisterHome, IsOneHoweverManyAskAtOnce) {
  first = make("1");
  second = make("2");
  Settled from_first{*first};
  Settled from_second{*second};
  // Each takes itself for the home.
  scope.spawn(settle_sole_into(*first, Homes::From::sister, {}, from_first.place));
  scope.spawn(settle_sole_into(*second, Homes::From::sister, {}, from_second.place));
  clock.run_until_idle();
  const bool is_in_first = from_first.text() == "here";
  EXPECT_NE(is_in_first, from_second.text() == "here") << from_first.text() << " " << from_second.text();
  EXPECT_EQ(settle_sole(*first), is_in_first ? "here" : "2");
  EXPECT_EQ(settle_sole(*second), is_in_first ? "1" : "here");
}

TEST_F(SoleSisterHome, StaysWhenATaskJoinsAndMovesWhenItsTaskStops) {
  first = make("1");
  ASSERT_EQ(settle_sole(*first), "here");
  ++home->calls;
  second = make("2");
  EXPECT_NE(settle_sole(*second), "here");
  EXPECT_EQ(settle_sole(*second, Homes::From::sister), "unknown") << "it is elsewhere";
  EXPECT_EQ(settle_sole(*second, Homes::From::client, {"1"}), "1") << "its own word counts";
  --home->calls;
  stop(first);
  EXPECT_EQ(settle_sole(*second, Homes::From::client, {"1"}), "here");
}

TEST_F(Sisters, RefuseMessagesOfHomesThatAreNone) {
  first = make("1");
  http::ClientOptions options;
  options.endpoint = net::parse_endpoint(first->world().identity.peer_address).value();
  const auto sister = http::make_client(*network, std::move(options));
  const auto posted = [&](std::string target, std::string body) {
    http::ClientRequest request;
    request.method = "POST";
    request.target = std::move(target);
    request.body = std::move(body);
    std::string answer;
    scope.spawn(fetch_into(*sister, std::move(request), answer));
    clock.run_until_idle();
    return answer;
  };
  EXPECT_EQ(posted("/peer/home", R"({"key":"k","from":"2"})"), R"(200 {"here":false,"had":false,"at":""})");
  EXPECT_EQ(posted("/peer/home", R"({"key":"k"})"),
            R"(400 {"error":"The body needs the members key and from."})");
  EXPECT_EQ(posted("/peer/homes", R"({"id":"2","generation":"7","keys":["k"]})"), "204 ");
  EXPECT_EQ(posted("/peer/home", R"({"key":"k","from":"2"})"), R"(200 {"here":false,"had":true,"at":""})");
  EXPECT_EQ(posted("/peer/homes", R"({"id":"2","generation":"x","keys":["k"]})"),
            R"(400 {"error":"The body needs the members id, generation and keys."})");
  EXPECT_TRUE(posted("/peer/homes", "{").starts_with("400 "));
}

/// Connections to `stuck` are never let in.
class StuckNetwork final : public net::Network {
 public:
  explicit StuckNetwork(net::Network& inner) : inner_(inner) {}
  Result<std::unique_ptr<net::Listener>> listen(const net::Endpoint& endpoint,
                                                net::PortSharing sharing) override {
    return inner_.listen(endpoint, sharing);
  }
  Task<Result<std::unique_ptr<net::Stream>>> connect(const net::Endpoint& endpoint,
                                                     TimePoint deadline) override {
    if (stuck != endpoint) co_return co_await inner_.connect(endpoint, deadline);
    co_await clock().sleep_until(deadline);
    co_return fail(ErrorCode::deadline_exceeded, "nobody lets it in");
  }
  Clock& clock() override { return inner_.clock(); }

  std::optional<net::Endpoint> stuck;

 private:
  net::Network& inner_;
};

TEST_F(Sisters, AnOwnerThatLivesAndLetsNobodyInIsSlowAndNotGone) {
  StuckNetwork stuck(*network);
  first = std::make_unique<Node>(stuck, "1", "127.0.0.1", 3000, data.path(), nullptr);
  clock.run_until_idle();
  second = make("2");
  clock.advance(2min);  // connections that were used before are closed
  stuck.stuck = net::Endpoint{"127.0.0.2", 3001};
  const mcp::Handle handle = second->handle();
  EXPECT_TRUE(ask_forwarded(*first, handle).starts_with("500 slow: ")) << ask_forwarded(*first, handle);
  stop(second);
  clock.advance(15s);
  EXPECT_TRUE(ask_forwarded(*first, handle).starts_with("500 not delivered: "));
  stop(first);
}

TEST_F(SoleSisterHome, IsNotTakenWhileASisterThatLivesDoesNotAnswer) {
  StuckNetwork stuck(*network);
  first = std::make_unique<Node>(stuck, "1", "127.0.0.1", 3000, data.path(), nullptr);
  clock.run_until_idle();
  second = make("2");
  clock.advance(2min);  // connections that were used before are closed
  stuck.stuck = net::Endpoint{"127.0.0.2", 3001};
  EXPECT_EQ(settle_sole(*first, Homes::From::sister), "unknown");
  stuck.stuck.reset();
  EXPECT_EQ(settle_sole(*first, Homes::From::sister), "here");
  stop(first);
}

/// The same over kernel sockets and mutual TLS.
class SistersOnLoopback : public ::testing::Test {
 protected:
  void run_until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!done() && std::chrono::steady_clock::now() < end) loop.run_one_for(1s);
    EXPECT_TRUE(done());
  }
  std::shared_ptr<net::TlsContext> tls(char key) { return net::make_tls_peer(Secret(std::string(32, key))); }

  TemporaryFolder data;
  asio::io_context loop;
  std::unique_ptr<Clock> clock = make_real_clock(loop.get_executor());
  std::unique_ptr<net::Network> network = net::make_network(*clock);
  TaskScope scope{loop.get_executor()};
};

Task<void> drain_both(Node& first, Node& second, bool& done) {
  co_await first.drain();
  co_await second.drain();
  done = true;
}

TEST_F(SistersOnLoopback, TalkOverMutualTlsAndLetNobodyElseIn) {
  Node first(*network, "1", "127.0.0.1", 0, data.path(), tls('a'));
  Node second(*network, "2", "127.0.0.1", 0, data.path(), tls('a'));
  int changes = 0;
  const auto subscription = second.world().bus.subscribe("demo", "alice", [&](auto&) { ++changes; });
  std::string answer;
  scope.spawn(fetch_into(*first.client, forwarded_request(first, second.handle()), answer));
  run_until([&] { return !answer.empty(); });
  EXPECT_EQ(answer, "200 demo on 2 for alice forwarded got a body");
  first.fakes.sinks[0]->on_change({mcp::Change::Kind::tools_list, "", ""});
  run_until([&] { return changes == 1; });

  for (const auto& foreign : {tls('b'), std::shared_ptr<net::TlsContext>()}) {
    http::ClientOptions options;
    options.endpoint = net::parse_endpoint(second.world().identity.peer_address).value();
    options.tls = foreign;
    const auto stranger = http::make_client(*network, std::move(options));
    http::ClientRequest request;
    request.method = "POST";
    request.target = "/peer/hello";
    answer.clear();
    scope.spawn(fetch_into(*stranger, std::move(request), answer));
    run_until([&] { return !answer.empty(); });
    EXPECT_FALSE(answer.starts_with("2")) << answer;
    EXPECT_FALSE(answer.starts_with("4")) << answer;
  }
  bool done = false;
  scope.spawn(drain_both(first, second, done));
  run_until([&] { return done && scope.size() == 0; });
}

}  // namespace
}  // namespace berth::task
