#include "task/host/url_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mcp/message.h"
#include "mcp/modern.h"

namespace berth::task::host {

namespace {

constexpr std::size_t refusal_bytes_max = 64 * 1024;
constexpr std::size_t asks_max = 64;
constexpr std::size_t attempts_max = 2;
constexpr Duration reconnect_delay = std::chrono::seconds(1);
/// Questions that a server sends at once come so far apart at most.
constexpr Duration url_ask_gather = std::chrono::milliseconds(10);

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

UrlCall::UrlCall(UrlCallWorld& world, const mcp::Call& call, PoolKey key, mcp::CallObserver& observer)
    : world_(world),
      method_(call.method),
      caller_(*call.caller),
      key_(std::move(key)),
      observer_(&observer),
      timer_(world.clock().make_timer()),
      gather_timer_(world.clock().make_timer()) {
  own(call);
}

/// Takes `call` over without its texts, which are the client's.
void UrlCall::take_over(const mcp::Call& call) {
  call_ = call;
  call_.caller = &caller_;
  call_.method = method_;
  forget_request();
}

/// Copies the texts too, for the sending.
void UrlCall::own(const mcp::Call& call) {
  take_over(call);
  texts_ = {std::string(call.params), std::string(call.input_responses), std::string(call.request_state),
            std::string(call.trace_parent)};
  call_.params = texts_.params;
  call_.input_responses = texts_.input_responses;
  call_.request_state = texts_.request_state;
  call_.trace_parent = texts_.trace_parent;
}

/// Gives back the memory of what will not be sent again.
void UrlCall::forget_request() {
  texts_ = {};
  call_.params = call_.input_responses = call_.request_state = call_.trace_parent = {};
}

void UrlCall::begin() {
  arm(world_.spec().call_timeout);
  branch_ = world_.branches().spawn(perform(shared_from_this()));
}

void UrlCall::arm(Duration patience) {
  timer_->arm(world_.clock().now() + patience, [this] { on_timeout(); });
}

Task<void> UrlCall::perform(std::shared_ptr<UrlCall> self) {
  const auto era = co_await self->world_.era();
  if (!era) {
    self->fail_with(era.error());
    co_return;
  }
  self->era_ = *era;
  for (std::size_t attempt = 1; attempt <= attempts_max && !self->done_; ++attempt) {
    Step step = Step::finished;
    if (*era == mcp::Era::modern) {
      step = co_await self->try_modern(static_cast<int>(attempt));
    } else {
      step = co_await self->try_legacy(static_cast<int>(attempt));
    }
    if (step == Step::finished) break;
  }
}

Task<UrlCall::Step> UrlCall::try_modern(int attempt) {
  number_ = world_.next_number();
  http::Headers headers;
  add_post_headers(headers);
  add_modern_headers(headers, call_.method, call_.params);
  add_trace_header(headers, call_.trace_parent);
  const json::Slice params = json::Slice::trusted(call_.params.empty() ? "{}" : call_.params);
  const std::string tool = call_.method == "tools/call" ? params.find("name").as_string().value_or("") : "";
  if (const auto* mirrored = tool.empty() ? nullptr : world_.tool_params(tool)) {
    mcp::add_header_params(*mirrored, params.find("arguments"), headers);
  }
  std::string meta;
  append_modern_meta(meta, call_, number_);
  std::string body;
  append_request(body, number_, call_.method, call_.params, meta, input_members(call_));
  const auto refusal = co_await post(std::move(headers), std::move(body));
  if (!refusal) co_return Step::finished;
  const auto error = body_error(refusal->body);
  if (error && error->code == mcp::code::header_mismatch && !tool.empty() && attempt == 1) {
    // Refused before it ran: the tool wants arguments mirrored in headers.
    co_await world_.learn_tools();
    if (world_.tool_params(tool) != nullptr) co_return Step::again;
  }
  if (error && attempt == 1 && offers_own_version(*error)) co_return Step::again;
  finish_refused(*refusal);
  co_return Step::finished;
}

Task<UrlCall::Step> UrlCall::try_legacy(int attempt) {
  auto opened = co_await world_.session(key_);
  if (!opened) {
    fail_with(opened.error());
    co_return Step::finished;
  }
  session_ = std::move(*opened);
  process_ = session_->number;
  ++session_->calls;
  if (!std::exchange(session_->is_called, true)) world_.first_call(*session_);
  if (call_.log_level) session_->want_level(*call_.log_level);
  number_ = world_.next_number();
  http::Headers headers;
  add_post_headers(headers);
  session_->add_headers(headers);
  add_trace_header(headers, call_.trace_parent);
  std::string meta;
  append_legacy_meta(meta, call_, number_);
  std::string body;
  append_request(body, number_, call_.method, call_.params, meta, {});
  sent_ = true;
  const auto refusal = co_await post(std::move(headers), std::move(body));
  if (!refusal) co_return Step::finished;
  if (attempt == 1 && is_session_lost(refusal->head.status, refusal->body)) {
    // The upstream has forgotten the session and has not run the call, so that it may run in another one.
    // What it answers in a session that is new is meant for the call.
    const auto lost = session_;
    release_session();
    world_.session_lost(lost);
    // Whoever builds on what was in that session is told before anything runs in another.
    const bool is_told = may_ask(call_.method) && world_.spec().state == model::State::process;
    if (!is_told) co_return Step::again;
    finish(mcp::Outcome::failure(mcp::state_lost()));
    co_return Step::finished;
  }
  finish_refused(*refusal);
  co_return Step::finished;
}

Task<std::optional<UrlCall::Refusal>> UrlCall::post(http::Headers headers, std::string body) {
  const TimePoint deadline = world_.clock().now() + world_.spec().call_timeout;
  http::Delivery delivery;
  auto response =
      co_await world_.upstream().send("POST", std::move(headers), std::move(body), deadline, &delivery);
  if (!response) {
    fail_with(response.error(), delivery.handed_over);
    co_return std::nullopt;
  }
  world_.reached();
  if ((*response)->head().status == 200) {
    forget_request();
    co_await read_answer(std::move(*response));
    co_return std::nullopt;
  }
  Refusal refusal{(*response)->head(), {}};
  auto text = co_await (*response)->read_all(refusal_bytes_max);
  if (text) refusal.body = std::move(*text);
  co_return refusal;
}

void UrlCall::finish_refused(const Refusal& refusal) {
  finish(status_outcome(refusal.head.status, refusal.head.headers, refusal.body, world_.upstream().name()));
}

Task<void> UrlCall::read_answer(std::unique_ptr<http::ClientResponse> response) {
  while (response && !done_) {
    MessageStream messages(std::move(response), world_.spec().message_bytes_max);
    std::optional<Error> broken;
    while (!done_ && !early_) {
      const auto message = co_await messages.next();
      if (!message) broken = message.error();
      if (!message || !*message) break;
      const Result<json::Slice> parsed = json::parse(**message);
      if (!parsed) {
        broken = parsed.error();
        continue;
      }
      if (parsed->is(json::Kind::array)) {
        for (json::Elements each(*parsed); each.next();) take(read_message(each.value()));
      } else {
        take(read_message(*parsed));
      }
      if (!messages.has_more()) settle();
    }
    if (done_ || early_) break;
    response = co_await reconnect(messages);
    if (!response) {
      finish(mcp::Outcome::lost(
          mcp::unknown_end(fmt::format("The upstream {} ended its answer before the result{}.",
                                       world_.upstream().name(), broken ? ": " + broken->message() : ""))));
    }
  }
}

Task<std::unique_ptr<http::ClientResponse>> UrlCall::reconnect(const MessageStream& broken) {
  if (era_ == mcp::Era::modern || broken.last_event_id().empty() || !session_) co_return nullptr;
  http::Headers headers;
  headers.set("Accept", "text/event-stream");
  headers.set("Last-Event-ID", broken.last_event_id());
  session_->add_headers(headers);
  const Duration delay = broken.retry_ms() ? std::chrono::milliseconds(*broken.retry_ms()) : reconnect_delay;
  co_await world_.clock().sleep_for(delay);
  const TimePoint deadline = world_.clock().now() + world_.spec().call_timeout;
  auto response = co_await world_.upstream().send("GET", std::move(headers), {}, deadline);
  if (!response || (*response)->head().status != 200) co_return nullptr;
  co_return std::move(*response);
}

mcp::Outcome UrlCall::read_result(json::Slice result) const {
  return era_ == mcp::Era::modern ? read_modern_result(result) : read_legacy_result(result);
}

void UrlCall::take(const Message& message) {
  if (done_) return;
  switch (message.kind) {
    case Message::Kind::request: return take_request(message);
    case Message::Kind::result:
      if (message.id.as_int() == number_) finish_answered(read_result(message.body));
      return;
    case Message::Kind::error: {
      // An error without an id on this call's own stream can mean nothing else.
      if (message.id.as_int() != number_ && !message.id.is(json::Kind::null)) return;
      if (era_ == mcp::Era::modern) return finish(mcp::Outcome::failure(host::read_error(message.body)));
      return finish_answered(read_legacy_error(message.body, key_.capabilities));
    }
    case Message::Kind::notification:
      if (auto change = read_change(message)) return world_.announce(key_, std::move(*change));
      return take_notification(message);
    case Message::Kind::invalid: return;
  }
}

void UrlCall::take_notification(const Message& message) {
  if (observer_ == nullptr) return;
  if (message.method == "notifications/progress") {
    arm(world_.spec().call_timeout);
    if (call_.wants_progress) observer_->on_notification(progress_notification(message.params));
  } else if (message.method == "notifications/message") {
    const auto level = log_level(message.params);
    if (!level || !call_.log_level || *level < *call_.log_level) return;
    observer_->on_notification({"notifications/message", std::string(message.params.text())});
  } else if (mcp::is_custom_notification(message.method)) {
    observer_->on_notification({std::string(message.method), std::string(message.params.text())});
  }
}

bool UrlCall::may_ask_for(const UrlSession& session) const {
  return session_.get() == &session && may_ask(method_) && asks_.size() < asks_max;
}

void UrlCall::take_question(const Message& message) {
  const auto self = shared_from_this();
  take_request(message);
  settle();
}

void UrlCall::take_request(const Message& message) {
  if (era_ == mcp::Era::modern || !session_) return;
  std::string answer;
  Ask ask{std::string(message.id.text()),
          input_request(fmt::format("ask-{}", next_ask_), message.method, message.params)};
  const std::string undeclared = mcp::missing_capability(ask.request, key_.capabilities.to_json());
  if (!is_question(message.method) || !may_ask_for(*session_)) {
    append_unasked_answer(answer, message);
  } else if (!undeclared.empty()) {
    // The server may do without; a call that fails for it tells its client what it would have to declare.
    if (caller_.era == mcp::Era::modern) undeclared_ = undeclared;
    append_undeclared_answer(answer, ask.id, undeclared);
  } else {
    ++next_ask_;
    return asks_.push_back(std::move(ask));
  }
  session_->post(std::move(answer));
}

void UrlCall::settle() {
  if (asks_.empty() || parked_ || done_ || observer_ == nullptr || std::exchange(gathers_, true)) return;
  gather_timer_->arm(world_.clock().now() + url_ask_gather, [this] { deliver_asks(); });
}

void UrlCall::deliver_asks() {
  gathers_ = false;
  if (asks_.empty() || parked_ || done_ || observer_ == nullptr) return;
  const auto self = shared_from_this();
  mcp::InputRequired input;
  input.owned = true;
  ++round_;
  input.state = state();
  for (Ask& ask : asks_) {
    ask.delivered = true;
    input.requests.push_back(ask.request);
  }
  parked_ = true;
  forget_request();
  arm(world_.spec().input_timeout);
  mcp::CallObserver* const observer = std::exchange(observer_, nullptr);
  world_.park(shared_from_this());
  world_.call_ended();
  mcp::Outcome outcome = mcp::Outcome::ask(std::move(input));
  outcome.process = process_;
  observer->on_outcome(std::move(outcome));
}

std::string UrlCall::state() const { return fmt::format("{}{}.{}", state_prefix, number_, round_); }

void UrlCall::resume(const mcp::Call& call, mcp::CallObserver& observer) {
  parked_ = false;
  const auto self = shared_from_this();
  world_.unpark(*this);
  take_over(call);
  observer_ = &observer;
  arm(world_.spec().call_timeout);
  if (early_) return finish(std::move(*std::exchange(early_, std::nullopt)));
  answer_asks(json::Slice::trusted(call.input_responses.empty() ? "{}" : call.input_responses));
  settle();
}

void UrlCall::answer_asks(json::Slice responses) {
  std::vector<Ask> open;
  for (Ask& ask : asks_) {
    const json::Slice response = ask.delivered ? responses.find(ask.request.key) : json::Slice();
    if (!response.is(json::Kind::object)) {
      open.push_back(std::move(ask));
      continue;
    }
    std::string answer;
    append_input_response(answer, ask.id, response);
    session_->post(std::move(answer));
  }
  asks_ = std::move(open);
}

void UrlCall::refuse_asks() {
  for (const Ask& ask : asks_) {
    Message request;
    request.id = json::Slice::trusted(ask.id);
    request.method = ask.request.method;
    std::string answer;
    append_unasked_answer(answer, request);
    session_->post(std::move(answer));
  }
  asks_.clear();
}

void UrlCall::release_session() {
  if (!session_) return;
  --session_->calls;
  session_->used_at = world_.clock().now();
  session_.reset();
}

void UrlCall::finish_answered(mcp::Outcome outcome) {
  if (!undeclared_.empty()) blame_undeclared(outcome, undeclared_);
  finish(std::move(outcome));
}

void UrlCall::finish(mcp::Outcome outcome) {
  if (done_ || early_) return;
  outcome.process = process_;
  if (parked_) {
    early_ = std::move(outcome);
    return;
  }
  done_ = true;
  timer_->cancel();
  release_session();
  world_.call_ended();
  if (mcp::CallObserver* const observer = std::exchange(observer_, nullptr)) {
    observer->on_outcome(std::move(outcome));
  }
}

void UrlCall::fail_with(const Error& error, bool was_handed_over) {
  const bool is_gone = error.code() == ErrorCode::unavailable;
  if (is_gone) world_.unreachable(error.message());
  if (!was_handed_over) return finish(mcp::Outcome::failure(mcp::unavailable(error.message())));
  mcp::Outcome outcome = mcp::Outcome::failure(mcp::unknown_end(error.message()));
  outcome.is_lost = is_gone;
  finish(std::move(outcome));
}

void UrlCall::abandon(std::string_view reason) {
  if (done_ || parked_) return;
  observer_ = nullptr;
  if (session_ && sent_) {
    std::string cancelled;
    append_cancelled(cancelled, number_, reason);
    session_->post(std::move(cancelled));
    refuse_asks();
  }
  if (branch_) branch_->cancel();
  finish({});
}

void UrlCall::cut(const mcp::RpcError& error) {
  const auto self = shared_from_this();
  if (std::exchange(parked_, false)) {
    world_.unpark(*this);
    early_.reset();
    refuse_asks();
    if (session_) {
      std::string cancelled;
      append_cancelled(cancelled, number_, "The user did not answer in time");
      session_->post(std::move(cancelled));
    }
    done_ = true;  // its client has heard its outcome
    timer_->cancel();
    release_session();
  } else {
    finish(mcp::Outcome::failure(error));
  }
  if (branch_) branch_->cancel();
}

void UrlCall::on_timeout() {
  if (!parked_ && session_ && sent_) {
    std::string cancelled;
    append_cancelled(cancelled, number_, "timeout");
    session_->post(std::move(cancelled));
  }
  const std::string sentence =
      fmt::format("The upstream {} did not answer {} within {:g} s (call_timeout).", world_.upstream().name(),
                  method_, seconds(world_.spec().call_timeout));
  cut(mcp::unknown_end(sentence));
}

// --- UrlCalls

void UrlCalls::add(const std::shared_ptr<UrlCall>& call) {
  std::erase_if(calls_, [](const auto& weak) { return weak.expired(); });
  calls_.push_back(call);
}

std::vector<std::shared_ptr<UrlCall>> UrlCalls::list() const {
  std::vector<std::shared_ptr<UrlCall>> all;
  for (const auto& weak : calls_) {
    auto call = weak.lock();
    if (call && !call->done()) all.push_back(std::move(call));
  }
  return all;
}

bool UrlCalls::deliver(const UrlSession& session, const Message& message) const {
  auto there = list();
  std::erase_if(there, [&](const auto& call) { return call->session() != &session; });
  if (message.method == "notifications/progress") {
    const auto token = progress_token(message.params);
    for (const auto& call : there) {
      if (call->number() == token) call->take_notification(message);
    }
    return true;
  }
  // A call that waits for its user says no more as a rule.
  std::erase_if(there, [](const auto& call) { return call->parked(); });
  if (there.empty()) return false;
  // It does not say which call it belongs to, so that no other client may be meant.
  const std::string client = there.front()->caller().session;
  for (const auto& call : there) {
    const bool is_same = there.size() == 1 || (!client.empty() && call->caller().session == client);
    if (!is_same) return true;
  }
  there.back()->take_notification(message);
  return true;
}

UrlCalls::Asker UrlCalls::ask(const UrlSession& session, const Message& question) const {
  auto there = list();
  std::erase_if(there, [&](const auto& call) { return !call->may_ask_for(session); });
  if (there.empty()) return Asker::none;
  // Of one session's calls the newest, as with a process; else the only one there is.
  const std::string client = there.front()->caller().session;
  const bool is_one_client = std::ranges::all_of(
      there, [&](const auto& call) { return !client.empty() && call->caller().session == client; });
  if (there.size() > 1 && !is_one_client) return Asker::ambiguous;
  there.back()->take_question(question);
  return Asker::found;
}

}  // namespace berth::task::host
