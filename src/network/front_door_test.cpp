#include "network/front_door.h"

#include <gtest/gtest.h>

#include "network/door_fixture.h"

namespace berth::network::testing {
namespace {

constexpr std::string_view ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

std::string post(std::string_view body, std::string_view fields = {}) {
  return "POST /mcp HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
const std::string get = "GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";

std::string chunk(std::string_view data) {
  char size[20];
  std::snprintf(size, sizeof(size), "%zx\r\n", data.size());
  return size + std::string(data) + "\r\n";
}

using FrontDoorTest = DoorFixture;

TEST_F(FrontDoorTest, PassesARequestAndItsAnswerOn) {
  StubTarget& target = add_target();
  Peer& client = request(post("{\"id\":1}", "Accept: text/event-stream\r\n"));
  ASSERT_EQ(target.peers.size(), 1u);
  Peer& behind = target.peers.front();
  EXPECT_TRUE(behind.received.starts_with(
      "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nContent-Length: 8\r\n"
      "X-Forwarded-For: "))
      << behind.received;
  EXPECT_NE(behind.received.find(
                "\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\nX-Amzn-Trace-Id: Root=1-"),
            std::string::npos);
  EXPECT_EQ(body_of(behind.received), "{\"id\":1}");
  send(behind, "HTTP/1.1 202 Accepted\r\nX-Any: thing\r\ncontent-length: 3\r\n\r\nyes");
  EXPECT_EQ(client.received, "HTTP/1.1 202 Accepted\r\nX-Any: thing\r\ncontent-length: 3\r\n\r\nyes");
  EXPECT_FALSE(client.ended);
}

TEST_F(FrontDoorTest, KeepsOneConnectionToTheTargetForRequestsInSequence) {
  StubTarget& target = add_target();
  Peer& client = request(post("1"));
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(target.peers.size(), 1u);
    EXPECT_NE(target.peers.front().take(), "");
    send(target.peers.front(), std::string(ok));
    EXPECT_EQ(client.take(), ok);
    send(client, post("2"));
  }
  EXPECT_EQ(door().totals().requests, 5u);
}

TEST_F(FrontDoorTest, AnswersPipelinedRequestsInOrder) {
  StubTarget& target = add_target();
  Peer& client = request(post("one") + post("two") + get);
  Peer& behind = target.peers.front();
  EXPECT_EQ(body_of(behind.take()), "one");
  send(behind, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
  EXPECT_EQ(body_of(behind.take()), "two");
  send(behind, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
  EXPECT_TRUE(behind.take().starts_with("GET /mcp HTTP/1.1\r\n"));
  send(behind, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3");
  EXPECT_EQ(client.received,
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3");
}

TEST_F(FrontDoorTest, PassesChunksOnHoweverTheyAreCut) {
  StubTarget& target = add_target();
  const std::string head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string body = chunk("hello") + "3;x=y\r\nabc\r\n0\r\nTrailer: t\r\n\r\n";
  const std::string answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body;
  const std::string request_text = head + body;
  Peer& client = connect();
  for (std::size_t cut = 1; cut < std::max(request_text.size(), answer.size()); ++cut) {
    SCOPED_TRACE(cut);
    send(client, request_text.substr(0, cut));
    send(client, request_text.substr(std::min(cut, request_text.size())));
    Peer& behind = target.peers.back();
    ASSERT_EQ(body_of(behind.take()), body);
    send(behind, answer.substr(0, cut));
    send(behind, answer.substr(std::min(cut, answer.size())));
    ASSERT_EQ(client.take(), answer);
  }
  EXPECT_EQ(target.peers.size(), 1u) << "every exchange ended where it should";
}

TEST_F(FrontDoorTest, PassesBytesOnOneByOne) {
  StubTarget& target = add_target();
  Peer& client = connect();
  for (const char byte : post("{\"jsonrpc\":\"2.0\"}")) send(client, std::string(1, byte));
  ASSERT_EQ(target.peers.size(), 1u);
  EXPECT_EQ(body_of(target.peers.front().received), "{\"jsonrpc\":\"2.0\"}");
  for (const char byte : ok) send(target.peers.front(), std::string(1, byte));
  EXPECT_EQ(client.received, ok);
}

TEST_F(FrontDoorTest, PassesAnEventOnBeforeTheNextOneIsSent) {
  StubTarget& target = add_target();
  Peer& client = request(post("{}"));
  Peer& behind = target.peers.front();
  send(behind, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_NE(client.take(), "") << "the head does not wait for the first event";
  for (int i = 0; i < 3; ++i) {
    const std::string event = chunk("event: message\ndata: {}\n\n");
    clock.advance(50s);
    send(behind, event);
    EXPECT_EQ(client.take(), event);
  }
  send(behind, "0\r\n\r\n");
  EXPECT_EQ(client.take(), "0\r\n\r\n");
  send(client, get);
  EXPECT_EQ(target.peers.size(), 1u) << "both connections go on";
}

TEST_F(FrontDoorTest, ADepartingClientEndsTheRequestAtTheTarget) {
  StubTarget& target = add_target();
  Peer& client = request(post("{}"));
  clock.advance(1s);
  client.close();
  clock.run_until_idle();
  EXPECT_TRUE(target.peers.front().ended);
  EXPECT_EQ(door().totals().in_flight, 0u);
}

TEST_F(FrontDoorTest, ADepartingClientEndsASilentStreamAtTheTarget) {
  StubTarget& target = add_target();
  Peer& client = request(get);
  Peer& behind = target.peers.front();
  send(behind, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(": hello\n\n"));
  clock.advance(10s);
  client.close();
  clock.run_until_idle();
  EXPECT_TRUE(behind.ended);
}

TEST_F(FrontDoorTest, AClientThatLeavesDuringItsBodyEndsTheRequestAtTheTarget) {
  StubTarget& target = add_target();
  Peer& client = request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
  client.close();
  clock.run_until_idle();
  EXPECT_TRUE(target.peers.front().ended);
}

TEST_F(FrontDoorTest, PassesExpectContinueOnAndTheInterimAnswerBack) {
  StubTarget& target = add_target();
  Peer& client = request("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  Peer& behind = target.peers.front();
  EXPECT_NE(behind.take().find("Expect: 100-continue\r\n"), std::string::npos);
  send(behind, "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(client.take(), "HTTP/1.1 100 Continue\r\n\r\n");
  send(client, "body");
  EXPECT_EQ(behind.take(), "body");
  send(behind, std::string(ok));
  EXPECT_EQ(client.take(), ok);
  EXPECT_FALSE(client.ended);
}

TEST_F(FrontDoorTest, AnEarlyAnswerReachesTheClientAndEndsBothConnections) {
  StubTarget& target = add_target();
  Peer& client = request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
  Peer& behind = target.peers.front();
  send(behind, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
  EXPECT_EQ(client.received,
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
  EXPECT_TRUE(client.ended);
  EXPECT_TRUE(behind.ended);
  client.sent = 0;
  send(client, std::string(300'000, 'x'));
  EXPECT_EQ(client.sent, 300'000u) << "what it still sends is read, so that it reads the answer";
  clock.advance(3s);
  EXPECT_EQ(door().totals().connections, 0u) << "but not for long";
}

TEST_F(FrontDoorTest, ALargeBodyIsNotBuffered) {
  StubTarget& target = add_target();
  constexpr std::size_t size = 8u << 20;
  Peer& client =
      request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n");
  Peer& behind = target.peers.front();
  behind.take();
  send(client, std::string(size / 2, 'x'));
  EXPECT_EQ(behind.take().size(), size / 2) << "half of it is there before the rest is sent";
  send(client, std::string(size / 2, 'x'));
  EXPECT_EQ(behind.take().size(), size / 2);
  send(behind, std::string(ok));
  EXPECT_EQ(client.take(), ok);
}

TEST_F(FrontDoorTest, ASlowClientSlowsItsTargetDown) {
  StubTarget& target = add_target();
  Peer& client = connect(Peer::Reading::later);
  send(client, get);
  Peer& behind = target.peers.front();
  constexpr std::size_t size = 8u << 20;
  send(behind,
       "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + std::string(size, 'x'));
  EXPECT_LT(behind.sent, 400'000u) << "two buffers of the network and one of ours";
  client.start_reading();
  clock.run_until_idle();
  EXPECT_EQ(body_of(client.received).size(), size);
}

TEST_F(FrontDoorTest, AClientThatReadsNothingIsCutAtTheIdleTimeout) {
  StubTarget& target = add_target();
  Peer& client = connect(Peer::Reading::later);
  send(client, get);
  Peer& behind = target.peers.front();
  send(behind, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + std::string(1'000'000, 'x'));
  clock.advance(61s);
  EXPECT_TRUE(behind.ended);
  EXPECT_EQ(door().totals().connections, 0u);
}

TEST_F(FrontDoorTest, AnHttp10ClientGetsAnAnswerItUnderstands) {
  StubTarget& target = add_target();
  Peer& client = request("GET / HTTP/1.0\r\n\r\n");
  Peer& behind = target.peers.front();
  EXPECT_TRUE(behind.received.starts_with("GET / HTTP/1.1\r\nHost: ")) << behind.received;
  send(behind, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n" + chunk("hello ") +
                   chunk("you") + "0\r\n\r\n");
  EXPECT_EQ(client.received, "HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\nhello you");
  EXPECT_TRUE(client.ended);
  EXPECT_FALSE(behind.ended) << "the target's connection is fit for another request";
}

TEST_F(FrontDoorTest, AnHttp10ClientMayKeepItsConnection) {
  StubTarget& target = add_target();
  Peer& client = request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  send(target.peers.front(), std::string(ok));
  EXPECT_EQ(client.take(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok");
  EXPECT_FALSE(client.ended);
}

TEST_F(FrontDoorTest, AnAnswerThatEndsWithItsConnectionEndsTheClientsToo) {
  StubTarget& target = add_target();
  Peer& client = request(get);
  Peer& behind = target.peers.front();
  send(behind, "HTTP/1.0 200 OK\r\n\r\nall there is");
  EXPECT_EQ(client.received, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall there is");
  EXPECT_FALSE(client.ended);
  behind.close();
  clock.run_until_idle();
  EXPECT_TRUE(client.ended);
}

TEST_F(FrontDoorTest, AnAnswerToHeadHasNoBodyWhateverItSays) {
  StubTarget& target = add_target();
  Peer& client = request("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  send(target.peers.front(), "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
  EXPECT_EQ(client.take(), "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
  send(client, get);
  EXPECT_EQ(target.peers.size(), 1u);
}

TEST_F(FrontDoorTest, ClosesWhenTheClientAsksForIt) {
  StubTarget& target = add_target();
  Peer& client = request(post("1", "Connection: close\r\n"));
  EXPECT_EQ(target.peers.front().received.find("Connection"), std::string::npos);
  send(target.peers.front(), std::string(ok));
  EXPECT_EQ(client.received, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  EXPECT_TRUE(client.ended);
}

TEST_F(FrontDoorTest, DoesNotPassUpgradeOnNorLetATargetSwitch) {
  StubTarget& target = add_target();
  Peer& client = request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_EQ(target.peers.front().received.find("pgrade"), std::string::npos);
  send(target.peers.front(), "HTTP/1.1 101 Switching Protocols\r\n\r\n");
  EXPECT_EQ(first_line(client.received), "HTTP/1.1 502 Bad Gateway");
}

// ---- Targets that fail

TEST_F(FrontDoorTest, WithoutATargetItSaysSo) {
  const std::string answer = answer_to(post("{}"));
  EXPECT_EQ(answer,
            "HTTP/1.1 503 Service Unavailable\r\nServer: berth\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\n"
            "Content-Type: application/json\r\nContent-Length: 97\r\nRetry-After: 1\r\n\r\n"
            "{\"error\":\"no_target\",\"message\":\"No target is ready to receive requests; try again in a "
            "moment.\"}\n");
  EXPECT_FALSE(clients.back().ended) << "the connection is as good as before";
}

TEST_F(FrontDoorTest, ATargetThatNeverAnsweredItsCheckGetsNothing) {
  StubTarget& target = targets.try_emplace("1", *network, net::Endpoint{"127.0.1.1", 3000}).first->second;
  target.healthy = false;
  ASSERT_TRUE(door().register_target({"1", {"127.0.1.1", 3000}, "a"}));
  clock.advance(1s);
  EXPECT_EQ(first_line(answer_to(get)), "HTTP/1.1 503 Service Unavailable");
  EXPECT_GT(target.probes, 10u);
  clock.advance(10s);
  EXPECT_EQ(door().targets().front().state, TargetState::unhealthy);
  request(get);
  EXPECT_EQ(target.peers.size(), 1u) << "all unhealthy: fail open";
}

TEST_F(FrontDoorTest, ARefusedConnectionMovesTheRequestToAnotherTarget) {
  StubTarget& first = add_target("1");
  StubTarget& second = add_target("2");
  first.refuse();
  for (int i = 0; i < 4; ++i) {
    request(post("call"));
    EXPECT_EQ(second.peers.size(), static_cast<std::size_t>(i) + 1);
  }
  EXPECT_EQ(door().totals().retries, 1u) << "the first refusal takes the target out";
  EXPECT_EQ(door().targets().front().state, TargetState::unhealthy);
}

TEST_F(FrontDoorTest, WithNoOtherTargetARefusedConnectionIsABadGateway) {
  add_target("1").refuse();
  EXPECT_EQ(first_line(answer_to(get)), "HTTP/1.1 502 Bad Gateway");
}

TEST_F(FrontDoorTest, APooledConnectionThatTheTargetHasClosedIsNotUsed) {
  StubTarget& target = add_target();
  Peer& client = request(post("1"));
  send(target.peers.front(), std::string(ok));
  target.peers.front().close();
  send(client, post("2"));
  ASSERT_EQ(target.peers.size(), 2u);
  EXPECT_EQ(body_of(target.peers.back().received), "2");
  EXPECT_EQ(door().totals().retries, 0u);
}

TEST_F(FrontDoorTest, APostWhoseTargetDiesIsGivenToAnotherThatIsToldOfIt) {
  StubTarget& first = add_target("1");
  StubTarget& second = add_target("2");
  Peer& client = request(post("call"));
  StubTarget& holder = first.peers.empty() ? second : first;
  StubTarget& other = first.peers.empty() ? first : second;
  EXPECT_EQ(holder.peers.front().take().find("Berth-Repeated"), std::string::npos);
  holder.peers.front().close();
  clock.run_until_idle();
  ASSERT_EQ(other.peers.size(), 1u);
  const std::string again = other.peers.front().take();
  EXPECT_NE(again.find("\r\nBerth-Repeated: 1\r\n\r\ncall"), std::string::npos) << again;
  send(other.peers.front(), std::string(ok));
  EXPECT_EQ(client.take(), ok);
  send(client, post("next"));
  EXPECT_EQ((first.peers.back().received + second.peers.back().received).find("Berth-Repeated"),
            std::string::npos);
}

TEST_F(FrontDoorTest, ThatItMayHaveRunIsSaidWhenNobodyIsLeftToGiveItTo) {
  StubTarget& first = add_target("1");
  StubTarget& second = add_target("2");
  Peer& client = request(post("call"));
  StubTarget& holder = first.peers.empty() ? second : first;
  StubTarget& other = first.peers.empty() ? first : second;
  holder.peers.front().close();
  clock.run_until_idle();
  other.peers.front().close();
  clock.run_until_idle();
  EXPECT_EQ(first_line(client.received), "HTTP/1.1 502 Bad Gateway");
  EXPECT_NE(client.take().find("The call may have run; its end is unknown. The target closed the connection"),
            std::string::npos);
  EXPECT_EQ(first.peers.size() + second.peers.size(), 2u) << "not a third time";
  EXPECT_FALSE(client.ended);
  send(client, post("call"));
  StubTarget& last = first.peers.size() > second.peers.size() ? first : second;
  first.refuse();
  second.refuse();
  last.peers.back().close();
  clock.run_until_idle();
  EXPECT_NE(client.take().find("The call may have run"), std::string::npos) << "the refusal is not the news";
}

TEST_F(FrontDoorTest, ABodyThatCameInPartsIsGivenToAnotherTargetWhole) {
  StubTarget& target = add_target();
  Peer& client = request(get);
  send(target.peers.front(), std::string(ok));
  client.take();
  target.peers.front().take();
  send(client, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nha");
  send(client, "lf");
  send(client, "half");
  EXPECT_EQ(body_of(target.peers.front().take()), "halfhalf");
  target.peers.front().close();
  clock.run_until_idle();
  ASSERT_EQ(target.peers.size(), 2u);
  EXPECT_TRUE(target.peers.back().received.ends_with("\r\nBerth-Repeated: 1\r\n\r\nhalfhalf"));
  send(target.peers.back(), std::string(ok));
  EXPECT_EQ(client.take(), ok);
  send(client, get);
  EXPECT_TRUE(target.peers.back().received.ends_with("\r\n\r\n")) << "the connections go on";
}

TEST_F(FrontDoorTest, ABodyThatIsCutByItsTargetsEndIsGivenToAnotherWhole) {
  StubTarget& target = add_target();
  Peer& client = request(get);
  send(target.peers.front(), std::string(ok));
  client.take();
  send(client, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf");
  target.peers.front().close();
  clock.run_until_idle();
  EXPECT_EQ(client.received, "");
  send(client, "half");
  ASSERT_EQ(target.peers.size(), 2u);
  EXPECT_TRUE(target.peers.back().received.ends_with("\r\n\r\nhalfhalf"));
  EXPECT_EQ(target.peers.back().received.find("Berth-Repeated"), std::string::npos) << "no half is acted on";
  send(target.peers.back(), std::string(ok));
  EXPECT_EQ(client.take(), ok);
}

TEST_F(FrontDoorTest, AGetOnAReusedConnectionThatDiesIsTriedOnceMoreOnAFreshOne) {
  StubTarget& target = add_target();
  Peer& client = request(get);
  send(target.peers.front(), std::string(ok));
  client.take();
  send(client, get);
  target.peers.front().close();
  clock.run_until_idle();
  ASSERT_EQ(target.peers.size(), 2u);
  send(target.peers.back(), std::string(ok));
  EXPECT_EQ(client.take(), ok);
  EXPECT_EQ(door().totals().retries, 1u);
}

TEST_F(FrontDoorTest, APostThatOnlyAsksWhatAServerOffersIsSentAgainWhenItsTargetDies) {
  StubTarget& target = add_target();
  Peer& client = request(get);
  send(target.peers.front(), std::string(ok));
  client.take();
  std::size_t connections = 1;
  for (const std::string_view method :
       {"server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"}) {
    SCOPED_TRACE(method);
    const std::string listing = post("{}", "Mcp-Method: " + std::string(method) + "\r\n");
    send(client, listing);
    target.peers.back().close();
    clock.run_until_idle();
    ASSERT_EQ(target.peers.size(), ++connections);
    EXPECT_TRUE(target.peers.back().received.starts_with("POST /mcp HTTP/1.1\r\n"));
    EXPECT_EQ(body_of(target.peers.back().take()), "{}");
    send(target.peers.back(), std::string(ok));
    EXPECT_EQ(client.take(), ok);
    EXPECT_EQ(door().totals().retries, connections - 1);
  }
}

TEST_F(FrontDoorTest, AListingOnAFreshConnectionThatDiesGoesToAnotherTarget) {
  StubTarget& first = add_target("1");
  StubTarget& second = add_target("2");
  Peer& client = request(post("{}", "Mcp-Method: server/discover\r\n"));
  StubTarget& holder = first.peers.empty() ? second : first;
  StubTarget& other = first.peers.empty() ? first : second;
  holder.peers.front().close();
  clock.run_until_idle();
  ASSERT_EQ(holder.peers.size(), 1u);
  ASSERT_EQ(other.peers.size(), 1u);
  EXPECT_EQ(body_of(other.peers.front().take()), "{}");
  clock.advance(std::chrono::seconds(1));  // the client of the request that was sent twice is watched once
  other.peers.front().close();
  clock.run_until_idle();
  EXPECT_EQ(first_line(client.received), "HTTP/1.1 502 Bad Gateway") << "nobody is left to ask";
  EXPECT_EQ(door().totals().retries, 1u);
  clock.advance(std::chrono::seconds(1));
}

TEST_F(FrontDoorTest, APostThatMayActIsNotSentAgainWithoutAWord) {
  StubTarget& target = add_target();
  for (const std::string_view field :
       {"", "Mcp-Method: tools/call\r\n", "Mcp-Method: resources/read\r\n", "Mcp-Method: tools/list/x\r\n",
        "Mcp-Method: TOOLS/LIST\r\n", "Mcp-Name: tools/list\r\n"}) {
    SCOPED_TRACE(field);
    Peer& client = request(get);
    send(target.peers.back(), std::string(ok));
    client.take();
    target.peers.back().take();
    send(client, post("{}", field));
    target.peers.back().close();
    clock.run_until_idle();
    EXPECT_TRUE(target.peers.back().take().ends_with("\r\nBerth-Repeated: 1\r\n\r\n{}"));
    send(target.peers.back(), std::string(ok));
    EXPECT_EQ(client.take(), ok);
  }
}

TEST_F(FrontDoorTest, AnAnswerThatBreaksOffBreaksOffForTheClientToo) {
  StubTarget& target = add_target();
  Peer& client = request(get);
  send(target.peers.front(), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  target.peers.front().close();
  clock.run_until_idle();
  EXPECT_EQ(body_of(client.received), "half");
  EXPECT_TRUE(client.ended);
}

TEST_F(FrontDoorTest, WhatIsNoHttpIsABadGateway) {
  const std::vector<std::string> answers{
      "nonsense\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n",
      "HTTP/2 200\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n",
  };
  StubTarget& target = add_target();
  for (const std::string& answer : answers) {
    SCOPED_TRACE(answer.substr(0, 60));
    Peer& client = request(get);
    send(target.peers.back(), answer);
    EXPECT_EQ(first_line(client.received), "HTTP/1.1 502 Bad Gateway");
  }
}

TEST_F(FrontDoorTest, BytesBeyondTheAnswerReachNobody) {
  StubTarget& target = add_target();
  Peer& client = request(get);
  send(target.peers.front(), std::string(ok) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  EXPECT_EQ(client.take(), ok);
  send(client, get);
  EXPECT_EQ(target.peers.size(), 2u) << "such a connection is not used again";
}

TEST_F(FrontDoorTest, ATargetThatDoesNotAnswerIsAGatewayTimeout) {
  StubTarget& target = add_target();
  Peer& client = request(post("{}"));
  clock.advance(59s);
  EXPECT_EQ(client.received, "");
  clock.advance(2s);
  EXPECT_EQ(first_line(client.received), "HTTP/1.1 504 Gateway Timeout");
  EXPECT_TRUE(target.peers.front().ended);
  EXPECT_FALSE(client.ended);
}

TEST_F(FrontDoorTest, AStreamThatFallsSilentIsCutAtTheIdleTimeout) {
  StubTarget& target = add_target();
  Peer& client = request(get);
  send(target.peers.front(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("x"));
  clock.advance(61s);
  EXPECT_TRUE(client.ended);
  EXPECT_TRUE(target.peers.front().ended);
}

// ---- Clients that fail

struct Refusal {
  std::string request;
  std::string status_line;
};

TEST_F(FrontDoorTest, RefusesWhatIsMalformedBeforeAnyTargetSeesIt) {
  StubTarget& target = add_target();
  const std::string long_field = "X: " + std::string(70'000, 'x') + "\r\n";
  std::string many_fields;
  for (int i = 0; i < 101; ++i) many_fields += "X: y\r\n";
  const std::vector<Refusal> refusals{
      {"GARBAGE\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
       "HTTP/1.1 400 Bad Request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 400 Bad Request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd", "HTTP/1.1 400 Bad Request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\nabcd", "HTTP/1.1 400 Bad Request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400 Bad Request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 501 Not Implemented"},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported"},
      {"GET /" + std::string(17'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 414 URI Too Long"},
      {"GET / HTTP/1.1\r\nHost: a\r\n" + long_field + "\r\n", "HTTP/1.1 431 Request Header Fields Too Large"},
      {"GET / HTTP/1.1\r\nHost: a\r\n" + many_fields + "\r\n",
       "HTTP/1.1 431 Request Header Fields Too Large"},
      {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"},
  };
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.request.substr(0, 120));
    Peer& client = request(refusal.request);
    EXPECT_EQ(first_line(client.received), refusal.status_line);
    EXPECT_NE(client.received.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_TRUE(client.ended);
  }
  EXPECT_TRUE(target.peers.empty());
}

TEST_F(FrontDoorTest, AMalformedChunkLaterInTheBodyEndsTheRequest) {
  StubTarget& target = add_target();
  Peer& client = request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("fine"));
  send(client, "zz\r\n");
  EXPECT_EQ(first_line(client.received), "HTTP/1.1 400 Bad Request");
  EXPECT_TRUE(target.peers.front().ended);
  EXPECT_EQ(body_of(target.peers.front().received), chunk("fine"));
}

TEST_F(FrontDoorTest, AHeadThatTricklesInTooSlowlyIsTimedOut) {
  add_target();
  Peer& client = request("GET / HTTP/1.1\r\nHo");
  for (int i = 0; i < 9; ++i) {
    clock.advance(1s);
    send(client, "x");
  }
  EXPECT_EQ(client.received, "");
  clock.advance(2s);
  EXPECT_EQ(first_line(client.received), "HTTP/1.1 408 Request Timeout");
  EXPECT_TRUE(client.ended);
}

TEST_F(FrontDoorTest, ABodyThatStopsComingIsTimedOut) {
  StubTarget& target = add_target();
  Peer& client = request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  clock.advance(61s);
  EXPECT_EQ(first_line(client.received), "HTTP/1.1 408 Request Timeout");
  EXPECT_TRUE(target.peers.front().ended);
}

TEST_F(FrontDoorTest, AnIdleClientConnectionIsClosedQuietly) {
  Peer& client = connect();
  clock.advance(61s);
  EXPECT_TRUE(client.ended);
  EXPECT_EQ(client.received, "");
}

TEST_F(FrontDoorTest, AtTheLimitOfConnectionsTheLongestIdleMakesWay) {
  options.limits.connections_max = 2;
  StubTarget& target = add_target();
  Peer& first = request(get);
  Peer& second = connect();
  send(target.peers.front(), std::string(ok));
  EXPECT_EQ(first_line(first.take()), "HTTP/1.1 200 OK");
  // The second has never asked for anything, and the first has rested for a shorter time.
  Peer& third = request(get);
  clock.advance(1ms);
  EXPECT_TRUE(second.ended);
  EXPECT_FALSE(first.ended);
  send(target.peers.front(), std::string(ok));
  EXPECT_EQ(first_line(third.take()), "HTTP/1.1 200 OK");
}

TEST_F(FrontDoorTest, AtTheLimitOfConnectionsWithAllBusyAcceptingPauses) {
  options.limits.connections_max = 2;
  add_target();
  Peer& first = request(get);
  request(get);
  Peer& third = request(get);
  EXPECT_EQ(targets.at("1").peers.size(), 2u);
  EXPECT_EQ(third.received, "");
  first.close();
  clock.advance(100ms);
  EXPECT_EQ(targets.at("1").peers.size(), 3u);
}

// ---- Registration and draining

TEST_F(FrontDoorTest, SpreadsRequestsOverTheZonesInTurn) {
  for (const char* id : {"1", "2", "3"}) add_target(id);
  for (int i = 0; i < 9; ++i) request(post("x"));
  for (auto& [id, target] : targets) EXPECT_EQ(target.peers.size(), 3u) << id;
}

TEST_F(FrontDoorTest, ADeregisteredTargetFinishesWhatItHasAndGetsNothingNew) {
  StubTarget& target = add_target("1");
  Peer& client = request(post("x"));
  add_target("2");
  bool gone = false;
  const auto deregister = [](FrontDoor& door, bool& done) -> Task<void> {
    co_await door.deregister_target("1");
    done = true;
  };
  TaskScope scope(loop.get_executor());
  scope.spawn(deregister(door(), gone));
  clock.advance(1s);
  EXPECT_FALSE(gone);
  EXPECT_EQ(door().targets().front().state, TargetState::draining);
  EXPECT_EQ(door().targets().front().outstanding, 1u);
  for (int i = 0; i < 3; ++i) request(post("y"));
  EXPECT_EQ(targets.at("2").peers.size(), 3u);
  send(target.peers.front(), std::string(ok));
  EXPECT_EQ(client.received, ok);
  clock.advance(50ms);
  EXPECT_TRUE(gone);
  EXPECT_TRUE(target.peers.front().ended) << "its pooled connections are closed";
}

TEST_F(FrontDoorTest, ChangesOfStateAreTold) {
  std::vector<std::string> told;
  door().on_change([&](const TargetChange& change) {
    told.push_back(change.target.id + " " + std::string(to_string(change.to)) + (change.gone ? " gone" : ""));
  });
  add_target("1");
  door().remove_target("1");
  clock.run_until_idle();
  EXPECT_EQ(told, (std::vector<std::string>{"1 healthy", "1 draining gone"}));
}

TEST_F(FrontDoorTest, DrainingLetsRequestsFinishAndClosesIdleConnections) {
  StubTarget& target = add_target();
  Peer& idle = connect();
  Peer& busy = request(post("x"));
  std::optional<std::size_t> cut;
  TaskScope scope(loop.get_executor());
  scope.spawn(run_drain(clock.now() + 10s, cut));
  clock.advance(1s);
  EXPECT_TRUE(idle.ended);
  EXPECT_FALSE(busy.ended);
  EXPECT_EQ(cut, std::nullopt);
  send(target.peers.front(), std::string(ok));
  EXPECT_EQ(busy.received, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  EXPECT_TRUE(busy.ended);
  EXPECT_EQ(cut, 0u);
  door_.reset();
}

TEST_F(FrontDoorTest, DrainingCutsWhatIsLeftAtTheDeadline) {
  StubTarget& target = add_target();
  Peer& busy = request(post("x"));
  Peer& uploading = request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  EXPECT_EQ(drain(clock.now() + 2s), 2u);
  EXPECT_TRUE(busy.ended);
  EXPECT_TRUE(uploading.ended);
  EXPECT_TRUE(target.peers.front().ended);
  door_.reset();
}

TEST_F(FrontDoorTest, ItsMetricsNameEveryTarget) {
  StubTarget& target = add_target();
  request(post("x"));
  send(target.peers.front(), std::string(ok));
  monitoring::MetricsWriter writer;
  door().write_metrics(writer);
  const std::string text = writer.text();
  EXPECT_NE(text.find("berth_front_door_answers_total{status=\"2xx\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("berth_target_answers_total{target=\"1\",zone=\"a\",status=\"2xx\"} 1\n"),
            std::string::npos);
  EXPECT_NE(text.find("berth_target_healthy{target=\"1\",zone=\"a\"} 1\n"), std::string::npos);
}

TEST_F(FrontDoorTest, TheMetricsOfATargetThatDrainsGoOn) {
  StubTarget& target = add_target();
  Peer& client = request(post("x"));
  send(target.peers.front(), std::string(ok));
  send(client, post("y"));
  const auto deregister = [](FrontDoor& door) -> Task<void> { co_await door.deregister_target("1"); };
  TaskScope scope(loop.get_executor());
  scope.spawn(deregister(door()));
  clock.advance(30ms);
  const auto answers = [this] {
    monitoring::MetricsWriter writer;
    door().write_metrics(writer);
    const std::string text = writer.text();
    const std::string name = "berth_target_answers_total{target=\"1\",zone=\"a\",status=\"2xx\"} ";
    const std::size_t at = text.find(name);
    if (at == std::string::npos) return std::string("none");
    const std::size_t value = at + name.size();
    return text.substr(value, text.find('\n', value) - value);
  };
  EXPECT_EQ(answers(), "1");
  send(target.peers.front(), std::string(ok));
  EXPECT_EQ(answers(), "2");
  clock.advance(30ms);
  EXPECT_EQ(answers(), "none") << "it has left";
}

TEST_F(FrontDoorTest, APortInUseIsToldWithItsRemedyAndAnUnnamedOneIsSearched) {
  const auto taken = std::move(*network->listen({"127.0.0.1", 8080}));
  const auto refused = make_front_door(options, *network, null_log());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::conflict);
  options.listener.http_port.reset();
  EXPECT_EQ(door().http(), (net::Endpoint{"127.0.0.1", 8081}));
}

}  // namespace
}  // namespace berth::network::testing
