#include "task/edge/testing/fixture.h"

#include <fmt/format.h>

#include <algorithm>

#include "codec/json.h"

namespace berth::task::testing {
namespace {

Task<void> serve(Endpoint& endpoint, Fleet::Sent exchange, To to) {
  RequestContext context;
  context.principal = std::move(to.principal);
  context.client = std::move(to.client);
  context.is_repeated = to.is_repeated;
  co_await endpoint.serve(*exchange, std::move(context));
  exchange->mark_served();
}

Task<void> drain_into(Endpoint& endpoint, TimePoint deadline,
                      std::shared_ptr<std::optional<std::size_t>> result) {
  const std::size_t cut = co_await endpoint.drain(deadline);
  *result = cut;
}

class PeersOf final : public PeerForwarder {
 public:
  PeersOf(FakePeers& all, const TaskIdentity& self) : all_(all), self_(self) {}

  Task<Forwarded> forward(const mcp::Handle& handle, http::Exchange& exchange, std::string_view,
                          const RequestContext& from) override {
    ++all_.forwarded;
    if (all_.fails_with) co_return *all_.fails_with;
    if (all_.fails_once_with) co_return *std::exchange(all_.fails_once_with, std::nullopt);
    const auto at = all_.lives.find(handle.owner_address);
    if (at == all_.lives.end()) co_return Forwarded{Forwarded::End::not_delivered, "The task is gone."};
    if (at->second.identity.generation != handle.generation)
      co_return Forwarded{Forwarded::End::another_life, "Another life is there."};
    if (const auto instead = std::exchange(all_.instead_once, nullptr)) {
      instead(at->second.identity);
      co_return Forwarded{Forwarded::End::disowned, "It has not got the state yet."};
    }
    RequestContext context;
    context.principal = from.principal;
    context.client = from.client;
    context.to_home = from.to_home;
    context.lost_life = from.lost_life;
    context.forwarded = true;
    bool disowned = false;
    context.disowned = &disowned;
    co_await at->second.endpoint->serve(exchange, std::move(context));
    co_return Forwarded{disowned ? Forwarded::End::disowned : Forwarded::End::answered, {}};
  }

  std::vector<TaskIdentity> sisters() const override {
    std::vector<TaskIdentity> others = all_.ghosts;
    for (const auto& [address, life] : all_.lives) {
      if (all_.are_known && life.identity.id != self_.id) others.push_back(life.identity);
    }
    return others;
  }
  std::uint64_t losses() const override { return all_.losses; }

 private:
  FakePeers& all_;
  TaskIdentity self_;
};

}  // namespace

std::unique_ptr<PeerForwarder> FakePeers::of(const TaskIdentity& self) {
  return std::make_unique<PeersOf>(*this, self);
}

std::shared_ptr<Home> FakeHomes::find(std::string_view key) {
  const auto at = own.find(key);
  return at == own.end() ? nullptr : at->second;
}

Task<Homes::Place> FakeHomes::settle(std::string key, From from, std::span<const std::string> tried) {
  if (from == From::sister && takes_nobody) co_return Place{};
  const auto at = elsewhere.find(key);
  if (at != elsewhere.end() && std::ranges::find(tried, at->second.id) == tried.end())
    co_return Place{nullptr, at->second};
  std::shared_ptr<Home>& home = own[key];
  if (!home) home = std::make_shared<Home>();
  home->key = key;
  co_return Place{home, std::nullopt};
}

Task<Homes::Place> FakeHomes::settle_sole(std::string key, From from, std::span<const std::string> tried) {
  if (is_uncertain || (from == From::sister && elsewhere.contains(key))) co_return Place{};
  auto place = co_await settle(std::move(key), from, tried);
  co_return place;
}

Task<std::shared_ptr<Home>> FakeHomes::claim(std::string key) {
  claimed.push_back(key);
  std::shared_ptr<Home>& home = own[key];
  if (!home) home = std::make_shared<Home>();
  home->key = key;
  co_return home;
}

void FakeHomes::give_up(std::string_view server) {
  std::erase_if(own, [&](const auto& entry) { return entry.first.starts_with(std::string(server) + "\n"); });
}

void FakeHomes::keep(Home& home) {
  if (!std::exchange(home.is_kept, true)) kept.push_back(home.key);
}

Fleet::Fleet(std::size_t tasks) {
  for (std::size_t i = 0; i < tasks; ++i) {
    nodes.push_back(std::make_unique<Node>());
    nodes.back()->identity = {std::string(1, static_cast<char>('a' + i)), "a", 7 + 100 * i,
                              fmt::format("10.0.0.{}:3001", i + 1)};
    boot(*nodes.back());
  }
}

Fleet::~Fleet() {
  for (const Sent& sent : sent_) sent->disconnect();
  scope_.cancel();
  run();
}

void Fleet::boot(Node& node) {
  node.peers = peers.of(node.identity);
  node.records = peers.are_known ? records.of(node.identity) : make_no_session_records();
  node.endpoint = make_endpoint({.server = "fake",
                                 .host = node.host,
                                 .limits = limits,
                                 .spec = spec,
                                 .identity = node.identity,
                                 .sealer = sealer,
                                 .peers = *node.peers,
                                 .homes = node.homes,
                                 .records = *node.records,
                                 .bus = *node.bus,
                                 .memory = memory,
                                 .clock = clock,
                                 .log = null_log()});
  peers.lives[node.identity.peer_address] = {node.endpoint.get(), node.identity};
}

void Fleet::know_sisters() {
  peers.are_known = true;
  for (const auto& node : nodes) {
    node->endpoint.reset();
    boot(*node);
  }
}

void Fleet::kill(std::size_t index) {
  Node& node = *nodes[index];
  peers.lives.erase(node.identity.peer_address);
  node.endpoint.reset();
  run();
}

void Fleet::restart(std::size_t index) {
  Node& node = *nodes[index];
  node.endpoint.reset();
  ++node.identity.generation;
  boot(node);
}

Fleet::Sent Fleet::send(std::string method, const Fields& fields, std::string body, const To& to) {
  return send_to("/mcp", std::move(method), fields, std::move(body), to);
}

Fleet::Sent Fleet::send_to(std::string target, std::string method, const Fields& fields, std::string body,
                           const To& to) {
  auto exchange =
      std::make_shared<FakeExchange>(std::move(method), std::move(target), fields, std::move(body));
  sent_.push_back(exchange);
  scope_.spawn(serve(*nodes[to.task]->endpoint, exchange, to));
  run();
  return exchange;
}

Fleet::Sent Fleet::modern(std::string_view method, std::string_view params, const To& to) {
  return modern_with(method, params, "", "{}", to);
}

Fleet::Sent Fleet::modern_with(std::string_view method, std::string_view params, std::string_view meta,
                               std::string_view capabilities, const To& to) {
  const std::string envelope = fmt::format(R"({{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
                                           R"("io.modelcontextprotocol/clientCapabilities":{}{}{}}})",
                                           capabilities, meta.empty() ? "" : ",", meta);
  const std::string whole = json::edit(json::Slice::trusted(params), {{"_meta", envelope}});
  Fields fields = {{"Content-Type", "application/json"},
                   {"Accept", "application/json, text/event-stream"},
                   {"MCP-Protocol-Version", "2026-07-28"},
                   {"Mcp-Method", std::string(method)}};
  for (const std::string_view member : {"name", "uri"}) {
    if (const auto value = json::Slice::trusted(params).find(member).as_string())
      fields.emplace_back("Mcp-Name", *value);
  }
  return send("POST", fields,
              fmt::format(R"({{"jsonrpc":"2.0","id":1,"method":"{}","params":{}}})", method, whole), to);
}

Fleet::Sent Fleet::legacy(std::string_view body, std::string_view session, const To& to) {
  Fields fields = {{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream"}};
  if (!session.empty()) fields.emplace_back("Mcp-Session-Id", std::string(session));
  return send("POST", fields, std::string(body), to);
}

std::string Fleet::initialize(std::string_view capabilities, std::string_view version, const To& to) {
  const Sent sent = legacy(
      fmt::format(R"({{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{}",)"
                  R"("capabilities":{},"clientInfo":{{"name":"t","version":"1"}}}}}})",
                  version, capabilities),
      "", to);
  return sent->header("Mcp-Session-Id");
}

Fleet::Sent Fleet::get(std::string_view session, std::string_view last_event_id, const To& to) {
  Fields fields = {{"Accept", "text/event-stream"}};
  if (!session.empty()) fields.emplace_back("Mcp-Session-Id", std::string(session));
  if (!last_event_id.empty()) fields.emplace_back("Last-Event-ID", std::string(last_event_id));
  return send("GET", fields, "", to);
}

std::shared_ptr<std::optional<std::size_t>> Fleet::drain(Duration within) {
  auto result = std::make_shared<std::optional<std::size_t>>();
  scope_.spawn(drain_into(*nodes[0]->endpoint, clock.now() + within, result));
  run();
  return result;
}

std::vector<std::string> event_ids(const Fleet::Sent& sent) {
  constexpr std::string_view field = "id: ";
  std::vector<std::string> ids;
  const std::string text = "\n" + std::string(sent->body());
  for (std::size_t at = 0; (at = text.find("\nid: ", at)) != std::string::npos;) {
    at += 1 + field.size();
    ids.push_back(text.substr(at, text.find('\n', at) - at));
  }
  return ids;
}

int error_code(std::string_view json) {
  const auto value = json::parse(json);
  if (!value) return -1;
  return static_cast<int>(value->find("error").find("code").as_int().value_or(0));
}

std::string summary(const Fleet::Sent& sent) {
  if (sent->status() == 0) return "unanswered";
  if (sent->is_streaming()) return fmt::format("{} sse", sent->status());
  if (sent->body().empty()) return fmt::format("{} empty", sent->status());
  const int code = error_code(sent->body());
  return code == 0 ? fmt::format("{} result", sent->status()) : fmt::format("{} {}", sent->status(), code);
}

}  // namespace berth::task::testing
