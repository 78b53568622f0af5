#include "task/endpoint.h"

#include "base/check.h"
#include "task/edge/answer_form.h"
#include "task/edge/answers.h"
#include "task/edge/http_sse.h"
#include "task/edge/legacy_edge.h"
#include "task/edge/modern_edge.h"
#include "task/edge/request_body.h"
#include "task/edge/run_again.h"
#include "task/edge/sole_home.h"
#include "task/edge/tracing.h"

namespace berth::task {
namespace {

using namespace edge;

class EndpointImpl final : public Endpoint {
 public:
  explicit EndpointImpl(EndpointWorld world)
      : shared_(world),
        modern_(shared_),
        legacy_(shared_),
        http_sse_(shared_, [this](http::Exchange& exchange, RequestContext context) {
          return serve(exchange, std::move(context));
        }) {
    if (shared_.is_sole()) sole_home_.emplace(shared_, legacy_.sessions());
  }

  Task<void> serve(http::Exchange& exchange, RequestContext context) override {
    const InService counted(*this);
    const std::string& method = exchange.head().method;
    const std::string_view path = exchange.head().path();
    if (path.ends_with("/sse") || path.ends_with("/messages")) {
      co_await serve_http_sse(exchange, context, path.ends_with("/sse") ? "GET" : "POST");
    } else if (method == "POST") {
      co_await post(exchange, context);
    } else if (method == "GET" || method == "DELETE") {
      auto memory = shared_.world.memory.open(context.principal, MemoryAccount::Kind::request);
      const Incoming incoming{exchange, context, memory, {}, mcp::read_headers(exchange.head().headers),
                              {},       {}};
      std::optional<SoleHome::Admitted> admitted;
      const bool is_answered = co_await bring(incoming, admitted);
      if (is_answered) co_return;
      if (method == "GET") {
        co_await legacy_.get(incoming);
      } else {
        co_await legacy_.remove(incoming);
      }
    } else {
      co_await answer_not_allowed(exchange, "POST, GET, DELETE");
    }
  }

  Task<std::size_t> drain(TimePoint deadline) override {
    shared_.draining = true;
    shared_.ticker.drain();
    if (sole_home_) co_await sole_home_->hand_over(deadline);
    const auto alarm = shared_.world.clock.make_timer();
    bool late = false;
    alarm->arm(deadline, [this, &late] {
      late = true;
      shared_.idle.notify();
    });
    // A call whose client has left goes on, and its answer is kept for that client.
    while ((in_service_ > 0 || shared_.counters.calls > 0) && !late) co_await shared_.idle.wait();
    const std::size_t cut = shared_.counters.calls;
    shared_.ticker.cut();
    // What was cut still says so to its client, which takes no time worth mentioning.
    late = false;
    alarm->arm(shared_.now() + std::chrono::seconds(1), [this, &late] {
      late = true;
      shared_.idle.notify();
    });
    while (in_service_ > 0 && !late) co_await shared_.idle.wait();
    co_await http_sse_.stop();
    legacy_.sessions().release_all();
    co_return cut;
  }

  void ask(OutsideQuestion question) override { legacy_.ask(std::move(question)); }

  Task<void> settle() override {
    if (sole_home_) co_await sole_home_->settle();
  }

  void write_metrics(monitoring::MetricsWriter& writer) const override;
  std::size_t calls() const override { return shared_.counters.calls; }
  HomeLoad homes() const override { return shared_.world.homes.load(shared_.world.server); }
  std::uint64_t states_lost() const override { return shared_.counters.states_lost; }

 private:
  /// One request being answered.
  class InService {
   public:
    explicit InService(EndpointImpl& endpoint) : endpoint_(endpoint) { ++endpoint_.in_service_; }
    ~InService() {
      if (--endpoint_.in_service_ == 0) endpoint_.shared_.idle.notify();
    }
    InService(const InService&) = delete;
    InService& operator=(const InService&) = delete;

   private:
    EndpointImpl& endpoint_;
  };

  Task<void> serve_http_sse(http::Exchange& exchange, const RequestContext& context,
                            std::string_view allowed);
  Task<void> post(http::Exchange& exchange, const RequestContext& context);
  Task<void> take(http::Exchange& exchange, const RequestContext& context, mcp::McpHeaders headers);
  Task<void> read(Incoming& incoming, json::Slice value);
  Task<bool> bring(const Incoming& incoming, std::optional<SoleHome::Admitted>& admitted);
  Task<void> dispatch(Incoming& incoming);
  Task<void> batch(const Incoming& incoming, json::Slice array);

  Shared shared_;
  ModernEdge modern_;
  LegacyEdge legacy_;
  std::optional<SoleHome> sole_home_;  ///< with `isolation: service`
  std::size_t in_service_ = 0;
  HttpSse http_sse_;
};

/// Clients that try Streamable HTTP first take the 405 for a no.
Task<void> EndpointImpl::serve_http_sse(http::Exchange& exchange, const RequestContext& context,
                                        std::string_view allowed) {
  if (exchange.head().method != allowed) {
    co_await answer_not_allowed(exchange, allowed);
    co_return;
  }
  auto memory = shared_.world.memory.open(context.principal, MemoryAccount::Kind::request);
  Incoming incoming{exchange, context, memory, {}, mcp::read_headers(exchange.head().headers), {}, {}};
  if (allowed == "GET") {
    co_await http_sse_.open(incoming);
  } else if (context.is_repeated) {
    co_await answer_unknown_end(incoming);
  } else {
    co_await http_sse_.post(incoming);
  }
}

/// Clients are to accept both forms of an answer (Streamable HTTP, Sending Messages); one that accepts one of
/// them gets that.
Task<void> EndpointImpl::post(http::Exchange& exchange, const RequestContext& context) {
  mcp::McpHeaders headers = mcp::read_headers(exchange.head().headers);
  const bool takes_json = mcp::accepts(headers, "application/json");
  const bool takes_events = mcp::accepts(headers, "text/event-stream");
  if (takes_json == takes_events) co_return co_await take(exchange, context, std::move(headers));
  if (takes_json) {
    JsonForm form(exchange, shared_.world.spec.message_bytes_max);
    co_await take(form, context, std::move(headers));
  } else {
    EventForm form(exchange);
    co_await take(form, context, std::move(headers));
  }
}

Task<void> EndpointImpl::take(http::Exchange& exchange, const RequestContext& context,
                              mcp::McpHeaders headers) {
  auto memory = shared_.world.memory.open(context.principal, MemoryAccount::Kind::request);
  Incoming incoming{exchange, context, memory, {}, std::move(headers), {}, {}};
  if (!mcp::is_json_content(incoming.headers)) {
    ++shared_.counters.refused;
    mcp::RpcError error{
        mcp::code::server_error, "Unsupported Media Type: Content-Type must be application/json.", {}};
    co_await answer_error(exchange, 415, {}, std::move(error));
    co_return;
  }
  if (!mcp::is_plain_content(incoming.headers)) {
    ++shared_.counters.refused;
    mcp::RpcError error{
        mcp::code::server_error, "Unsupported Media Type: send the body without Content-Encoding.", {}};
    co_await answer_error(exchange, 415, {}, std::move(error));
    co_return;
  }
  const auto body = co_await read_request_body(exchange, shared_.world.limits.body_bytes_max, memory);
  if (!body) {
    ++shared_.counters.refused;
    co_await answer_refusal(exchange, {}, refusal_of_body(body.error()));
    co_return;
  }
  if (!*body) {
    ++shared_.counters.refused;
    co_await answer_refusal(exchange, {}, refusal_of_memory(memory));
    co_return;
  }
  incoming.body = **body;
  const auto value = json::parse(incoming.body, {.depth_max = shared_.world.limits.json_depth_max});
  if (!value) {
    ++shared_.counters.refused;
    co_await answer_error(exchange, 400, {}, mcp::parse_error(value.error()));
    co_return;
  }
  co_await read(incoming, *value);
}

Task<void> EndpointImpl::read(Incoming& incoming, json::Slice value) {
  const bool is_batch = value.is(json::Kind::array);
  if (!is_batch) {
    const auto message = mcp::read_message(value);
    if (!message) {
      ++shared_.counters.refused;
      co_await answer_error(incoming.exchange, 400, message.error().id, message.error().error);
      co_return;
    }
    incoming.message = *message;
    incoming.parts = mcp::split_params(message->params);
  }
  note(incoming.context, is_batch ? "batch" : incoming.message.method, incoming.parts);
  if (sole_home_ && incoming.context.is_repeated) {
    bool may = is_batch && is_repeatable_batch(value);
    if (!is_batch) may = co_await may_run_again(shared_, incoming);
    if (!may) co_return co_await answer_unknown_end(incoming);
  }
  std::optional<SoleHome::Admitted> admitted;
  const bool is_answered = co_await bring(incoming, admitted);
  if (is_answered) co_return;
  if (is_batch) {
    co_await batch(incoming, value);
  } else {
    co_await dispatch(incoming);
  }
}

/// True: it has been answered where the server's one process is.
Task<bool> EndpointImpl::bring(const Incoming& incoming, std::optional<SoleHome::Admitted>& admitted) {
  if (!sole_home_) co_return false;
  const bool is_answered = co_await sole_home_->bring(incoming);
  if (!is_answered) admitted.emplace(*sole_home_);
  co_return is_answered;
}

Task<void> EndpointImpl::dispatch(Incoming& incoming) {
  const bool is_request = incoming.message.kind == mcp::Message::Kind::request;
  const bool takes_events = mcp::accepts(incoming.headers, "text/event-stream");
  const bool needs_events = incoming.message.known == mcp::Method::listen;
  const bool acceptable =
      takes_events || (!needs_events && mcp::accepts(incoming.headers, "application/json"));
  if (is_request && !acceptable) {
    ++shared_.counters.refused;
    mcp::RpcError error{mcp::code::server_error,
                        "Not Acceptable: Accept must list application/json and text/event-stream.",
                        {}};
    co_await answer_error(incoming.exchange, 406, incoming.message.id, std::move(error));
    co_return;
  }
  auto era = mcp::classify(incoming.message, incoming.parts, incoming.headers);
  if (!era) {
    ++shared_.counters.refused;
    co_await answer_refusal(incoming.exchange, incoming.message.id, std::move(era.error()));
    co_return;
  }
  if (incoming.context.is_repeated) {
    const bool may = co_await may_run_again(shared_, incoming);
    if (!may) co_return co_await answer_unknown_end(incoming);
  }
  if (*era == mcp::Era::legacy) {
    co_await legacy_.message(incoming);
  } else if (is_request) {
    co_await modern_.request(incoming);
  } else {
    co_await modern_.notification(incoming);
  }
}

Task<void> EndpointImpl::batch(const Incoming& incoming, json::Slice array) {
  auto checked = mcp::check_batch(array);
  if (!checked) {
    ++shared_.counters.refused;
    co_await answer_refusal(incoming.exchange, {}, std::move(checked.error()));
  } else if (incoming.context.is_repeated && !is_repeatable_batch(array)) {
    co_await answer_unknown_end(incoming);
  } else {
    co_await legacy_.batch(incoming, array);
  }
}

void EndpointImpl::write_metrics(monitoring::MetricsWriter& writer) const {
  const std::string& server = shared_.world.server;
  const Counters& counters = shared_.counters;
  const auto count = [&](std::uint64_t value) { return static_cast<double>(value); };
  writer.counter("berth_mcp_requests_total", "MCP messages received, by the client's era.",
                 {{"server", server}, {"era", "modern"}}, count(counters.modern_requests));
  writer.counter("berth_mcp_requests_total", "MCP messages received, by the client's era.",
                 {{"server", server}, {"era", "legacy"}}, count(counters.legacy_requests));
  writer.counter("berth_mcp_refused_total",
                 "MCP requests answered with an error before they reached the server.", {{"server", server}},
                 count(counters.refused));
  writer.counter("berth_mcp_forwarded_total", "MCP requests handed to the task that owns their state.",
                 {{"server", server}}, count(counters.forwarded));
  writer.counter("berth_mcp_disconnected_total", "Answers whose client left before they were complete.",
                 {{"server", server}}, count(counters.disconnected));
  writer.counter("berth_mcp_questions_total", "Times a server asked its client for input.",
                 {{"server", server}}, count(counters.asked));
  writer.counter("berth_mcp_events_total", "Messages sent as server-sent events.", {{"server", server}},
                 count(counters.events_sent));
  writer.counter("berth_mcp_sessions_expired_total", "Legacy sessions ended because nobody used them.",
                 {{"server", server}}, count(legacy_.sessions().expired()));
  writer.counter("berth_mcp_sessions_adopted_total", "Legacy sessions taken over from a task that is gone.",
                 {{"server", server}}, count(legacy_.adoption().adopted()));
  writer.counter("berth_mcp_sessions_displaced_total",
                 "Unused legacy sessions ended because the table was full.", {{"server", server}},
                 count(legacy_.sessions().displaced()));
  writer.counter("berth_mcp_states_lost_total",
                 "Callers that were told that what the server's process kept for them was lost.",
                 {{"server", server}}, count(counters.states_lost));
  writer.gauge("berth_mcp_homes", "Callers whose state in the server is in this task.", {{"server", server}},
               count(shared_.world.homes.count(server)));
  writer.gauge("berth_mcp_calls", "MCP calls under way.", {{"server", server}}, count(counters.calls));
  writer.gauge("berth_mcp_sessions", "Legacy sessions of this task.", {{"server", server}},
               count(legacy_.sessions().size()));
  writer.gauge("berth_mcp_streams", "Open listen and GET streams.", {{"server", server}},
               count(counters.listen_streams));
  writer.histogram("berth_mcp_call_seconds", "Time from a call's arrival to its outcome.",
                   {{"server", server}}, counters.call_seconds);
}

}  // namespace

std::unique_ptr<Endpoint> make_endpoint(EndpointWorld world) { return std::make_unique<EndpointImpl>(world); }

}  // namespace berth::task
