#include "task/edge/legacy_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/log.h"
#include "mcp/modern.h"
#include "task/edge/answers.h"
#include "task/edge/at_home.h"
#include "task/edge/progress.h"
#include "task/edge/run_again.h"
#include "task/edge/session.h"

namespace berth::task::edge {
namespace {

constexpr std::size_t rounds_max = 10;

}  // namespace

LegacyCall::LegacyCall(Shared& shared, std::weak_ptr<Session> session,
                       std::shared_ptr<const mcp::Caller> caller, EventStream& stream,
                       MemoryAccount::Charge memory, const mcp::Message& message,
                       const mcp::RequestParts& parts, std::optional<mcp::LoggingLevel> log_level)
    : shared_(shared),
      session_(std::move(session)),
      caller_(std::move(caller)),
      stream_(stream),
      id_(message.id),
      method_(message.method),
      known_(message.known),
      params_(mcp::strip_params(message.params, parts)),
      memory_(std::move(memory)),
      progress_token_(parts.progress_token.text()),
      trace_parent_(parts.trace_parent.as_string().value_or("")),
      log_level_(log_level),
      last_progress_(-std::numeric_limits<double>::infinity()),
      started_(shared.now()) {
  ++shared_.counters.calls;
  memory_.add(params_.size());
}

LegacyCall::~LegacyCall() {
  if (!ended_) shared_.call_ended();
}

mcp::Call LegacyCall::call() const {
  return {.caller = caller_.get(),
          .method = method_,
          .params = params_,
          .wants_progress = !progress_token_.empty(),
          .log_level = log_level_,
          .input_responses = responses_,
          .request_state = state_,
          .trace_parent = trace_parent_};
}

void LegacyCall::start() {
  const mcp::Call started = call();
  const std::shared_ptr<Session> session = session_.lock();
  if (session && uses_state(known_)) look_for_loss(session->state, shared_.world.host);
  auto active = shared_.world.host.start(started, *this);
  if (!ended_) active_ = std::move(active);
}

void LegacyCall::on_notification(mcp::Notification notification) {
  if (ended_) return;
  std::string text = relayed(notification, call(), progress_token_, last_progress_);
  if (!text.empty()) stream_.add_aside(std::move(text));
}

void LegacyCall::on_outcome(mcp::Outcome outcome) {
  if (ended_) return;
  const bool is_refused = note_state(outcome);
  if (outcome.is_lost && may_start_again()) {
    has_run_again_ = true;
    return start_soon(&LegacyCall::run_again);
  }
  switch (outcome.kind) {
    case mcp::Outcome::Kind::result: {
      if (known_ == mcp::Method::tools_list) note_tools(outcome.result);
      forget_request();
      if (known_ == mcp::Method::tools_list && spoken() == mcp::Era::modern)
        outcome.result = shared_.without_illegal_tools(std::move(outcome.result), mcp::Era::modern);
      // A client without a session has not said what it speaks; what it does not know harms it less.
      const std::string_view version =
          caller_->session.empty() ? mcp::latest_legacy_version : caller_->protocol_version;
      std::string result = mcp::legacy_result(known_, std::move(outcome.result), spoken(), version);
      tell_of_loss(result);
      return finish(mcp::write_result(id_, result), 200, {});
    }
    case mcp::Outcome::Kind::error:
      forget_request();
      if (is_refused) return finish(mcp::write_error(id_, mcp::session_not_found()), 404, {});
      if (outcome.error.code == mcp::code::missing_capability) return refuse_to_ask(outcome.error.message);
      return fail(std::move(outcome.error));
    case mcp::Outcome::Kind::input_required: return ask(std::move(outcome.input));
  }
}

/// Which process has the session's state from now on. True: the call was not run, because its process ended
/// before, and the session ends with it (server.state: process).
bool LegacyCall::note_state(const mcp::Outcome& outcome) {
  const std::shared_ptr<Session> session = session_.lock();
  if (!session || !uses_state(known_) || !keeps_state(shared_, mcp::Era::legacy) || outcome.process == 0)
    return false;
  note_process(session->state, shared_.world.host, outcome.process);
  return outcome.kind == mcp::Outcome::Kind::error && outcome.error == mcp::state_lost();
}

/// The first result after a loss says so, and a log line to a client that wants them.
void LegacyCall::tell_of_loss(std::string& result) {
  const std::shared_ptr<Session> session = session_.lock();
  if (!session || !session->state.is_lost) return;
  if (session->has_set_level && *session->log_level <= mcp::LoggingLevel::warning)
    stream_.add_aside(mcp::notice_message(mcp::lost_state_notice));
  result = mcp::with_notice(result, mcp::lost_state_notice);
  note_told(shared_, session->state, caller_->principal);
}

/// What was parked in the process that was lost is lost with it, and whoever builds on its state is told
/// before anything runs in another.
bool LegacyCall::may_start_again() const {
  return !has_run_again_ && rounds_ == 0 && shared_.world.spec.state != model::State::process &&
         is_repeatable(shared_, known_, caller_->principal,
                       json::Slice::trusted(params_.empty() ? "{}" : params_));
}

void LegacyCall::run_again() {
  active_.reset();
  const std::shared_ptr<LegacyCall> alive = shared_from_this();
  start();
}

void LegacyCall::note_tools(const std::string& result) const {
  shared_.tools.note(caller_->principal, json::Slice::trusted(params_.empty() ? "{}" : params_),
                     json::Slice::trusted(result));
}

/// Its server needs it no more; what is left of the call may be kept for a client that comes back.
void LegacyCall::forget_request() {
  params_ = std::string();
  memory_.release();
}

void LegacyCall::fail(mcp::RpcError error) {
  if (ended_) return;
  error = mcp::legacy_error(std::move(error), known_, spoken());
  const int status = mcp::legacy_status(error);
  const auto retry_after = mcp::retry_after_s(error);
  finish(mcp::write_error(id_, error), status, retry_after);
}

void LegacyCall::finish(std::string json, int status, std::optional<std::int64_t> retry_after_s) {
  ended_ = true;
  shared_.call_ended();
  shared_.counters.call_seconds.observe(std::chrono::duration<double>(shared_.now() - started_).count());
  if (!stream_.memory().admits_message(json.size()))
    json = mcp::write_error(id_, unkept_answer(json.size(), stream_.memory()));
  stream_.add_response(std::move(json), status, retry_after_s);
  const std::shared_ptr<Session> session = session_.lock();
  if (session && session->unread.contains(stream_.number())) session->changed();
  stream_.call_ended();
}

void LegacyCall::cancel(std::string_view reason) {
  if (ended_) return;
  ended_ = true;
  if (active_ && !reason.empty()) active_->set_cancel_reason(reason);
  shared_.call_ended();
  active_.reset();
  soon_.reset();
  forget_request();
  stream_.call_ended();
}

void LegacyCall::refuse_to_ask(std::string_view why) {
  if (known_ == mcp::Method::tools_call) {
    finish(mcp::write_result(id_, mcp::tool_error_result(why)), 200, {});
  } else {
    fail({mcp::code::internal_error, std::string(why), {}});
  }
}

void LegacyCall::ask(mcp::InputRequired input) {
  ++shared_.counters.asked;
  if (++rounds_ > rounds_max) {
    return fail({mcp::code::internal_error,
                 fmt::format("The server asked for input more than {} times in one call.", rounds_max),
                 {}});
  }
  const std::shared_ptr<Session> session = session_.lock();
  if (!session) {
    return refuse_to_ask(
        "The server needs to ask the client, but this client has no session to be asked through; send "
        "Mcp-Session-Id with every request.");
  }
  for (const mcp::InputRequest& request : input.requests) {
    const std::string missing = mcp::missing_capability(request, caller_->capabilities);
    if (missing.empty()) continue;
    return refuse_to_ask(fmt::format(
        "The server needs to ask the client ({}), but the client did not declare the capability {}.",
        request.method, missing));
  }
  owned_ = input.owned;
  state_ = std::move(input.state);
  responses_.clear();
  asked_.clear();
  for (mcp::InputRequest& request : input.requests) asked_.push_back({std::move(request), {}});
  ask_deadline_ = shared_.now() + shared_.world.spec.input_timeout;
  if (!asked_.empty()) return send_questions(*session);
  start_soon(&LegacyCall::go_on);  // only the state asks for another round
}

/// Once the outcome that leads to it has been left behind.
void LegacyCall::start_soon(void (LegacyCall::*begin)()) {
  if (!soon_) soon_ = shared_.world.clock.make_timer();
  soon_->arm(shared_.now(), [this, begin] {
    if (!ended_) (this->*begin)();
  });
}

void LegacyCall::send_questions(Session& session) {
  shared_.ticker.add(*this);
  for (const Asked& asked : asked_) {
    session.ask(shared_, stream_, asked.request, {weak_from_this(), asked.request.key, {}});
  }
}

void LegacyCall::answer(std::string_view key, json::Slice result, json::Slice error) {
  if (ended_) return;
  const auto at =
      std::find_if(asked_.begin(), asked_.end(), [&](const Asked& a) { return a.request.key == key; });
  if (at == asked_.end() || !at->response.empty()) return;
  if (result.exists()) {
    at->response = result.text();
  } else if (owned_) {
    at->response = fmt::format(R"({{"error":{}}})", error.text());
  } else if (at->request.method == "elicitation/create") {
    at->response = R"({"action":"cancel"})";
  } else {
    const std::string message = error.find("message").as_string().value_or("no reason given");
    return fail({mcp::code::internal_error,
                 fmt::format("The client refused {}: {}", at->request.method, message),
                 {}});
  }
  const bool open =
      std::any_of(asked_.begin(), asked_.end(), [](const Asked& a) { return a.response.empty(); });
  if (!open) go_on();
}

void LegacyCall::go_on() {
  responses_ = "{";
  for (const Asked& asked : asked_) {
    if (responses_.size() > 1) responses_.push_back(',');
    responses_.append(json_quote(asked.request.key)).append(":").append(asked.response);
  }
  responses_.push_back('}');
  asked_.clear();
  run_again();
}

void LegacyCall::on_tick(TimePoint now) {
  if (ended_ || asked_.empty() || now < ask_deadline_) return;
  asked_.clear();
  fail({mcp::code::internal_error,
        fmt::format(
            "The client did not answer {} within {} s.", method_,
            std::chrono::duration_cast<std::chrono::seconds>(shared_.world.spec.input_timeout).count()),
        {}});
}

}  // namespace berth::task::edge
