#include "task/host/child_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/utf8.h"
#include "mcp/message.h"

namespace berth::task::host {

namespace {

/// Deeper than what clients may send: an answer that cannot be read is a call that never ends.
constexpr json::Limits answer_limits{.depth_max = 512};
/// The first request of every session is its handshake.
constexpr std::int64_t handshake_number = 1;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// Whether a text begins as a JSON object does, and as what programs print of their own objects does not.
bool begins_object(std::string_view text) {
  const std::size_t brace = text.find_first_not_of(" \t");
  if (brace == std::string_view::npos || text[brace] != '{') return false;
  const std::size_t next = text.find_first_not_of(" \t", brace + 1);
  return next == std::string_view::npos || text[next] == '"';
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

ChildSession::~ChildSession() = default;

void ChildSession::start(TimePoint now) {
  start_deadline_ = now + limits_.start_timeout;
  wake_by(*start_deadline_);
  write_handshake();
}

void ChildSession::limit_start(TimePoint deadline) {
  if (!start_deadline_) return;
  start_deadline_ = std::min(*start_deadline_, deadline);
  wake_by(*start_deadline_);
}

void ChildSession::become_ready(mcp::ServerDescription description) {
  description_ = std::move(description);
  start_deadline_.reset();
  ready_ = true;
  owner_.on_ready();
}

void ChildSession::fail_start(const std::string& reason) {
  start_deadline_.reset();
  owner_.on_start_failed(reason);
}

std::int64_t ChildSession::call(const mcp::Call& call, CallSink& sink, TimePoint now) {
  BERTH_CHECK(ready_, "calls go to sessions that are ready");
  before_call(call);
  const std::int64_t number = next_number_++;
  Entry& entry = entries_[number];
  entry.sink = &sink;
  entry.call = call;
  entry.candidate = may_ask(call.method);
  entry.deadline = now + limits_.call_timeout;
  ++running_;
  if (entry.candidate) ++candidates_;
  write_call(number, call);
  entry.line_end = taken_bytes_ + out_.size();
  wake_by(entry.deadline);
  return number;
}

std::optional<std::int64_t> ChildSession::resume(std::string_view, const mcp::Call&, CallSink&, TimePoint) {
  return std::nullopt;
}

void ChildSession::set_state(Entry& entry, Entry::State state) {
  if (entry.state == Entry::State::running) --running_;
  if (entry.state == Entry::State::parked) --parked_;
  entry.state = state;
  if (state == Entry::State::running) ++running_;
  if (state == Entry::State::parked) ++parked_;
  if (state != Entry::State::running) entry.sink = nullptr;
}

void ChildSession::erase(Entries::iterator at, TimePoint now) {
  Entry& entry = at->second;
  refuse_asks(entry);
  const bool candidate = entry.candidate;
  set_state(entry, Entry::State::cancelled);
  entries_.erase(at);
  if (!candidate) return;
  --candidates_;
  on_candidate_left(now);
}

void ChildSession::cancel(std::int64_t number, std::string_view reason, TimePoint now) {
  const auto at = entries_.find(number);
  if (at == entries_.end() || at->second.state != Entry::State::running) return;
  append_cancelled(out_, number, reason);
  finish_line();
  Entry& entry = at->second;
  if (!entry.candidate) return erase(at, now);
  refuse_asks(entry);
  entry.principal = entry.call.caller->principal;
  entry.call = mcp::Call{};
  set_state(entry, Entry::State::cancelled);
  entry.deadline = now + limits_.cancel_grace;
  wake_by(entry.deadline);
}

void ChildSession::drop_parked(std::optional<std::string_view> session, TimePoint now) {
  std::vector<std::int64_t> dropped;
  for (const auto& [number, entry] : entries_) {
    if (entry.state == Entry::State::parked && (!session || entry.session == *session))
      dropped.push_back(number);
  }
  for (const std::int64_t number : dropped) expire(number, now);
}

void ChildSession::watch(std::set<std::string> uris) {
  const std::set<std::string> before = std::exchange(watched_, std::move(uris));
  if (ready_ && before != watched_) on_watched(before);
}

void ChildSession::receive(std::string_view line, TimePoint now) {
  if (line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
  if (line.find_first_not_of(" \t") == std::string_view::npos) return;
  std::string repaired;
  Result<json::Slice> parsed = json::parse(line, answer_limits);
  if (!parsed && !is_utf8(line)) {
    repaired = replace_invalid_utf8(line);
    line = repaired;
    parsed = json::parse(line, answer_limits);
  }
  if (!parsed) return on_unusable(Unusable::not_json, line, now);
  if (parsed->is(json::Kind::array)) {
    for (json::Elements each(*parsed); each.next();) dispatch(each.value(), now);
    return;
  }
  dispatch(*parsed, now);
}

void ChildSession::dispatch(json::Slice object, TimePoint now) {
  const Message message = read_message(object);
  switch (message.kind) {
    case Message::Kind::result:
    case Message::Kind::error: return on_answer(message, now);
    case Message::Kind::request: {
      const std::size_t before = out_.size();
      on_request(message, now);
      unread_answer_bytes_ += out_.size() - before;
      return;
    }
    case Message::Kind::notification: return on_notification(message, now);
    case Message::Kind::invalid: break;
  }
  on_unusable(Unusable::no_message, object.text(), now);
}

void ChildSession::on_unusable(Unusable kind, std::string_view text, TimePoint now) {
  const std::string_view what =
      kind == Unusable::not_json ? "a line that is not JSON" : "a line that is not a JSON-RPC message";
  owner_.on_oddity(what, text);
  // Mere text and a log line in JSON, as from a stray print, are nobody's answer; what has the marks of one
  // is somebody's, and so is an object that breaks off.
  const BrokenLine line = read_broken_line(text);
  if (line.asks) return;
  std::optional<std::int64_t> number = line.number;
  const bool is_broken_object = ready_ && kind == Unusable::not_json && begins_object(text);
  if (!number && (line.answers || is_broken_object)) number = only_request();
  const bool awaited = number && (entries_.contains(*number) || (!ready_ && *number == handshake_number));
  if (!awaited) return;
  const std::string id = std::to_string(*number);
  const std::string error =
      fmt::format(R"({{"code":{},"message":"The server's answer cannot be used: it is {}."}})",
                  mcp::code::internal_error, what);
  Message message;
  message.kind = Message::Kind::error;
  message.id = json::Slice::trusted(id);
  message.body = json::Slice::trusted(error);
  on_answer(message, now);
}

std::optional<std::int64_t> ChildSession::only_request() const {
  if (!ready_) return handshake_number;
  if (running_ != 1 || entries_.size() != 1 || awaits_own_answer()) return std::nullopt;
  return entries_.begin()->first;
}

void ChildSession::on_answer(const Message& message, TimePoint now) {
  std::int64_t number = own_number(message.id).value_or(0);
  if (message.kind == Message::Kind::error && message.id.is(json::Kind::null)) {
    // A server that could not read a request cannot say which one it was.
    const int code = host::read_error(message.body).code;
    const bool unread = code == mcp::code::parse_error || code == mcp::code::invalid_request;
    if (unread) number = only_request().value_or(0);
  }
  const auto at = entries_.find(number);
  if (at == entries_.end()) {
    if (on_own_answer(number, message, now)) return;
    const bool ours = number > 0 && number < next_number_;
    return owner_.on_oddity(ours ? "a second or late answer" : "an answer to a request Berth did not make",
                            message.id.text());
  }
  Entry& entry = at->second;
  if (entry.state == Entry::State::cancelled) return erase(at, now);
  ++answered_;
  mcp::Outcome outcome =
      message.kind == Message::Kind::result ? read_result(message.body) : read_error(message.body);
  if (!entry.undeclared.empty()) blame_undeclared(outcome, entry.undeclared);
  if (entry.state == Entry::State::parked) {
    entry.early = std::move(outcome);
    refuse_asks(entry);
    entry.candidate = false;
    --candidates_;
    return on_candidate_left(now);
  }
  CallSink& sink = *entry.sink;
  erase(at, now);
  sink.on_outcome(std::move(outcome));
}

void ChildSession::forward_progress(const Message& message, TimePoint now) {
  const std::optional<std::int64_t> token = progress_token(message.params);
  const auto at = token ? entries_.find(*token) : entries_.end();
  if (at == entries_.end()) {
    return owner_.on_oddity("progress of a request that is not under way", message.params.text());
  }
  Entry& entry = at->second;
  if (entry.state != Entry::State::running) return;
  entry.deadline = now + limits_.call_timeout;
  if (entry.call.wants_progress) entry.sink->on_notification(progress_notification(message.params));
}

void ChildSession::forward_log(const Message& message) {
  const std::optional<mcp::LoggingLevel> level = log_level(message.params);
  if (!level) return owner_.on_oddity("a log message without a level", message.params.text());
  forward_aside(message, level);
}

void ChildSession::forward_custom(const Message& message) {
  if (mcp::is_custom_notification(message.method)) forward_aside(message, std::nullopt);
}

void ChildSession::forward_aside(const Message& message, std::optional<mcp::LoggingLevel> level) {
  mcp::Notification notification{std::string(message.method), std::string(message.params.text())};
  // A call that was cancelled, or waits for its user, says no more as a rule.
  if (running_ == 0) {
    mcp::Change change{mcp::Change::Kind::message, {}, {}};
    change.message = std::move(notification);
    return owner_.on_change(std::move(change));
  }
  // It does not say which request it belongs to. It is passed on only when no other client could be meant:
  // one call runs, or all that do are of one legacy session. What one says that does not run, all the same,
  // never reaches another principal.
  Entry* wanting = nullptr;
  const mcp::Caller* caller = nullptr;
  const std::string* quiet = nullptr;  ///< principal of those that do not run
  for (auto& [number, entry] : entries_) {
    if (entry.state != Entry::State::running) {
      if (quiet != nullptr && *quiet != entry.principal) return;
      quiet = &entry.principal;
      continue;
    }
    const mcp::Caller* other = entry.call.caller;
    if (caller != nullptr && (caller->session.empty() || caller->session != other->session)) return;
    caller = other;
    if (!level || (entry.call.log_level && *level >= *entry.call.log_level)) wanting = &entry;
  }
  if (wanting == nullptr || (quiet != nullptr && *quiet != caller->principal)) return;
  wanting->sink->on_notification(std::move(notification));
}

void ChildSession::settle(TimePoint) {}

void ChildSession::expire(std::int64_t number, TimePoint now) {
  const auto at = entries_.find(number);
  if (at == entries_.end()) return;
  Entry& entry = at->second;
  switch (entry.state) {
    case Entry::State::cancelled: return erase(at, now);
    case Entry::State::parked:
      if (entry.early) return erase(at, now);
      refuse_asks(entry);
      append_cancelled(out_, number, "The user did not answer in time");
      finish_line();
      set_state(entry, Entry::State::cancelled);
      entry.deadline = now + limits_.cancel_grace;
      return wake_by(entry.deadline);
    case Entry::State::running: break;
  }
  CallSink& sink = *entry.sink;
  const std::string sentence = fmt::format("The server did not answer {} within {:g} s (call_timeout).",
                                           entry.call.method, seconds(limits_.call_timeout));
  cancel(number, "timeout", now);
  sink.on_outcome(mcp::Outcome::failure(mcp::unknown_end(sentence)));
}

void ChildSession::tick(TimePoint now) {
  next_tick_ = TimePoint::max();
  if (start_deadline_) {
    if (*start_deadline_ <= now) {
      fail_start(fmt::format("The server did not answer {} within {:g} s (start_timeout).", "the handshake",
                             seconds(limits_.start_timeout)));
    } else {
      wake_by(*start_deadline_);
    }
  }
  std::vector<std::int64_t> expired;
  for (const auto& [number, entry] : entries_) {
    if (entry.deadline <= now) {
      expired.push_back(number);
    } else {
      wake_by(entry.deadline);
    }
  }
  std::sort(expired.begin(), expired.end());
  for (const std::int64_t number : expired) expire(number, now);
  tick_more(now);
}

void ChildSession::finish_line() {
  out_ += '\n';
  owner_.on_output();
}

void ChildSession::take_output(std::string& into) {
  BERTH_CHECK(into.empty(), "the former output is not written yet");
  into.swap(out_);
  unread_answer_bytes_ = 0;
  taken_bytes_ += into.size();
}

void ChildSession::close(const mcp::RpcError& error, std::uint64_t handed_over_bytes) {
  ready_ = false;
  start_deadline_.reset();
  // A sink may cancel other calls of this session, so the map is looked at anew each time. Lowest first.
  while (running_ > 0) {
    auto first = entries_.end();
    for (auto at = entries_.begin(); at != entries_.end(); ++at) {
      if (at->second.state != Entry::State::running) continue;
      if (first == entries_.end() || at->first < first->first) first = at;
    }
    Entry& entry = first->second;
    CallSink& sink = *entry.sink;
    const bool handed_over = entry.line_end <= handed_over_bytes;
    set_state(entry, Entry::State::cancelled);
    if (entry.candidate) --candidates_;
    entries_.erase(first);
    if (handed_over) {
      sink.on_outcome(mcp::Outcome::lost(error));
    } else {
      sink.on_not_executed();
    }
  }
  entries_.clear();
  parked_ = 0;
  candidates_ = 0;
  out_.clear();
  next_tick_ = TimePoint::max();
}

SessionLoad ChildSession::load() const { return {running_, candidates_, held_ > 0, out_.size(), parked_}; }

}  // namespace berth::task::host
