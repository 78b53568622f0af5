#include "task/runtime/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/ip_address.h"
#include "base/random.h"
#include "codec/http1.h"
#include "monitoring/process.h"
#include "task/runtime/member.h"
#include "task/runtime/peer_forwarder.h"

namespace berth::task {

namespace {

constexpr std::size_t request_id_bytes_max = 128;
constexpr std::size_t client_bytes_max = 128;
constexpr std::string_view key_wanted =
    "This service needs an API key: send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'.";
/// How a call is counted whose client left before it was answered: it failed nobody.
constexpr int client_left_status = 499;

Readiness::Options watched(const Router::Options& options) {
  Readiness::Options out{{}, options.start_patience, options.readiness_file, options.sister_is_whole};
  for (const ServedServer& server : options.servers)
    out.servers.push_back({server.name, server.host, server.remote,
                           [endpoint = server.endpoint] { return endpoint->homes(); },
                           [endpoint = server.endpoint] { return endpoint->states_lost(); }});
  return out;
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::ranges::find(list, text) != list.end();
}

/// A refusal that an MCP client can show: a JSON-RPC error without an id.
http::Response rpc_refusal(int status, std::string_view message) {
  return http::json_response(
      status, R"({"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":)" + json_quote(message) + "}}");
}

http::Response disowned_response() {
  auto response = rpc_refusal(404, "The task that was asked does not have this state any more.");
  response.headers.add(owner_gone_header, owner_disowns);
  return response;
}

http::Response wrong_method(std::string_view method, std::string_view allowed) {
  auto response = http::json_response(
      405,
      R"({"error":)" + json_quote(fmt::format("{} is not allowed here; use {}.", method, allowed)) + "}");
  response.headers.add("Allow", allowed);
  return response;
}

/// To the microsecond, which is as much as a log line should hold.
double milliseconds(Duration duration) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count()) / 1000;
}

/// Clients answer a bare 401 by registering themselves for OAuth (RFC 7591), and show their user what that
/// is answered with instead of the 401: here, that a key is missing.
http::Response no_registration() {
  return http::json_response(
      400, R"({"error":"access_denied","error_description":)" + json_quote(key_wanted) + "}");
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

/// What is counted of one server; `/mcp` and `/NAME/mcp` share it.
struct Router::Route {
  explicit Route(ServedServer shown) : server(std::move(shown)) {}

  void count(int status, Duration until_head) {
    const auto known = std::ranges::find(statuses, status, &std::pair<int, std::uint64_t>::first);
    if (known != statuses.end())
      ++known->second;
    else
      statuses.emplace_back(status, 1);
    latency.observe(seconds(until_head));
  }

  std::string_view folder() const { return std::string_view(path).substr(0, path.rfind('/')); }

  ServedServer server;
  std::string path;
  std::vector<std::pair<int, std::uint64_t>> statuses;
  monitoring::Histogram latency;
  std::size_t in_flight = 0;
};

/// Passes an exchange on, and sees how it is answered. Lives for one request; its end counts and logs it.
class Router::Observed final : public http::Exchange {
 public:
  Observed(Router& router, Route& route, http::Exchange& inner)
      : router_(router), route_(route), inner_(inner), began_(router.clock_.now()) {
    ++route_.in_flight;
    if (const auto origin = inner.head().headers.get("Origin")) {
      if (router.guard_.allows_origin(*origin)) origin_ = *origin;
    }
  }

  ~Observed() override {
    --route_.in_flight;
    if (client_left_ && !inner_.answered()) status_ = client_left_status;
    const TimePoint now = router_.clock_.now();
    route_.count(status_, (headed_ == TimePoint{} ? now : headed_) - began_);
    if (router_.options_.meter != nullptr && is_call())
      router_.options_.meter->on_call(status_ >= 500, now - began_);
    if (trace) finish_trace();
    const LogLevel level = status_ < 300 ? LogLevel::debug : LogLevel::info;
    if (router_.log_.threshold() <= level) log(level, milliseconds(now - began_));
  }

  const http::RequestHead& head() const override { return inner_.head(); }
  net::Endpoint remote() const override { return inner_.remote(); }
  Task<Result<std::string>> read_body(std::size_t bytes_max) override { return inner_.read_body(bytes_max); }
  Task<Result<std::size_t>> read_body_some(std::span<char> into) override {
    return inner_.read_body_some(into);
  }
  void on_disconnect(std::function<void()> callback) override {
    // Kept here, so that what goes down is small enough not to be allocated.
    on_left_ = std::move(callback);
    inner_.on_disconnect([this] {
      client_left_ = true;
      if (on_left_) on_left_();
    });
  }
  Task<Result<void>> respond(http::Response response) override {
    answer(response.status, response.headers);
    return inner_.respond(std::move(response));
  }
  Task<Result<void>> begin(http::ResponseHead head) override {
    answer(head.status, head.headers);
    return inner_.begin(std::move(head));
  }
  Task<Result<void>> write(std::string_view part) override { return inner_.write(part); }
  Task<Result<void>> finish() override { return inner_.finish(); }
  bool answered() const override { return inner_.answered(); }

  std::string request_id;
  std::string principal;
  std::string mcp_method;
  std::optional<monitoring::RequestTrace> trace;

 private:
  /// Something with an end to be waited for: neither a stream that listens nor what the router refused.
  bool is_call() const {
    return !principal.empty() && head().method == "POST" && mcp_method != "subscriptions/listen";
  }

  /// Requests that nobody vouches for leave no span, whatever their headers ask for.
  void finish_trace() {
    monitoring::OpenSpan* const span = trace->span();
    if (span == nullptr) return;
    if (!is_call()) return span->discard();
    span->add("berth.server", route_.server.name);
    span->add("berth.principal", router_.options_.pseudonym(principal));
    span->add("http.request.method", head().method);
    span->add("http.response.status_code", std::int64_t{status_});
    if (status_ >= 500) span->fail(fmt::format("HTTP {}", status_));
  }

  void log(LogLevel level, double ms) {
    const std::string trace_id = trace ? to_string(trace->id()) : std::string();
    const LogField id{"request_id", request_id};
    const LogField server{"server", route_.server.name};
    const LogField method{"method", head().method};
    const LogField path{"path", head().path()};
    const LogField status{"status", status_};
    const LogField time{"ms", ms};
    const LogField who{"principal", principal};
    const LogField what{"mcp_method", mcp_method};
    if (trace_id.empty())
      router_.log_.write(level, "request", {id, server, method, path, status, time, who, what});
    else
      router_.log_.write(level, "request",
                         {id, server, method, path, status, time, who, what, {"trace_id", trace_id}});
  }

  void answer(int status, http::Headers& headers) {
    status_ = status;
    headed_ = router_.clock_.now();
    if (status >= 400) headers.set("X-Request-Id", request_id);
    if (origin_.empty()) return;
    headers.set("Access-Control-Allow-Origin", origin_);
    headers.set("Vary", "Origin");
    headers.set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, X-Request-Id");
  }

  Router& router_;
  Route& route_;
  http::Exchange& inner_;
  TimePoint began_;
  TimePoint headed_{};
  std::string_view origin_;
  int status_ = 500;  ///< what the HTTP server answers when nobody did
  bool client_left_ = false;
  std::function<void()> on_left_;
};

Router::Router(Options options, Clock& clock, Log& log)
    : options_(std::move(options)),
      guard_(options_.listener),
      authenticator_(std::move(options_.keys)),
      readiness_(watched(options_), clock, log),
      clock_(clock),
      log_(log),
      id_prefix_(random_hex(6)) {
  for (const ServedServer& server : options_.servers) {
    routes_.push_back(std::make_unique<Route>(server));
    routes_.back()->path = "/" + server.name + "/mcp";
  }
}

Router::~Router() = default;

Router::Route* Router::find(std::string_view path) {
  if (path.ends_with("/mcp/")) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || !is_one_of(path.substr(slash), {"/mcp", "/sse", "/messages"}))
    return nullptr;
  const std::string_view folder = path.substr(0, slash);
  if (folder.empty()) return routes_.size() == 1 ? routes_.front().get() : nullptr;
  for (const auto& route : routes_) {
    if (route->folder() == folder) return route.get();
  }
  return nullptr;
}

Task<void> Router::serve(http::Exchange& exchange) {
  Route* const route = find(exchange.head().path());
  return route != nullptr ? serve_mcp(exchange, *route, std::nullopt) : serve_page(exchange);
}

Task<void> Router::serve_forwarded(http::Exchange& exchange, std::string principal) {
  Route* const route = find(exchange.head().path());
  return route != nullptr ? serve_mcp(exchange, *route, std::move(principal)) : serve_page(exchange);
}

/// The client's id, else the balancer's, else one of our own: unique, but not a secret.
std::string Router::request_id(const http::Headers& headers) {
  for (const std::string_view name : {"X-Request-Id", "X-Amzn-Trace-Id"}) {
    const auto given = headers.get(name);
    if (given && !given->empty() && given->size() <= request_id_bytes_max) return std::string(*given);
  }
  return fmt::format("{}-{:x}", id_prefix_, ++next_id_);
}

Task<void> Router::serve_mcp(http::Exchange& exchange, Route& route,
                             std::optional<std::string> forwarded_for) {
  Observed observed(*this, route, exchange);
  const http::RequestHead& head = exchange.head();
  observed.request_id = request_id(head.headers);
  std::optional<http::Response> refusal;
  if (!forwarded_for) refusal = refuse_mcp(exchange);
  if (refusal) {
    co_await observed.respond(std::move(*refusal));
    co_return;
  }
  RequestContext context;
  context.forwarded = forwarded_for.has_value();
  context.principal = forwarded_for
                          ? std::move(*forwarded_for)
                          : std::string(authenticator_.identify(head.headers).value_or("anonymous"));
  context.client = head.headers.get(client_header).value_or("");
  context.to_home = context.forwarded && head.headers.get(home_header).has_value();
  context.is_repeated = !context.forwarded && head.headers.get(http::repeated_header).has_value();
  if (context.forwarded)
    context.lost_life = read_generation(head.headers.get(lost_life_header).value_or("")).value_or(0);
  context.request_id = observed.request_id;
  observed.principal = context.principal;
  const bool is_measured = options_.meter != nullptr || options_.tracer != nullptr;
  if (is_measured || log_.threshold() <= LogLevel::info) context.mcp_method = &observed.mcp_method;
  if (options_.tracer != nullptr) trace(observed);
  if (observed.trace) context.trace = &*observed.trace;
  bool disowned = false;
  context.disowned = &disowned;
  co_await route.server.endpoint->serve(observed, std::move(context));
  if (disowned) co_await observed.respond(disowned_response());
}

/// Streams that a client opens with GET last for hours and are no work.
void Router::trace(Observed& observed) const {
  if (observed.head().method != "POST") return;
  const http::Headers& headers = observed.head().headers;
  observed.trace.emplace(*options_.tracer,
                         options_.tracer->begin(headers.get("traceparent"), headers.get("X-Amzn-Trace-Id")));
}

/// The address of the client as the balancer in front of this task saw it: what it added to the field last.
/// Only who connects from this machine, or is known to be the balancer, is believed.
std::string_view Router::client_address(const http::Exchange& exchange, const net::Endpoint& remote) const {
  if (!options_.behind_balancer && !is_loopback_address(remote.host)) return remote.host;
  std::string_view seen = exchange.head().headers.get("X-Forwarded-For").value_or("");
  seen = seen.substr(seen.rfind(',') + 1);  // rfind's npos + 1 is 0
  while (seen.starts_with(' ')) seen.remove_prefix(1);
  return seen.empty() ? std::string_view(remote.host) : seen;
}

/// Slower for an address that goes on trying; whoever has the key is not asked to wait.
http::Response Router::refuse_key(const http::Exchange& exchange) {
  std::optional<Duration> wait;
  if (Authenticator::has_key(exchange.head().headers)) {
    const net::Endpoint remote = exchange.remote();
    wait = wrong_keys_.count(client_address(exchange, remote), clock_.now());
  }
  if (!wait) {
    auto response = rpc_refusal(401, key_wanted);
    response.headers.add("WWW-Authenticate", "Bearer");
    return response;
  }
  auto response =
      rpc_refusal(429, "Too many wrong API keys came from this address; the right one is let in.");
  const auto whole = std::chrono::ceil<std::chrono::seconds>(*wait);
  response.headers.add("Retry-After", std::to_string(whole.count()));
  return response;
}

std::optional<http::Response> Router::refuse_caller(const http::Exchange& exchange) {
  const http::Headers& headers = exchange.head().headers;
  // Whoever stands between could have read the other one.
  const std::string_view repeated =
      headers.repeated({"Authorization", "X-API-Key", "Mcp-Session-Id", "Origin"});
  if (!repeated.empty()) return rpc_refusal(400, fmt::format("{} must be sent once.", repeated));
  if (headers.get(client_header).value_or("").size() > client_bytes_max)
    return rpc_refusal(400, fmt::format("{} must have at most {} bytes.", client_header, client_bytes_max));
  if (const auto problem = guard_.refuse(headers)) return rpc_refusal(403, *problem);
  if (authenticator_.identify(headers)) return std::nullopt;
  return refuse_key(exchange);
}

std::optional<http::Response> Router::refuse_mcp(const http::Exchange& exchange) {
  const http::RequestHead& head = exchange.head();
  // A browser asks for leave without the key.
  if (head.method == "OPTIONS" && !guard_.refuse(head.headers)) {
    http::Response preflight;
    preflight.status = 204;
    preflight.headers.add("Allow", "POST, GET, DELETE, OPTIONS");
    preflight.headers.add("Access-Control-Allow-Methods", "POST, GET, DELETE, OPTIONS");
    preflight.headers.add("Access-Control-Allow-Headers",
                          head.headers.get("Access-Control-Request-Headers").value_or("*"));
    preflight.headers.add("Access-Control-Max-Age", "600");
    return preflight;
  }
  if (auto refusal = refuse_caller(exchange)) return refusal;
  if (!is_one_of(head.method, {"POST", "GET", "DELETE"})) {
    return wrong_method(head.method, "POST, GET, DELETE");
  }
  return std::nullopt;
}

Task<void> Router::serve_page(http::Exchange& exchange) {
  auto response = page(exchange);
  // A task that is not ready yet is asked several times a second; the reason is in the host's own lines.
  if (response.status >= 400 && response.status != 503) {
    log_.info(
        "request",
        {{"method", exchange.head().method}, {"path", exchange.head().path()}, {"status", response.status}});
  }
  co_await exchange.respond(std::move(response));
}

http::Response Router::page(const http::Exchange& exchange) {
  const http::RequestHead& head = exchange.head();
  const std::string_view path = head.path();
  if (path == "/register" && authenticator_.asks_for_keys()) return no_registration();
  if (!is_one_of(path, {"/healthz", "/readyz", "/metrics"})) return unknown_path(path);
  if (!is_one_of(head.method, {"GET", "HEAD"})) return wrong_method(head.method, "GET, HEAD");
  if (path == "/healthz") {
    return http::json_response(200, R"({"status":"alive","task":)" + json_quote(options_.task) + "}");
  }
  if (path == "/readyz") return readiness(exchange);
  if (auto refusal = refuse_caller(exchange)) return std::move(*refusal);
  return metrics();
}

http::Response Router::unknown_path(std::string_view path) const {
  std::string endpoints;
  if (routes_.size() == 1) endpoints = "/mcp";
  for (const auto& route : routes_) endpoints += (endpoints.empty() ? "" : ", ") + route->path;
  const std::string message = fmt::format("There is nothing at {}.", path);
  const std::string hint = fmt::format("MCP is served at {}; health at /healthz and /readyz.", endpoints);
  return http::json_response(404,
                             R"({"error":)" + json_quote(message) + R"(,"hint":)" + json_quote(hint) + "}");
}

/// What a server wrote to stderr is for holders of a key alone: anybody reaches the load balancer's path.
http::Response Router::readiness(const http::Exchange& exchange) {
  const bool has_key = Authenticator::has_key(exchange.head().headers);
  const bool tells_why = authenticator_.asks_for_keys() && has_key && !refuse_caller(exchange);
  const bool ready = readiness_.look();
  return http::json_response(ready ? 200 : 503, readiness_.body(tells_why));
}

http::Response Router::metrics() const {
  monitoring::MetricsWriter writer;
  for (const auto& route : routes_) {
    const std::string_view server = route->server.name;
    for (const auto& [status, count] : route->statuses) {
      writer.counter("berth_http_requests_total", "Requests answered at an MCP endpoint, by HTTP status.",
                     {{"server", server}, {"status", std::to_string(status)}}, static_cast<double>(count));
    }
    writer.histogram("berth_http_request_seconds", "From the request's head to the answer's.",
                     {{"server", server}}, route->latency);
    writer.gauge("berth_http_requests_in_flight", "Requests being answered, streams included.",
                 {{"server", server}}, static_cast<double>(route->in_flight));
    const HostHealth health = route->server.host->health();
    writer.gauge("berth_server_ready", "1 while the hosted server answers.", {{"server", server}},
                 health.ready ? 1 : 0);
    writer.gauge("berth_server_processes", "Child processes of the hosted server.", {{"server", server}},
                 static_cast<double>(health.processes));
    writer.counter("berth_server_restarts_total", "Times a child process was started again.",
                   {{"server", server}}, static_cast<double>(health.restarts));
    writer.counter("berth_server_oom_kills_total",
                   "Child processes that the kernel ended for want of memory.", {{"server", server}},
                   static_cast<double>(health.oom_kills));
    route->server.endpoint->write_metrics(writer);
  }
  if (options_.more_metrics) options_.more_metrics(writer);
  if (const auto usage = monitoring::read_process_usage("/proc/self")) write_metrics(writer, *usage);
  auto response = http::text_response(200, writer.text());
  response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  return response;
}

}  // namespace berth::task
