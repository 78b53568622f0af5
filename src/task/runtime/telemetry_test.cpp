#include "task/runtime/telemetry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/random.h"
#include "base/testing/sim_clock.h"
#include "codec/json.h"
#include "http/server.h"
#include "net/testing/memory_network.h"
#include "task/runtime/parts.h"
#include "task/runtime/testing/fakes.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// A host that ends every call at once, and remembers what it was told.
class StubHost final : public ServerHost {
 public:
  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller&) override {
    co_return mcp::ServerDescription{};
  }
  std::unique_ptr<mcp::ActiveCall> start(const mcp::Call& call, mcp::CallObserver& observer) override {
    trace_parent = call.trace_parent;
    params = call.params;
    observer.on_outcome(outcome);
    return std::make_unique<mcp::ActiveCall>();
  }
  void notify(const mcp::Caller&, std::string_view, std::string_view) override {}
  void watch_resource(const mcp::Caller&, const std::string&) override {}
  void unwatch_resource(const mcp::Caller&, const std::string&) override {}
  void session_closed(const std::string&) override {}
  HostHealth health() const override {
    return {.ready = true, .reason = {}, .not_separated = {}, .processes = 1};
  }
  Task<std::size_t> drain(TimePoint) override { co_return 0; }

  mcp::Outcome outcome = mcp::Outcome::success(R"({"content":[]})");
  std::string trace_parent;
  std::string params;
};

class Collector final : public http::Service {
 public:
  Task<void> serve(http::Exchange& exchange) override {
    path = exchange.head().target;
    signature = exchange.head().headers.get("Authorization").value_or("");
    const auto body = co_await exchange.read_body(10u << 20);
    if (status == 200) bodies.push_back(body.value_or(""));
    ++posts;
    auto response = http::json_response(status, answer);
    co_await exchange.respond(std::move(response));
  }
  int status = 200;
  std::string answer = "{}";
  int posts = 0;
  std::string path;
  std::string signature;
  std::vector<std::string> bodies;
};

class RecordingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField> fields) override {
    events.emplace_back(event);
    for (const LogField& field : fields) {
      if (field.name == "trace_id") trace_id = std::get<std::string_view>(field.value);
      if (field.name == "problem") problem = std::get<std::string_view>(field.value);
    }
  }
  std::vector<std::string> events;
  std::string trace_id;
  std::string problem;
};

struct SpanView {
  std::string name, trace, id, parent;
  std::int64_t kind = 0;
  std::string text;
};

struct TaskTelemetry : ::testing::Test {
  TaskTelemetry() {
    options.spec.servers.resize(1);
    options.spec.servers[0].name = "demo";
    options.fleet_key = Secret(std::string(32, 'k'));
    options.keys.emplace_back("alice", Secret("key"));
    options.listen = {"10.0.0.1", 3000};
    options.telemetry.service = "demo";
    options.telemetry.trace_ratio = 0;
    options.telemetry.otlp.endpoint = "http://127.0.0.1:4318/v1/traces";
    options.telemetry.otlp.resource = {{"service.name", "demo"}};
  }
  void TearDown() override {
    for (auto& each : tasks) scope.spawn(drain(*each));
    clock.advance(3s);
    if (collector_server) scope.spawn(close(*collector_server));
    clock.advance(1s);
  }

  void collect() {
    collector_server = http::make_server(std::move(*network->listen({"127.0.0.1", 4318})), nullptr, collector,
                                         clock, null_log(), http::ServerLimits{});
  }

  Runtime& start(RuntimeParts parts) {
    auto made = assemble_runtime(options, std::move(parts), *network, log);
    EXPECT_TRUE(made) << made.error().message();
    tasks.push_back(std::move(*made));
    return *tasks.back();
  }
  /// The real endpoint in front of a stub of a server.
  void start() {
    RuntimeParts parts;
    parts.make_host = [this](const model::ServerSpec&, ChangeSink&, const TaskIdentity&, MemoryAccount&) {
      auto made = std::make_unique<StubHost>();
      host = made.get();
      HostedServer hosted;
      hosted.host = std::move(made);
      return hosted;
    };
    parts.make_endpoint = make_endpoint;
    start(std::move(parts));
  }

  Task<void> drain(Runtime& runtime) { co_await runtime.drain(clock.now() + 2s); }
  Task<void> close(http::Server& server) { co_await server.drain(clock.now()); }
  Task<void> fetch(http::ClientRequest request) {
    http::ClientOptions to;
    to.endpoint = options.listen;
    const auto client = http::make_client(*network, std::move(to));
    auto fetched = co_await client->fetch(std::move(request), 100'000);
    answer = fetched ? fetched->body : fetched.error().message();
  }

  /// tools/call of `echo`; `headers` as "Name: value".
  void call(std::string_view traceparent, std::string_view meta = {}, std::string_view key = "key") {
    http::ClientRequest request;
    request.method = "POST";
    request.target = "/mcp";
    request.headers.add("Authorization", "Bearer " + std::string(key));
    request.headers.add("Content-Type", "application/json");
    request.headers.add("Accept", "application/json, text/event-stream");
    request.headers.add("MCP-Protocol-Version", "2026-07-28");
    request.headers.add("Mcp-Method", "tools/call");
    request.headers.add("Mcp-Name", "echo");
    if (!traceparent.empty()) request.headers.add("traceparent", traceparent);
    request.body = R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{)"
                   R"("io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
                   R"("io.modelcontextprotocol/clientCapabilities":{})" +
                   std::string(meta) + "}}}";
    request.deadline = clock.now() + 60s;
    scope.spawn(fetch(std::move(request)));
    clock.run_until_idle();
  }

  std::vector<SpanView> spans() const {
    std::vector<SpanView> out;
    for (const std::string& body : collector.bodies) {
      const auto parsed = json::parse(body);
      json::Elements resources(parsed->find("resourceSpans"));
      EXPECT_TRUE(resources.next());
      json::Elements scopes(resources.value().find("scopeSpans"));
      EXPECT_TRUE(scopes.next());
      for (json::Elements each(scopes.value().find("spans")); each.next();) {
        const auto text = [&](std::string_view name) {
          return each.value().find(name).as_string().value_or("");
        };
        out.push_back({text("name"), text("traceId"), text("spanId"), text("parentSpanId"),
                       each.value().find("kind").as_int().value_or(0), std::string(each.value().text())});
      }
    }
    return out;
  }
  SpanView find(std::int64_t kind) const {
    for (const SpanView& span : spans()) {
      if (span.kind == kind) return span;
    }
    ADD_FAILURE() << "no span of kind " << kind;
    return {};
  }

  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  RuntimeOptions options;
  RecordingLog log;
  Collector collector;
  std::unique_ptr<http::Server> collector_server;
  StubHost* host = nullptr;
  std::vector<std::unique_ptr<Runtime>> tasks;
  std::string answer;
  TaskScope scope{loop.get_executor()};
};

TEST_F(TaskTelemetry, ASampledCallIsASpanAtTheTaskAndOneAtTheServerBelow) {
  log.set_threshold(LogLevel::debug);
  collect();
  start();
  call(parent);
  EXPECT_TRUE(collector.bodies.empty()) << "no call waits for the collector";
  clock.advance(2s);
  ASSERT_EQ(spans().size(), 2u);
  EXPECT_EQ(collector.path, "/v1/traces");
  const SpanView server = find(2);
  EXPECT_EQ(server.name, "tools/call echo");
  EXPECT_EQ(server.trace, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(server.parent, "00f067aa0ba902b7");
  EXPECT_NE(server.text.find(R"({"key":"berth.server","value":{"stringValue":"demo"}})"), std::string::npos);
  EXPECT_NE(server.text.find(R"({"key":"http.response.status_code","value":{"intValue":"200"}})"),
            std::string::npos);
  EXPECT_EQ(server.text.find("alice"), std::string::npos) << "who called is nobody's business";
  EXPECT_NE(server.text.find("berth.principal"), std::string::npos);
  const SpanView below = find(3);
  EXPECT_EQ(below.name, "tools/call echo");
  EXPECT_EQ(below.trace, server.trace);
  EXPECT_EQ(below.parent, server.id);
  EXPECT_EQ(host->trace_parent, "00-" + server.trace + "-" + below.id + "-01");
  EXPECT_EQ(log.trace_id, server.trace);
}

TEST_F(TaskTelemetry, TheTraceOfTheMessageIsTheOneAndTheServerIsToldItsCaller) {
  collect();
  start();
  call(unsampled, R"(,"traceparent":"00-11111111111111111111111111111111-2222222222222222-01","vendor/x":1)");
  clock.advance(2s);
  EXPECT_EQ(find(2).trace, "11111111111111111111111111111111");
  EXPECT_EQ(find(2).parent, "2222222222222222");
  EXPECT_EQ(host->params, R"({"name":"echo","_meta":{"traceparent":"00-11111111111111111111111111111111-)" +
                              find(3).id + R"(-01","vendor/x":1}})");
}

TEST_F(TaskTelemetry, WhatIsNotSampledLeavesNothingAndPassesTheCallersContextOn) {
  collect();
  start();
  call(unsampled);
  EXPECT_EQ(host->trace_parent, unsampled);
  call({});
  EXPECT_EQ(host->trace_parent, "");
  clock.advance(10s);
  EXPECT_EQ(collector.posts, 0);
}

TEST_F(TaskTelemetry, CallersWithoutAKeyLeaveNoSpanWhateverTheyAskFor) {
  collect();
  start();
  call(parent, {}, "wrong");
  clock.advance(10s);
  EXPECT_EQ(collector.posts, 0);
}

TEST_F(TaskTelemetry, AFailureIsASpanThatFailed) {
  collect();
  start();
  host->outcome = mcp::Outcome::failure(-32603, "It broke.");
  call(parent);
  host->outcome = mcp::Outcome::success(R"({"content":[],"isError":true})");
  call(parent);
  clock.advance(2s);
  const std::string all = collector.bodies.at(0);
  EXPECT_NE(all.find(R"("status":{"code":2,"message":"It broke."})"), std::string::npos) << all;
  EXPECT_NE(all.find(R"({"key":"error.type","value":{"stringValue":"tool_error"}})"), std::string::npos);
}

TEST_F(TaskTelemetry, ASistersPartBelongsToTheSameTrace) {
  collect();
  const std::string folder = ::testing::TempDir() + "berth-" + random_hex(8);
  options.data_directory = folder;
  options.identity = {"b", "z", 0, "10.0.0.2:3001"};
  options.listen = {"10.0.0.2", 3000};
  testing::FakeParts owner;
  start(owner.parts());
  options.identity = {"a", "z", 0, "10.0.0.1:3001"};
  options.listen = {"10.0.0.1", 3000};
  testing::FakeParts other;
  start(other.parts());
  clock.advance(3s);
  const EndpointWorld& world = owner.endpoints.at(0)->world_;
  mcp::Handle handle;
  handle.owner = world.identity.id;
  handle.owner_address = world.identity.peer_address;
  handle.generation = world.identity.generation;
  handle.principal = "alice";
  http::ClientRequest request;
  request.method = "POST";
  request.target = "/mcp?forward=" + world.sealer.seal(handle);
  request.headers.add("Authorization", "Bearer key");
  request.headers.add("traceparent", parent);
  request.deadline = clock.now() + 60s;
  scope.spawn(fetch(std::move(request)));
  clock.run_until_idle();
  EXPECT_EQ(answer, "demo on b for alice forwarded got ");
  clock.advance(3s);
  ASSERT_EQ(spans().size(), 3u);
  const SpanView hop = find(3);
  EXPECT_EQ(hop.name, "forward to the owner");
  std::size_t at_owner = 0;
  std::size_t at_first = 0;
  for (const SpanView& span : spans()) {
    EXPECT_EQ(span.trace, "4bf92f3577b34da6a3ce929d0e0e4736");
    if (span.parent == hop.id) ++at_owner;
    if (span.id == hop.parent) ++at_first;
  }
  EXPECT_EQ(at_owner, 1u);
  EXPECT_EQ(at_first, 1u);
  std::filesystem::remove_all(folder);
}

TEST_F(TaskTelemetry, ACollectorThatIsAwayCostsNoCallAndIsToldOnce) {
  start();
  for (int i = 0; i < 20; ++i) {
    call(parent);
    EXPECT_NE(answer.find("\"result\""), std::string::npos) << answer;
    clock.advance(1s);
  }
  EXPECT_EQ(std::ranges::count(log.events, "traces_not_sent"), 1);
  collect();
  call(parent);
  clock.advance(20s);
  EXPECT_EQ(std::ranges::count(log.events, "traces_sent_again"), 1);
  EXPECT_GE(spans().size(), 2u);
}

TEST_F(TaskTelemetry, ABusyCollectorIsAskedAgainAndOneThatRefusesIsNot) {
  collect();
  start();
  collector.status = 503;
  call(parent);
  clock.advance(4s);
  EXPECT_EQ(collector.posts, 2);
  collector.status = 200;
  clock.advance(4s);
  EXPECT_EQ(spans().size(), 2u) << "what was refused for a moment is not lost";
  collector.status = 400;
  collector.posts = 0;
  call(parent);
  clock.advance(20s);
  EXPECT_EQ(collector.posts, 1);
}

TEST_F(TaskTelemetry, TheCollectorsReasonIsToldUnlessItMayQuoteACredential) {
  collect();
  start();
  collector.status = 400;
  collector.answer = R"({"message":"Please enable Transaction Search."})";
  call(parent);
  clock.advance(3s);
  EXPECT_EQ(log.problem,
            "http://127.0.0.1:4318/v1/traces answered HTTP 400: Please enable Transaction Search.");
  collector.status = 200;
  call(parent);
  clock.advance(3s);
  collector.status = 403;
  collector.answer = R"({"message":"x-amz-security-token:SECRET"})";
  call(parent);
  clock.advance(3s);
  EXPECT_EQ(log.problem, "http://127.0.0.1:4318/v1/traces answered HTTP 403");
}

TEST_F(TaskTelemetry, AreSignedWhereASignerIsGiven) {
  collect();
  options.telemetry.otlp.sign =
      [](std::string host, std::string path,
         std::string body) -> Task<Result<std::vector<std::pair<std::string, std::string>>>> {
    std::vector<std::pair<std::string, std::string>> fields;
    fields.emplace_back("Authorization", host + " " + path + (body.empty() ? " empty" : " signed"));
    co_return fields;
  };
  start();
  call(parent);
  clock.advance(2s);
  EXPECT_EQ(collector.signature, "127.0.0.1:4318 /v1/traces signed");
}

TEST_F(TaskTelemetry, TheLastSpansLeaveWithTheTask) {
  collect();
  start();
  call(parent);
  scope.spawn(drain(*tasks[0]));
  clock.advance(1s);
  tasks.clear();
  EXPECT_EQ(spans().size(), 2u);
}

TEST_F(TaskTelemetry, EmfLinesComeEachPeriodAndOnceMoreAtTheEnd) {
  std::vector<std::string> lines;
  options.telemetry.trace_ratio.reset();
  options.telemetry.emf_period = 20s;
  options.telemetry.emf = [&](std::string_view line) { lines.emplace_back(line); };
  start();
  call({});
  call({}, {}, "wrong");
  clock.advance(19s);
  EXPECT_TRUE(lines.empty());
  clock.advance(1s);
  ASSERT_EQ(lines.size(), 1u);
  const auto line = json::parse(lines[0]);
  EXPECT_EQ(line->find("ServiceName").as_string(), "demo");
  EXPECT_EQ(line->find("Calls").as_int(), 1) << "who has no key is no call";
  EXPECT_EQ(line->find("Errors").as_int(), 0);
  std::size_t samples = 0;
  for (json::Elements each(line->find("CallsInFlight")); each.next();) ++samples;
  EXPECT_EQ(samples, 20u);
  EXPECT_NE(lines[0].find(R"("StorageResolution":1)"), std::string::npos) << "more often than once a minute";
  call({});
  scope.spawn(drain(*tasks[0]));
  clock.advance(2s);
  tasks.clear();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(json::parse(lines[1])->find("Calls").as_int(), 1);
}

TEST_F(TaskTelemetry, AnEndpointThatIsNoUrlIsRefusedBeforeAnythingStarts) {
  options.telemetry.otlp.endpoint = "localhost:4318";
  testing::FakeParts fakes;
  const auto made = assemble_runtime(options, fakes.parts(), *network, log);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("BERTH_OTLP_ENDPOINT"), std::string::npos) << made.error().message();
}

}  // namespace
}  // namespace berth::task
