#include "task/runtime/traced_host.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "codec/json.h"

namespace berth::task {

namespace {

/// One sampled call. Between the client's edge and the host; the edge owns it as it owns the host's own.
class TracedCall final : public mcp::ActiveCall, public mcp::CallObserver {
 public:
  TracedCall(monitoring::Tracer& tracer, const monitoring::TraceContext& parent, const std::string& server,
             const mcp::Call& call, mcp::CallObserver& observer)
      : observer_(observer),
        span_(tracer, monitoring::Span::Kind::client, parent),
        trace_parent_(span_.traceparent()),
        params_(call.params) {
    describe(server, call.method);
  }
  ~TracedCall() override {
    if (!ended_) span_.fail("The client left before the answer.");
  }

  void start(ServerHost& inner, mcp::Call call) {
    call.trace_parent = trace_parent_;
    call.params = params_;
    active_ = inner.start(call, *this);
  }

  void set_cancel_reason(std::string_view reason) override {
    if (active_) active_->set_cancel_reason(reason);
  }
  void on_notification(mcp::Notification notification) override {
    observer_.on_notification(std::move(notification));
  }

  void on_outcome(mcp::Outcome outcome) override {
    ended_ = true;
    using Kind = mcp::Outcome::Kind;
    if (outcome.kind == Kind::error) {
      span_.add("rpc.response.status_code", std::int64_t{outcome.error.code});
      span_.fail(outcome.error.message);
    } else if (outcome.kind == Kind::input_required) {
      span_.add("berth.input_required", true);
    } else if (json::Slice::trusted(outcome.result).find("isError").as_bool().value_or(false)) {
      span_.add("error.type", std::string("tool_error"));
      span_.fail("The tool answered that it failed.");
    }
    span_.end();
    // Last: the observer may destroy this call.
    observer_.on_outcome(std::move(outcome));
  }

 private:
  void describe(const std::string& server, std::string_view method) {
    const json::Slice params = json::Slice::trusted(params_.empty() ? "{}" : std::string_view(params_));
    const bool has_target = method == "tools/call" || method == "prompts/get";
    const auto target = has_target ? params.find("name").as_string() : std::nullopt;
    span_.name(target ? fmt::format("{} {}", method, *target) : std::string(method));
    span_.add("mcp.method.name", std::string(method));
    if (target) span_.add(method == "tools/call" ? "gen_ai.tool.name" : "gen_ai.prompt.name", *target);
    span_.add("berth.server", server);
    const json::Slice meta = params.find("_meta");
    if (!meta.find("traceparent").exists()) return;
    // The server's caller is this span, not whoever called the client.
    const std::string own = json::edit(meta, {{"traceparent", json_quote(trace_parent_)}});
    params_ = json::edit(params, {{"_meta", own}});
  }

  mcp::CallObserver& observer_;
  monitoring::OpenSpan span_;
  const std::string trace_parent_;
  std::string params_;
  bool ended_ = false;
  std::unique_ptr<mcp::ActiveCall> active_;
};

class TracedHost final : public ServerHost {
 public:
  TracedHost(ServerHost& inner, std::string server, monitoring::Tracer& tracer)
      : inner_(inner), server_(std::move(server)), tracer_(tracer) {}

  std::unique_ptr<mcp::ActiveCall> start(const mcp::Call& call, mcp::CallObserver& observer) override {
    if (call.trace_parent.empty()) return inner_.start(call, observer);
    const auto parent = monitoring::parse_traceparent(call.trace_parent);
    if (!parent || !parent->sampled.value_or(false)) return inner_.start(call, observer);
    auto traced = std::make_unique<TracedCall>(tracer_, *parent, server_, call, observer);
    traced->start(inner_, call);
    return traced;
  }

  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller& caller) override {
    return inner_.describe(caller);
  }
  void notify(const mcp::Caller& caller, std::string_view method, std::string_view params) override {
    inner_.notify(caller, method, params);
  }
  void want_level(const mcp::Caller& caller, mcp::LoggingLevel level) override {
    inner_.want_level(caller, level);
  }
  void watch_resource(const mcp::Caller& caller, const std::string& uri) override {
    inner_.watch_resource(caller, uri);
  }
  void unwatch_resource(const mcp::Caller& caller, const std::string& uri) override {
    inner_.unwatch_resource(caller, uri);
  }
  Task<std::optional<mcp::RpcError>> watch_refusal(const mcp::Caller& caller, std::string uri) override {
    return inner_.watch_refusal(caller, std::move(uri));
  }
  void session_closed(const std::string& session) override { inner_.session_closed(session); }
  bool runs(std::uint64_t process) const override { return inner_.runs(process); }
  void wake() override { inner_.wake(); }
  Task<void> rest() override { return inner_.rest(); }
  HostHealth health() const override { return inner_.health(); }
  Task<std::size_t> drain(TimePoint deadline) override { return inner_.drain(deadline); }

 private:
  ServerHost& inner_;
  std::string server_;
  monitoring::Tracer& tracer_;
};

}  // namespace

std::unique_ptr<ServerHost> make_traced_host(ServerHost& inner, std::string server,
                                             monitoring::Tracer& tracer) {
  return std::make_unique<TracedHost>(inner, std::move(server), tracer);
}

}  // namespace berth::task
