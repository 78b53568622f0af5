#include <fmt/format.h>

#include "mcp/message.h"
#include "task/host/stdio_core.h"

namespace berth::task::host {

HostCall::~HostCall() {
  if (state_ == State::waiting) {
    host_.withdraw(id_);
  } else if (state_ == State::running) {
    const std::string_view reason = cancel_reason_.empty() ? client_left : cancel_reason_;
    child_->session().cancel(number_, reason, host_.clock_.now());
    child_->touched();
    host_.on_child_settled(*child_);
  } else {
    return;
  }
  host_.call_ended();
}

void HostCall::begin() {
  ++host_.calls_;
  key_ = host_.key_of(*call_.caller);
  if (call_.request_state.starts_with(parked_prefix)) return resume();
  if (host_.draining_) {
    return finish(mcp::Outcome::failure(mcp::unavailable("The server is shutting down.")));
  }
  if (call_.request_state == state_again && host_.era_ == mcp::Era::legacy) {
    call_.request_state = {};
    call_.input_responses = {};
  }
  const bool candidate = may_ask(call_.method);
  if (candidate && key_.capabilities.interactive()) host_.look_for_asking();
  if (const auto id = host_.policy_.place(key_, candidate, host_.clock_.now())) {
    return on_assigned(*host_.find_child(*id));
  }
  state_ = State::waiting;
  id_ = host_.enqueue(*this, key_, candidate, false);
  host_.decide();
}

void HostCall::resume() {
  std::string_view state = call_.request_state.substr(parked_prefix.size());
  PoolPolicy::ChildId id = 0;
  while (!state.empty() && state.front() >= '0' && state.front() <= '9' &&
         id < (PoolPolicy::ChildId{1} << 50)) {
    id = id * 10 + static_cast<PoolPolicy::ChildId>(state.front() - '0');
    state.remove_prefix(1);
  }
  Child* child = host_.find_child(id);
  std::optional<std::int64_t> number;
  if (child != nullptr && state.starts_with(':') && child->key().scope == key_.scope) {
    state_ = State::running;
    child_ = child;
    number = child->session().resume(state.substr(1), call_, *this, host_.clock_.now());
  }
  if (!number) {
    return finish(mcp::Outcome::failure(mcp::undeliverable_answer()));
  }
  number_ = *number;
  host_.set_load(*child);
  // Asks that are still open end this round at once, and this call with it.
  child->touched();
  host_.set_load(*child);
}

void HostCall::on_assigned(Child& child) {
  state_ = State::running;
  child_ = &child;
  if (child.note_called()) host_.sync_watches(child);  // what the call changes is to be told already
  number_ = child.session().call(call_, *this, host_.clock_.now());
  child.touched();
  host_.set_load(child);
}

void HostCall::on_outcome(mcp::Outcome outcome) {
  outcome.process = child_->id();
  outcome.is_lost = outcome.is_lost && !host_.draining_;  // nothing is begun any more
  if (outcome.kind == mcp::Outcome::Kind::input_required && outcome.input.owned) {
    outcome.input.state = fmt::format("{}{}:{}", parked_prefix, child_->id(), outcome.input.state);
  }
  finish(std::move(outcome));
}

void HostCall::finish(mcp::Outcome outcome) {
  state_ = State::done;
  host_.call_ended();
  observer_.on_outcome(std::move(outcome));  // may destroy this
}

void HostCall::on_not_executed() {
  // Whoever builds on what was in that process is told before anything runs in another.
  if (host_.spec_.state == model::State::process && may_ask(call_.method)) {
    return on_outcome(mcp::Outcome::failure(mcp::state_lost()));
  }
  state_ = State::waiting;
  child_ = nullptr;
  key_ = host_.key_of(*call_.caller);
  id_ = host_.enqueue(*this, key_, may_ask(call_.method), true);
}

void HostCall::on_refused(PoolPolicy::Refusal refusal) { finish(host_.refusal_outcome(refusal)); }

PoolKey HostCall::key() {
  key_ = host_.key_of(*call_.caller);
  return key_;
}

void HostCall::on_waited_too_long() {
  finish(mcp::Outcome::failure(
      mcp::code::internal_error,
      fmt::format("The call waited longer than {:g} s (call_timeout) for a server process "
                  "that is free.",
                  std::chrono::duration<double>(host_.spec_.call_timeout).count())));
}

}  // namespace berth::task::host
