#include <gtest/gtest.h>

#include <algorithm>

#include "base/testing/sim_clock.h"
#include "codec/http1.h"
#include "http/client.h"
#include "net/testing/memory_network.h"
#include "task/runtime/parts.h"
#include "task/runtime/testing/fakes.h"
#include "task/runtime/wrong_keys.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;

const net::Endpoint address{"127.0.1.1", 3000};

class RecordingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField> fields) override {
    std::string line(event);
    for (const LogField& field : fields) {
      line += " " + std::string(field.name) + "=";
      if (const auto* text = std::get_if<std::string_view>(&field.value)) line += *text;
      if (const auto* number = std::get_if<std::int64_t>(&field.value)) line += std::to_string(*number);
    }
    lines.push_back(std::move(line));
  }
  std::vector<std::string> lines;
};

class TaskRuntime : public ::testing::Test {
 protected:
  TaskRuntime() {
    options.spec.servers.resize(1);
    options.spec.servers[0].name = "demo";
    options.fleet_key = Secret(std::string(32, 'k'));
    options.listen = address;
  }
  void TearDown() override {
    if (runtime) drain(1s);
  }

  void start() {
    auto made = assemble_runtime(std::move(options), fakes.parts(), *network, log);
    ASSERT_TRUE(made) << made.error().message();
    runtime = std::move(*made);
    http::ClientOptions client_options;
    client_options.endpoint = address;
    client_options.host_header = "localhost:8080";
    client = http::make_client(*network, std::move(client_options));
  }
  Task<void> drain_until(TimePoint deadline) {
    co_await runtime->drain(deadline);
    drained = true;
  }
  void drain(Duration time) {
    scope.spawn(drain_until(clock.now() + time));
    clock.advance(time);
  }

  Task<void> connect_into(std::unique_ptr<net::Stream>& stream) {
    auto connected = co_await network->connect(address, clock.now() + 1s);
    if (connected) stream = std::move(*connected);
  }
  static Task<void> write_to(net::Stream& stream, std::string_view text) {
    const auto written = co_await stream.write(text);
    EXPECT_TRUE(written.has_value());
  }
  Task<void> fetch_into(http::ClientRequest request) {
    auto fetched = co_await client->fetch(std::move(request), 100'000);
    answer = fetched ? std::move(*fetched) : http::Response{0, {}, fetched.error().message()};
  }
  /// "STATUS BODY"
  std::string ask(std::string method, std::string target, http::Headers headers = {}, std::string body = {}) {
    http::ClientRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers = std::move(headers);
    request.body = std::move(body);
    answer.status = 0;
    answer.body.clear();
    scope.spawn(fetch_into(std::move(request)));
    clock.run_until_idle();
    return std::to_string(answer.status) + " " + answer.body;
  }
  static http::Headers with(std::string_view name, std::string_view value) {
    http::Headers headers;
    headers.add(name, value);
    return headers;
  }

  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  RecordingLog log;
  RuntimeOptions options;
  testing::FakeParts fakes;
  std::unique_ptr<Runtime> runtime;
  std::unique_ptr<http::Client> client;
  http::Response answer;
  bool drained = false;
  TaskScope scope{loop.get_executor()};
};

TEST_F(TaskRuntime, OneServerAnswersUnderItsNameAndUnderMcp) {
  start();
  EXPECT_EQ(ask("POST", "/mcp", {}, "x"), "200 demo on 1 for anonymous got x");
  EXPECT_EQ(ask("POST", "/demo/mcp", {}, "x"), "200 demo on 1 for anonymous got x");
  EXPECT_EQ(ask("POST", "/mcp/", {}, "x"), "200 demo on 1 for anonymous got x");
  EXPECT_EQ(ask("POST", "/demo/mcp/?a=1", {}, "x"), "200 demo on 1 for anonymous got x");
  EXPECT_EQ(ask("GET", "/other/mcp"),
            "404 {\"error\":\"There is nothing at /other/mcp.\",\"hint\":\"MCP is served at /mcp, /demo/mcp; "
            "health "
            "at /healthz and /readyz.\"}");
}

TEST_F(TaskRuntime, SeveralServersAnswerUnderTheirNamesAlone) {
  options.spec.servers.resize(2);
  options.spec.servers[1].name = "second";
  start();
  EXPECT_EQ(ask("POST", "/second/mcp", {}, "x"), "200 second on 1 for anonymous got x");
  EXPECT_EQ(ask("POST", "/demo/mcp", {}, "x"), "200 demo on 1 for anonymous got x");
  EXPECT_TRUE(ask("POST", "/mcp").starts_with("404 ")) << answer.body;
}

TEST_F(TaskRuntime, WrongMethodsAreToldTheRightOnes) {
  start();
  EXPECT_EQ(ask("PUT", "/mcp"), "405 {\"error\":\"PUT is not allowed here; use POST, GET, DELETE.\"}");
  EXPECT_EQ(answer.headers.get("Allow"), "POST, GET, DELETE");
  EXPECT_TRUE(ask("POST", "/healthz").starts_with("405 "));
  EXPECT_EQ(answer.headers.get("Allow"), "GET, HEAD");
}

TEST_F(TaskRuntime, HealthIsOfTheProcessAndReadinessOfTheServers) {
  start();
  EXPECT_EQ(ask("GET", "/healthz"), "200 {\"status\":\"alive\",\"task\":\"1\"}");
  fakes.hosts[0]->state = {.reason = "It said \"no\".", .not_separated = {}, .processes = 0, .restarts = 3};
  EXPECT_EQ(ask("GET", "/readyz"),
            "503 {\"ready\":false,\"servers\":{\"demo\":false},\"reasons\":[\"demo: It does not answer; the "
            "log says "
            "why.\"]}");
  EXPECT_FALSE(runtime->ready());
  EXPECT_TRUE(ask("GET", "/healthz").starts_with("200 "));
  fakes.hosts[0]->state.ready = true;
  EXPECT_EQ(ask("GET", "/readyz"), "200 {\"ready\":true,\"servers\":{\"demo\":true},\"reasons\":[]}");
  EXPECT_TRUE(runtime->ready());
}

TEST_F(TaskRuntime, ForeignHostsAndOriginsAreRefused) {
  start();
  EXPECT_TRUE(ask("POST", "/mcp", with("Host", "evil.example.com")).starts_with("403 {\"jsonrpc\":\"2.0\""));
  EXPECT_TRUE(ask("POST", "/mcp", with("Origin", "http://evil.example.com")).starts_with("403 "));
  EXPECT_FALSE(answer.headers.get("Access-Control-Allow-Origin"));
  EXPECT_TRUE(ask("GET", "/metrics", with("Host", "evil.example.com")).starts_with("403 "));
  EXPECT_TRUE(ask("POST", "/mcp", with("Origin", "http://localhost:6274")).starts_with("200 "));
  EXPECT_EQ(answer.headers.get("Access-Control-Allow-Origin"), "http://localhost:6274");
  EXPECT_TRUE(ask("OPTIONS", "/mcp", with("Origin", "http://localhost:6274")).starts_with("204 "));
  EXPECT_EQ(answer.headers.get("Access-Control-Allow-Methods"), "POST, GET, DELETE, OPTIONS");
}

TEST_F(TaskRuntime, KeysDecideWhoCalls) {
  options.keys.emplace_back("alice", Secret("key-of-alice"));
  start();
  EXPECT_TRUE(ask("POST", "/mcp").starts_with("401 {\"jsonrpc\":\"2.0\""));
  EXPECT_EQ(answer.headers.get("WWW-Authenticate"), "Bearer");
  EXPECT_TRUE(ask("POST", "/mcp", with("Authorization", "Bearer wrong")).starts_with("401 "));
  EXPECT_EQ(ask("POST", "/mcp", with("Authorization", "Bearer key-of-alice"), "x"),
            "200 demo on 1 for alice got x");
  EXPECT_EQ(ask("POST", "/mcp", with("Berth-Principal", "root")), "401 " + answer.body);
  EXPECT_TRUE(ask("GET", "/metrics").starts_with("401 "));
  EXPECT_TRUE(ask("GET", "/readyz").starts_with("200 "));
}

TEST_F(TaskRuntime, WrongKeysAreSlowedPerAddressAndRightOnesNever) {
  options.keys.emplace_back("alice", Secret("key-of-alice"));
  start();
  const auto from = [](std::string_view address, std::string_view key) {
    http::Headers headers = with("Authorization", key);
    headers.add("X-Forwarded-For", address);  // the door on this machine says it
    return headers;
  };
  const std::string mallory = "203.0.113.9, 192.0.2.1";
  for (std::size_t i = 0; i < WrongKeys::burst; ++i)
    EXPECT_TRUE(ask("POST", "/mcp", from(mallory, "Bearer wrong")).starts_with("401 "));
  EXPECT_TRUE(ask("POST", "/mcp", from(mallory, "Bearer wrong")).starts_with("429 "));
  EXPECT_EQ(answer.headers.get("Retry-After"), "3");
  EXPECT_TRUE(ask("GET", "/metrics", from(mallory, "Bearer wrong")).starts_with("429 "));
  EXPECT_TRUE(ask("POST", "/mcp", from("192.0.2.2", "Bearer wrong")).starts_with("401 "));
  EXPECT_TRUE(ask("POST", "/mcp", from("192.0.2.1", "Bearer key-of-alice"), "x").starts_with("200 "));
  EXPECT_TRUE(ask("POST", "/mcp", with("X-Forwarded-For", mallory)).starts_with("401 ")) << "no key is none";
}

TEST_F(TaskRuntime, AClientThatRegistersForOAuthReadsThatAKeyIsMissing) {
  options.keys.emplace_back("alice", Secret("key-of-alice"));
  start();
  EXPECT_EQ(ask("POST", "/register", {}, "{}"),
            "400 {\"error\":\"access_denied\",\"error_description\":\"This service needs an API key: send it "
            "as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'.\"}");
}

TEST_F(TaskRuntime, WithoutKeysNobodyRegisters) {
  start();
  EXPECT_TRUE(ask("POST", "/register", {}, "{}").starts_with("404 ")) << answer.body;
}

TEST_F(TaskRuntime, TakesWhatTheFrontDoorLetsInWithTheFieldsThatItAdds) {
  options.spec.limits.head_fields_max = 20;
  start();
  // Host and Content-Length are of the client.
  const auto ask_with = [&](std::size_t fields) {
    http::Headers headers;
    for (std::size_t i = 2; i < fields; ++i) headers.add("X-" + std::to_string(i), "y");
    return ask("POST", "/mcp", std::move(headers), "x").substr(0, 4);
  };
  EXPECT_EQ(ask_with(20), "200 ");
  EXPECT_EQ(ask_with(20 + http1::hop_fields_max), "200 ");
  EXPECT_EQ(ask_with(20 + http1::hop_fields_max + 1), "431 ");
}

TEST_F(TaskRuntime, FieldsThatNameTheCallerComeOnce) {
  options.keys.emplace_back("alice", Secret("key-of-alice"));
  start();
  for (const std::string name : {"Authorization", "X-API-Key", "Mcp-Session-Id", "Origin"}) {
    http::Headers headers = with("Authorization", "Bearer key-of-alice");
    headers.add(name, "a");
    if (name != "Authorization") headers.add(name, "b");
    EXPECT_TRUE(ask("POST", "/mcp", std::move(headers), "x").starts_with("400 ")) << name;
  }
}

TEST_F(TaskRuntime, CountsAndLogsEachRequest) {
  log.set_threshold(LogLevel::debug);
  start();
  ask("POST", "/mcp", with("X-Request-Id", "r1"), "x");
  ask("PUT", "/mcp", with("X-Amzn-Trace-Id", "Root=1-2"));
  EXPECT_EQ(answer.headers.get("X-Request-Id"), "Root=1-2");
  EXPECT_EQ(log.lines[1],
            "request request_id=r1 server=demo method=POST path=/mcp status=200 ms= principal=anonymous "
            "mcp_method=tools/call");
  EXPECT_EQ(
      log.lines[2],
      "request request_id=Root=1-2 server=demo method=PUT path=/mcp status=405 ms= principal= mcp_method=");
  const std::string metrics = ask("GET", "/metrics");
  for (const std::string_view line :
       {"berth_http_requests_total{server=\"demo\",status=\"200\"} 1\n",
        "berth_http_requests_total{server=\"demo\",status=\"405\"} 1\n",
        "berth_http_request_seconds_count{server=\"demo\"} 2\n", "berth_server_ready{server=\"demo\"} 1\n",
        "berth_http_requests_in_flight{server=\"demo\"} 0\n", "berth_server_processes{server=\"demo\"} 1\n",
        "fake_endpoint{server=\"demo\"} 1\n", "berth_peers 0\n", "process_resident_memory_bytes "}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
  }
}

TEST_F(TaskRuntime, ACallWhoseClientLeftIsNoError) {
  start();
  std::unique_ptr<net::Stream> stream;
  scope.spawn(connect_into(stream));
  clock.run_until_idle();
  scope.spawn(write_to(
      *stream, "POST /mcp HTTP/1.1\r\nHost: localhost:8080\r\nX-Unanswered: 1\r\nContent-Length: 0\r\n\r\n"));
  clock.run_until_idle();
  stream->close();
  clock.run_until_idle();
  EXPECT_EQ(fakes.endpoints[0]->left, 1);
  const std::string metrics = ask("GET", "/metrics");
  EXPECT_NE(metrics.find("berth_http_requests_total{server=\"demo\",status=\"499\"} 1\n"), std::string::npos)
      << metrics;
  EXPECT_EQ(metrics.find("status=\"500\""), std::string::npos);
}

TEST_F(TaskRuntime, SuccessIsNotLoggedAtTheDefaultLevel) {
  start();
  log.lines.clear();
  ask("POST", "/mcp", {}, "x");
  EXPECT_TRUE(log.lines.empty());
  ask("GET", "/nowhere");
  EXPECT_EQ(log.lines, (std::vector<std::string>{"request method=GET path=/nowhere status=404"}));
}

TEST_F(TaskRuntime, ReadinessTellsAServersLastWordsToHoldersOfAKeyAlone) {
  options.keys.emplace_back("alice", Secret("key-of-alice"));
  start();
  fakes.hosts[0]->state = {.reason = {"It ended.", Secret(" Its last words: postgres://user:password@db")},
                           .not_separated = {},
                           .processes = 0,
                           .restarts = 3};
  for (const char* key : {"", "key-of-mallory"}) {
    const std::string told = ask("GET", "/readyz", with("X-API-Key", key));
    EXPECT_TRUE(told.starts_with("503 ")) << told;
    EXPECT_FALSE(told.contains("password")) << told;
  }
  EXPECT_TRUE(ask("GET", "/readyz", with("X-API-Key", "key-of-alice")).contains("password"));
}

TEST_F(TaskRuntime, DrainStopsReadinessEndsStreamsAndThenTheServers) {
  start();
  EXPECT_EQ(ask("GET", "/mcp?slow"), "0 ");
  scope.spawn(drain_until(clock.now() + 10s));
  clock.run_until_idle();
  EXPECT_TRUE(fakes.endpoints[0]->drained);
  EXPECT_EQ(answer.body, "data: 1\n\ndata: 2\n\n");
  EXPECT_FALSE(drained);
  EXPECT_TRUE(ask("GET", "/readyz")
                  .starts_with("503 {\"ready\":false,\"servers\":{\"demo\":true},\"reasons\":[\"The "
                               "task is draining.\"]}"));
  clock.advance(1s);
  EXPECT_TRUE(drained);
  EXPECT_TRUE(fakes.hosts[0]->drained);
  runtime.reset();
}

TEST_F(TaskRuntime, WaitsForTheSlowestServersTimeBeforeItServesWithoutOne) {
  options.spec.servers.resize(2);
  options.spec.servers[1].name = "slow";
  options.spec.servers[1].start_timeout = 60s;
  start();
  fakes.hosts[1]->state = {.reason = "", .not_separated = {}, .processes = 1, .restarts = 0};
  clock.advance(59s);
  EXPECT_TRUE(ask("GET", "/readyz").starts_with("503 "));
  clock.advance(1s);
  EXPECT_TRUE(ask("GET", "/readyz").starts_with("200 ")) << answer.body;
}

TEST_F(TaskRuntime, ADrainTellsTheClientsOfCallsThatItCutsAndCountsEachOnce) {
  start();
  fakes.endpoints[0]->stubborn = true;
  fakes.hosts[0]->cut = 1;
  ask("GET", "/mcp?slow");
  scope.spawn(drain_until(clock.now() + 16s));
  clock.advance(12s);
  EXPECT_FALSE(fakes.endpoints[0]->drained);
  clock.advance(1s);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "data: 1\n\ndata: 2\n\n");
  clock.advance(3s);
  ASSERT_TRUE(drained);
  EXPECT_TRUE(log.lines.back().starts_with("task_drained calls_cut=1 ")) << log.lines.back();
  runtime.reset();
}

TEST_F(TaskRuntime, SpeaksTlsWithACertificateOfItsOwnAndRenewsIt) {
  options.tls = TaskTls::self_signed;
  options.ecs = EcsTask{"arn", "1", "r", "c", "svc", "demo", "26", "us-west-2b", "10.0.0.1"};
  start();
  http::ClientOptions secure;
  secure.endpoint = address;
  secure.tls = net::make_tls_client_unchecked();
  secure.tls_host_name = "anything";
  secure.idle_connections_max = 0;
  client = http::make_client(*network, std::move(secure));
  EXPECT_TRUE(ask("GET", "/healthz").starts_with("200 "));
  EXPECT_NE(ask("GET", "/metrics")
                .find("berth_task_info{task=\"1\",zone=\"us-west-2b\",cluster=\"c\",service="
                      "\"svc\",family=\"demo\",revision=\"26\"} 1\n"),
            std::string::npos);
  clock.advance(24h * 366);
  EXPECT_EQ(std::ranges::count(log.lines, "certificate_renewed"), 0);
  clock.advance(24h);
  EXPECT_EQ(std::ranges::count(log.lines, "certificate_renewed"), 1);
  EXPECT_TRUE(ask("GET", "/healthz").starts_with("200 ")) << answer.body;
}

TEST_F(TaskRuntime, AClientThatIsSlowWithItsHandshakeKeepsNobodyWaiting) {
  options.tls = TaskTls::self_signed;
  start();
  std::vector<std::unique_ptr<net::Stream>> silent(50);
  for (auto& stream : silent) scope.spawn(connect_into(stream));
  clock.run_until_idle();
  http::ClientOptions secure;
  secure.endpoint = address;
  secure.tls = net::make_tls_client_unchecked();
  client = http::make_client(*network, std::move(secure));
  EXPECT_TRUE(ask("GET", "/readyz").starts_with("200 ")) << answer.body;
}

TEST_F(TaskRuntime, ABalancersHealthChecksAreAnsweredWhateverTheirHost) {
  options.keys.emplace_back("alice", Secret("key-of-alice"));
  options.spec.listener.hosts = {"mcp.example.com"};
  start();
  for (const std::string_view host : {"10.20.2.106:3000", "some.other.name", "mcp.example.com"}) {
    EXPECT_TRUE(ask("GET", "/readyz", with("Host", host)).starts_with("200 ")) << host;
    EXPECT_TRUE(ask("GET", "/healthz", with("Host", host)).starts_with("200 ")) << host;
  }
  http::Headers headers = with("Host", "mcp.example.com");
  headers.add("X-API-Key", "key-of-alice");
  EXPECT_EQ(ask("POST", "/mcp", headers, "x"), "200 demo on 1 for alice got x");
}

TEST_F(TaskRuntime, GoesOnAcceptingForAWhileThatABalancerNeeds) {
  options.drain_grace = 5s;
  start();
  scope.spawn(drain_until(clock.now() + 30s));
  clock.advance(4s);
  EXPECT_TRUE(ask("GET", "/readyz").starts_with("503 "));
  EXPECT_EQ(ask("POST", "/mcp", {}, "x"), "200 demo on 1 for anonymous got x");
  EXPECT_EQ(answer.headers.get("Connection"), "close");
  clock.advance(2s);
  EXPECT_TRUE(drained);
  runtime.reset();
}

TEST_F(TaskRuntime, SaysWhatIsWrongWithItsOptions) {
  options.spec.servers.clear();
  const auto no_server = assemble_runtime(options, fakes.parts(), *network, log);
  EXPECT_EQ(no_server.error().message(), "A task needs a server to host; name one in berth.yaml.");
  options.spec.servers.resize(1);
  options.fleet_key = Secret("short");
  EXPECT_EQ(assemble_runtime(options, fakes.parts(), *network, log).error().code(),
            ErrorCode::invalid_argument);
  options.fleet_key = Secret(std::string(32, 'k'));
  options.identity.id = "../1";
  EXPECT_EQ(assemble_runtime(options, fakes.parts(), *network, log).error().code(),
            ErrorCode::invalid_argument);
  options.identity.id = "1";
  options.data_directory = "/proc/no";
  EXPECT_FALSE(assemble_runtime(options, fakes.parts(), *network, log));
  options.data_directory.clear();
  const auto taken = network->listen(address);
  EXPECT_EQ(assemble_runtime(options, fakes.parts(), *network, log).error().code(), ErrorCode::conflict);
}

}  // namespace
}  // namespace berth::task
