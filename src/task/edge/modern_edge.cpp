#include "task/edge/modern_edge.h"

#include <fmt/format.h>

#include <limits>

#include "task/edge/answers.h"
#include "task/edge/at_home.h"
#include "task/edge/call_run.h"
#include "task/edge/forwarding.h"
#include "task/edge/listen.h"
#include "task/edge/progress.h"
#include "task/edge/run_again.h"
#include "task/edge/sse_stream.h"
#include "task/edge/tracing.h"

namespace berth::task::edge {
namespace {

using mcp::Method;

mcp::Caller caller_of(const Incoming& incoming, const mcp::ModernRequest& request) {
  mcp::Caller caller;
  caller.principal = incoming.context.principal;
  caller.capabilities = request.capabilities;
  caller.client_info = request.client_info;
  return caller;
}

bool may_ask(Method method) {
  return method == Method::tools_call || method == Method::prompts_get || method == Method::resources_read;
}

/// Whatever is wrong with a requestState: altered, another caller's or request's, expired, answered before,
/// or of a task that has gone. Which of these it is concerns nobody who does not know it already.
mcp::RpcError unusable_state() {
  return {mcp::code::invalid_params,
          "Invalid params: this request cannot go on with its requestState, or no longer. If the state was "
          "sent before, the call may have run; else call again without it.",
          {}};
}

}  // namespace

Task<void> ModernEdge::request(const Incoming& incoming) {
  ++shared_.counters.modern_requests;
  auto request = mcp::read_modern_request(incoming.message, incoming.parts, incoming.headers);
  if (!request) {
    ++shared_.counters.refused;
    co_await answer_refusal(incoming.exchange, incoming.message.id, std::move(request.error()));
    co_return;
  }
  const mcp::Caller caller = caller_of(incoming, *request);
  switch (incoming.message.known) {
    case Method::discover: co_await discover(incoming, caller); break;
    case Method::listen: co_await listen(shared_, incoming, caller); break;
    default: co_await call(incoming, caller, *std::move(request));
  }
}

Task<void> ModernEdge::notification(const Incoming& incoming) {
  auto checked = mcp::check_modern_notification(incoming.message, incoming.parts, incoming.headers);
  if (checked) {
    const bool is_answered = co_await hand_on(incoming);
    if (!is_answered) co_await answer_empty(incoming.exchange, 202);
  } else {
    ++shared_.counters.refused;
    co_await answer_refusal(incoming.exchange, {}, std::move(checked.error()));
  }
}

/// 2026-07-28 has no client notification of its own over HTTP; others go to the process that runs the
/// caller's calls. True: it has its answer, from there.
Task<bool> ModernEdge::hand_on(const Incoming& incoming) {
  if (!mcp::is_custom_notification(incoming.message.method)) co_return false;
  mcp::Caller caller;
  caller.principal = incoming.context.principal;
  const json::Slice capabilities = incoming.parts.client_capabilities;
  if (capabilities.is(json::Kind::object)) caller.capabilities = capabilities.text();
  if (!shared_.facts.era(mcp::Era::modern)) co_await shared_.learn(caller);
  if (has_homes(shared_) && !home_here(shared_, incoming.context)) {
    const auto found = co_await find_home(shared_, incoming);
    if (found.is_answered) co_return true;
  }
  const std::string params = mcp::strip_params(incoming.message.params, incoming.parts);
  shared_.world.host.notify(caller, incoming.message.method, params);
  co_return false;
}

Task<void> ModernEdge::discover(const Incoming& incoming, const mcp::Caller& caller) {
  const auto description = co_await shared_.describe(caller);
  if (description) {
    std::string body = mcp::write_result(incoming.message.id, mcp::discover_result(*description));
    co_await answer_json(incoming.exchange, 200, std::move(body));
  } else {
    co_await answer_refusal(incoming.exchange, incoming.message.id, refusal_of_host(description.error()));
  }
}

Task<bool> ModernEdge::open_state(const Incoming& incoming, mcp::ModernRequest& request) {
  const std::string_view principal = incoming.context.principal;
  auto handle = shared_.world.sealer.open(mcp::HandleKind::request_state, request.request_state, principal,
                                          shared_.wall());
  const bool fits = handle && handle->digest == mcp::request_digest(incoming.message.method, request.params);
  if (fits && (handle->owner.empty() || shared_.is_own(*handle))) {
    request.request_state = std::move(handle->local);
    co_return true;
  }
  if (fits) {
    const bool answered = co_await forward_to_owner(shared_, *handle, incoming);
    if (answered) co_return false;
  }
  ++shared_.counters.refused;
  co_await answer_error(incoming.exchange, 200, incoming.message.id, unusable_state());
  co_return false;
}

Task<bool> ModernEdge::check_param_headers(const Incoming& incoming, const mcp::Caller& caller) {
  co_await shared_.tools.learn(caller);
  const auto plain = incoming.parts.name.as_plain_string();
  const std::string decoded = plain ? std::string() : incoming.parts.name.as_string().value_or("");
  const auto* const tool = shared_.tools.find(caller.principal, plain ? *plain : decoded);
  if (tool == nullptr || tool->header_params.empty()) co_return true;
  auto problem = mcp::check_header_params(tool->header_params, incoming.parts.arguments,
                                          incoming.exchange.head().headers);
  if (!problem) co_return true;
  ++shared_.counters.refused;
  co_await answer_error(incoming.exchange, 400, incoming.message.id, *std::move(problem));
  co_return false;
}

Task<void> ModernEdge::call(const Incoming& incoming, const mcp::Caller& caller, mcp::ModernRequest request) {
  const bool is_retry = !request.request_state.empty();
  if (is_retry) {
    const bool opened = co_await open_state(incoming, request);
    if (!opened) co_return;
  }
  if (!shared_.facts.era(caller.era)) co_await shared_.learn(caller);
  std::shared_ptr<Home> home;
  if (has_homes(shared_)) home = home_here(shared_, incoming.context);
  // What a retry goes on with is here, home or not.
  if (has_homes(shared_) && !home && !is_retry) {
    auto found = co_await find_home(shared_, incoming);
    if (found.is_answered) co_return;
    home = std::move(found.home);
  }
  if (incoming.message.known == Method::tools_call) {
    const bool agreed = co_await check_param_headers(incoming, caller);
    if (!agreed) co_return;
  }
  if (std::string own = own_trace_parent(incoming.context); !own.empty())
    request.trace_parent = std::move(own);
  const mcp::Call call{.caller = &caller,
                       .method = incoming.message.method,
                       .params = request.params,
                       .wants_progress = !request.progress_token.empty(),
                       .log_level = request.log_level,
                       .input_responses = request.input_responses,
                       .request_state = request.request_state,
                       .trace_parent = request.trace_parent};
  AtHome at_home(shared_, incoming, std::move(home));
  if (auto refusal = at_home.refuse()) {
    ++shared_.counters.refused;
    co_await answer_error(incoming.exchange, 200, incoming.message.id, *std::move(refusal));
    co_return;
  }
  co_await run(incoming, call, request, at_home);
}

Task<void> ModernEdge::run(const Incoming& incoming, const mcp::Call& call, const mcp::ModernRequest& request,
                           AtHome& at_home) {
  const Gauge counted(shared_.counters.calls);
  const TimePoint started = shared_.now();
  CallRun run(shared_, incoming.exchange, incoming.memory);
  if (auto warning = at_home.warning()) run.on_notification(*std::move(warning));
  SseStream stream(shared_, incoming.exchange);
  double last_progress = -std::numeric_limits<double>::infinity();
  bool has_run_again = false;
  run.start(call);
  while (true) {
    if (!run.has_outcome()) co_await run.wait();
    const bool there = co_await relay(run, stream, call, request, last_progress);
    if (!there) {
      ++shared_.counters.disconnected;
      co_return;
    }
    if (run.is_cut()) break;
    if (!run.has_outcome()) continue;
    const bool again = !has_run_again && run.outcome().is_lost && may_start_again(incoming, call);
    if (!again) break;
    has_run_again = true;
    run.start_again(call);
  }
  mcp::Outcome outcome =
      run.has_outcome() ? run.take_outcome() : mcp::Outcome::failure(mcp::unknown_end(cut_sentence));
  shared_.counters.call_seconds.observe(std::chrono::duration<double>(shared_.now() - started).count());
  at_home.end(outcome);
  int status = 200;
  const auto retry_after = mcp::retry_after_s(outcome.error);
  std::string body = write_answer(incoming, call, std::move(outcome), status);
  if (stream.is_open()) {
    const bool sent = co_await stream.message(body);
    if (sent) co_await stream.finish();
    co_return;
  }
  http::Response response = http::json_response(status, std::move(body));
  if (retry_after) response.headers.add("Retry-After", std::to_string(*retry_after));
  co_await incoming.exchange.respond(std::move(response));
}

/// A call that was lost with its process. What was parked there is lost with it, and whoever builds on that
/// process's state is told before anything runs in another.
bool ModernEdge::may_start_again(const Incoming& incoming, const mcp::Call& call) const {
  return call.request_state.empty() && shared_.world.spec.state != model::State::process &&
         is_repeatable(shared_, incoming.message.known, incoming.context.principal, incoming.message.params);
}

/// Sends what the server said about the call; false once the client has gone.
Task<bool> ModernEdge::relay(CallRun& run, SseStream& stream, const mcp::Call& call,
                             const mcp::ModernRequest& request, double& last_progress) {
  if (run.is_gone()) co_return false;
  const std::vector<mcp::Notification> notifications = run.take_notifications();
  for (const mcp::Notification& notification : notifications) {
    const std::string text = relayed(notification, call, request.progress_token, last_progress);
    if (text.empty()) continue;
    if (!stream.is_open()) {
      const bool opened = co_await stream.open();
      if (!opened) co_return false;
    }
    const bool sent = co_await stream.message(text);
    if (!sent) co_return false;
  }
  if (run.take_silence() && !run.has_outcome()) {
    if (!stream.is_open()) {
      const bool opened = co_await stream.open();
      if (!opened) co_return false;
    }
    const bool sent = co_await stream.keep_alive();
    if (!sent) co_return false;
  }
  if (stream.is_open()) run.note_write(stream.last_write(), shared_.world.limits.keep_alive_interval);
  co_return true;
}

std::string ModernEdge::write_answer(const Incoming& incoming, const mcp::Call& call, mcp::Outcome outcome,
                                     int& status) {
  using Kind = mcp::Outcome::Kind;
  const Method method = incoming.message.known;
  if (outcome.kind == Kind::input_required)
    return write_question(incoming, call, std::move(outcome.input), status);
  if (outcome.kind == Kind::error) {
    if (outcome.error == mcp::undeliverable_answer()) outcome.error = unusable_state();
    return write_failure(incoming, std::move(outcome.error), status);
  }
  if (mcp::is_missing_resource(method, outcome.result)) {
    return write_failure(incoming, mcp::missing_resource_error(incoming.parts), status);
  }
  if (method == Method::tools_list) {
    const mcp::Era spoken = shared_.facts.era(mcp::Era::modern).value_or(mcp::Era::legacy);
    outcome.result = shared_.without_illegal_tools(std::move(outcome.result), spoken);
  }
  std::string out = R"({"jsonrpc":"2.0","id":)";
  out.append(incoming.message.id).append(R"(,"result":)");
  mcp::append_modern_result(out, method, outcome.result, shared_.facts.server_info, outcome.cache);
  out.push_back('}');
  return out;
}

std::string ModernEdge::write_failure(const Incoming& incoming, mcp::RpcError error, int& status) {
  error = mcp::modern_error(std::move(error), incoming.message.known, incoming.parts);
  status = mcp::modern_status(error, incoming.message.known);
  return mcp::write_error(incoming.message.id, error);
}

std::string ModernEdge::write_question(const Incoming& incoming, const mcp::Call& call,
                                       mcp::InputRequired input, int& status) {
  ++shared_.counters.asked;
  if (!may_ask(incoming.message.known)) {
    return write_failure(
        incoming,
        {mcp::code::internal_error,
         fmt::format("The server asked for input on {}, which cannot carry questions.", call.method),
         {}},
        status);
  }
  for (const mcp::InputRequest& request : input.requests) {
    const std::string missing = mcp::missing_capability(request, call.caller->capabilities);
    if (!missing.empty()) return write_failure(incoming, mcp::missing_capability_error(missing), status);
  }
  std::string sealed;
  if (!input.state.empty()) {
    mcp::Handle handle = shared_.handle(mcp::HandleKind::request_state, call.caller->principal);
    if (!input.owned) {
      handle.owner.clear();
      handle.owner_address.clear();
      handle.generation = 0;
    }
    handle.local = std::move(input.state);
    handle.digest = mcp::request_digest(call.method, call.params);
    handle.expires_unix_s = shared_.wall_s_after(shared_.world.spec.input_timeout);
    sealed = shared_.world.sealer.seal(handle);
  }
  return mcp::write_result(incoming.message.id,
                           mcp::modern_input_required(input.requests, sealed, shared_.facts.server_info));
}

}  // namespace berth::task::edge
