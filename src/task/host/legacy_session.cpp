#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>

#include "base/log.h"
#include "mcp/modern.h"
#include "task/host/child_session.h"

namespace berth::task::host {

namespace {

constexpr std::string_view subscribe = "resources/subscribe";

class LegacySession final : public ChildSession {
 public:
  LegacySession(SessionOwner& owner, const SessionLimits& limits, LegacyOptions options)
      : ChildSession(owner, limits), options_(std::move(options)) {}

  std::optional<std::int64_t> resume(std::string_view state, const mcp::Call& call, CallSink& sink,
                                     TimePoint now) override;
  void notify(std::string_view method, std::string_view params) override;
  void want_level(mcp::LoggingLevel level) override;
  void answer_outside(const std::string& id, std::string_view response) override;
  bool is_subscribing(const std::string& uri) const override {
    return std::any_of(own_.begin(), own_.end(), [&](const auto& own) { return own.second == uri; });
  }
  void settle(TimePoint now) override;

 protected:
  void write_handshake() override;
  void before_call(const mcp::Call& call) override {
    if (call.log_level) want_level(*call.log_level);
  }
  void write_call(std::int64_t number, const mcp::Call& call) override;
  mcp::Outcome read_result(json::Slice result) override { return read_legacy_result(result); }
  mcp::Outcome read_error(json::Slice error) override {
    return read_legacy_error(error, options_.capabilities);
  }
  void on_request(const Message& message, TimePoint now) override;
  void on_notification(const Message& message, TimePoint now) override;
  bool on_own_answer(std::int64_t number, const Message& message, TimePoint now) override;
  bool awaits_own_answer() const override { return !own_.empty(); }
  void on_watched(const std::set<std::string>& before) override;
  void on_candidate_left(TimePoint now) override;
  void refuse_asks(Entry& entry) override;
  void tick_more(TimePoint now) override;

 private:
  struct Held {
    Ask ask;
    TimePoint deadline;
  };

  std::int64_t write_own(std::string_view method, std::string_view params);
  void write_subscription(std::string_view method, const std::string& uri);
  void on_initialized(const Message& message);
  void refuse_undeclared(const Ask& ask, const std::string& capabilities);
  void ask_outside(Ask ask);
  Entries::iterator asker();
  std::size_t possible_askers() const;
  void attribute_held(TimePoint now);
  void attribute(Ask ask, Entries::iterator entry);
  void refuse(const Ask& ask);
  void withdraw(json::Slice id);
  void deliver(Entries::iterator at, TimePoint now);
  void answer_asks(Entry& entry, std::string_view responses);

  LegacyOptions options_;
  std::int64_t initialize_ = 0;
  std::map<std::int64_t, std::string> own_;  ///< requests under way; of resources/subscribe with its URI
  std::optional<mcp::LoggingLevel> level_;
  bool can_log_ = false;
  bool can_subscribe_ = false;
  std::deque<Held> held_asks_;
  std::set<std::string> outside_;        ///< ids of asks outside every call that wait for their answer
  std::vector<std::int64_t> asking_;     ///< calls with asks to deliver
  std::optional<TimePoint> deliver_at_;  ///< while asks are gathered
  std::uint64_t next_ask_ = 1;
};

std::int64_t LegacySession::write_own(std::string_view method, std::string_view params) {
  const std::int64_t number = next_number_++;
  append_request(out_, number, method, params, {}, {});
  finish_line();
  return number;
}

void LegacySession::write_handshake() {
  initialize_ = write_own("initialize", initialize_params(options_.capabilities, options_.client_info));
}

void LegacySession::on_initialized(const Message& message) {
  if (message.kind == Message::Kind::error) {
    named_modern_ = names_modern(message.body);
    return fail_start(refusal_sentence("initialize", host::read_error(message.body)));
  }
  Result<mcp::ServerDescription> description = read_initialize_result(message.body);
  if (!description) return fail_start(description.error().message());
  const json::Slice capabilities = json::Slice::trusted(description->capabilities);
  can_log_ = capabilities.find("logging").exists();
  can_subscribe_ = capabilities.find("resources").find("subscribe").as_bool().value_or(false);
  append_notification(out_, "notifications/initialized", {});
  finish_line();
  become_ready(std::move(*description));
  on_watched({});
}

bool LegacySession::on_own_answer(std::int64_t number, const Message& message, TimePoint) {
  if (initialize_ != 0 && number == initialize_) {
    initialize_ = 0;
    on_initialized(message);
    return true;
  }
  const auto own = own_.extract(number);
  if (own.empty()) return false;
  std::optional<mcp::RpcError> refusal;
  if (message.kind == Message::Kind::error) {
    refusal = host::read_error(message.body);
    owner_.on_oddity("a refused request of Berth's", message.body.text());
  }
  if (!own.mapped().empty()) owner_.on_watch_answered(own.mapped(), refusal);
  return true;
}

void LegacySession::want_level(mcp::LoggingLevel level) {
  if (!ready_ || !can_log_ || (level_ && *level_ <= level)) return;
  level_ = level;
  const std::string params = fmt::format(R"({{"level":"{}"}})", mcp::to_string(*level_));
  own_.emplace(write_own("logging/setLevel", params), std::string());
}

void LegacySession::write_call(std::int64_t number, const mcp::Call& call) {
  scratch_.clear();
  append_legacy_meta(scratch_, call, number);
  append_request(out_, number, call.method, call.params, scratch_, {});
  finish_line();
}

void LegacySession::notify(std::string_view method, std::string_view params) {
  if (!ready_) return;
  append_notification(out_, method, params);
  finish_line();
}

void LegacySession::write_subscription(std::string_view method, const std::string& uri) {
  const std::int64_t number = write_own(method, fmt::format(R"({{"uri":{}}})", json_quote(uri)));
  own_.emplace(number, method == subscribe ? uri : std::string());
}

void LegacySession::on_watched(const std::set<std::string>& before) {
  if (!can_subscribe_) return;
  for (const std::string& uri : watched_) {
    if (!before.contains(uri)) write_subscription(subscribe, uri);
  }
  for (const std::string& uri : before) {
    if (!watched_.contains(uri)) write_subscription("resources/unsubscribe", uri);
  }
}

void LegacySession::on_notification(const Message& message, TimePoint now) {
  if (message.method == "notifications/progress") return forward_progress(message, now);
  if (message.method == "notifications/message") return forward_log(message);
  if (message.method == "notifications/cancelled") {
    return withdraw(message.params.find("requestId"));
  }
  if (auto change = read_change(message)) return owner_.on_change(std::move(*change));
  forward_custom(message);
}

// --- Asks: requests of the server toward the user.

void LegacySession::on_request(const Message& message, TimePoint now) {
  if (!is_question(message.method)) {
    append_unasked_answer(out_, message);
    return finish_line();
  }
  Ask ask{std::string(message.id.text()),
          input_request(fmt::format("ask-{}", next_ask_++), message.method, message.params)};
  const std::string undeclared = mcp::missing_capability(ask.request, options_.capabilities.to_json());
  if (!undeclared.empty()) return refuse_undeclared(ask, undeclared);
  if (possible_askers() == 0) return ask_outside(std::move(ask));
  owner_.on_asking(message.method);
  if (held_asks_.size() >= limits_.asks_max) return refuse(ask);
  held_asks_.push_back({std::move(ask), now + limits_.ask_hold});
  held_ = held_asks_.size();
  wake_by(held_asks_.back().deadline);
  attribute_held(now);
}

/// The server may do without; a call that fails for it tells its client what it would have to declare.
void LegacySession::refuse_undeclared(const Ask& ask, const std::string& capabilities) {
  append_undeclared_answer(out_, ask.id, capabilities);
  finish_line();
  if (possible_askers() != 1 && !options_.one_session) return;
  const auto entry = asker();
  const bool is_modern = entry != entries_.end() && entry->second.state == Entry::State::running &&
                         entry->second.call.caller->era == mcp::Era::modern;
  if (is_modern) entry->second.undeclared = capabilities;
}

void LegacySession::ask_outside(Ask ask) {
  if (outside_.size() >= limits_.asks_max) return refuse(ask);
  outside_.insert(ask.id);
  owner_.on_question(std::move(ask.id), std::move(ask.request));
}

void LegacySession::answer_outside(const std::string& id, std::string_view response) {
  if (!ready_ || outside_.erase(id) == 0) return;
  append_input_response(out_, id, json::Slice::trusted(response));
  finish_line();
}

std::size_t LegacySession::possible_askers() const { return load().candidates; }

LegacySession::Entries::iterator LegacySession::asker() {
  // Of one session's calls the newest that is running; else the only one there is.
  auto found = entries_.end();
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    if (!at->second.candidate) continue;
    if (found != entries_.end() && found->second.state == Entry::State::running &&
        (at->second.state != Entry::State::running || at->first < found->first)) {
      continue;
    }
    found = at;
  }
  return found;
}

void LegacySession::attribute_held(TimePoint) {
  while (!held_asks_.empty()) {
    const std::size_t askers = possible_askers();
    if (askers > 1 && !options_.one_session) return;
    Ask ask = std::move(held_asks_.front().ask);
    held_asks_.pop_front();
    held_ = held_asks_.size();
    const auto entry = askers == 0 ? entries_.end() : asker();
    if (entry == entries_.end() || entry->second.state == Entry::State::cancelled ||
        entry->second.asks.size() >= limits_.asks_max) {
      refuse(ask);
    } else {
      attribute(std::move(ask), entry);
    }
  }
}

void LegacySession::attribute(Ask ask, Entries::iterator entry) {
  entry->second.asks.push_back(std::move(ask));
  if (entry->second.state == Entry::State::running) asking_.push_back(entry->first);
}

void LegacySession::refuse(const Ask& ask) {
  if (ask.withdrawn) return;
  Message request;
  request.id = json::Slice::trusted(ask.id);
  request.method = ask.request.method;
  append_unasked_answer(out_, request);
  finish_line();
}

void LegacySession::refuse_asks(Entry& entry) {
  for (const Ask& ask : entry.asks) refuse(ask);
  entry.asks.clear();
}

void LegacySession::on_candidate_left(TimePoint now) { attribute_held(now); }

void LegacySession::withdraw(json::Slice id) {
  const auto is_meant = [&](const Ask& ask) { return is_same_id(json::Slice::trusted(ask.id), id); };
  for (Held& held : held_asks_) held.ask.withdrawn = held.ask.withdrawn || is_meant(held.ask);
  std::erase_if(held_asks_, [](const Held& held) { return held.ask.withdrawn; });
  held_ = held_asks_.size();
  std::erase_if(outside_, [&](const std::string& own) { return is_same_id(json::Slice::trusted(own), id); });
  for (auto& [number, entry] : entries_) {
    for (Ask& ask : entry.asks) ask.withdrawn = ask.withdrawn || is_meant(ask);
    std::erase_if(entry.asks, [](const Ask& ask) { return ask.withdrawn && !ask.delivered; });
  }
}

void LegacySession::settle(TimePoint now) {
  if (asking_.empty()) return;
  if (!deliver_at_) deliver_at_ = now + limits_.ask_gather;
  if (now < *deliver_at_) return wake_by(*deliver_at_);
  deliver_at_.reset();
  while (!asking_.empty()) {
    const std::int64_t number = asking_.back();
    asking_.pop_back();
    const auto at = entries_.find(number);
    if (at != entries_.end() && at->second.state == Entry::State::running && !at->second.asks.empty()) {
      deliver(at, now);
    }
  }
}

void LegacySession::deliver(Entries::iterator at, TimePoint now) {
  Entry& entry = at->second;
  mcp::InputRequired input;
  input.owned = true;
  input.state = fmt::format("{}.{}", at->first, ++entry.round);
  for (Ask& ask : entry.asks) {
    ask.delivered = true;
    input.requests.push_back(ask.request);
  }
  CallSink& sink = *entry.sink;
  entry.session = entry.call.caller->session;
  entry.principal = entry.call.caller->principal;
  entry.call = mcp::Call{};
  set_state(entry, Entry::State::parked);
  entry.deadline = now + limits_.input_timeout;
  wake_by(entry.deadline);
  sink.on_outcome(mcp::Outcome::ask(std::move(input)));
}

std::optional<std::int64_t> LegacySession::resume(std::string_view state, const mcp::Call& call,
                                                  CallSink& sink, TimePoint now) {
  std::int64_t number = 0;
  std::uint64_t round = 0;
  const char* const end = state.data() + state.size();
  const auto dot = std::from_chars(state.data(), end, number);
  if (dot.ec != std::errc{} || dot.ptr == end || *dot.ptr != '.') return std::nullopt;
  if (std::from_chars(dot.ptr + 1, end, round).ec != std::errc{}) return std::nullopt;
  const auto at = entries_.find(number);
  if (at == entries_.end()) return std::nullopt;
  Entry& entry = at->second;
  if (entry.state != Entry::State::parked || entry.round != round) return std::nullopt;
  if (entry.principal != call.caller->principal || entry.session != call.caller->session) return std::nullopt;
  set_state(entry, Entry::State::running);
  entry.sink = &sink;
  entry.call = call;
  entry.deadline = now + limits_.call_timeout;
  wake_by(entry.deadline);
  if (entry.early) {
    mcp::Outcome outcome = std::move(*entry.early);
    erase(at, now);
    sink.on_outcome(std::move(outcome));
    return number;
  }
  answer_asks(entry, call.input_responses);
  if (!entry.asks.empty()) asking_.push_back(number);
  return number;
}

void LegacySession::answer_asks(Entry& entry, std::string_view responses) {
  const json::Slice given = json::Slice::trusted(responses.empty() ? "{}" : responses);
  std::vector<Ask> open;
  for (Ask& ask : entry.asks) {
    if (ask.withdrawn) continue;
    const json::Slice response = ask.delivered ? given.find(ask.request.key) : json::Slice();
    if (!response.is(json::Kind::object)) {
      open.push_back(std::move(ask));
      continue;
    }
    append_input_response(out_, ask.id, response);
    finish_line();
  }
  entry.asks = std::move(open);
}

void LegacySession::tick_more(TimePoint now) {
  while (!held_asks_.empty() && held_asks_.front().deadline <= now) {
    const Ask ask = std::move(held_asks_.front().ask);
    held_asks_.pop_front();
    append_error(out_, ask.id,
                 {mcp::code::internal_error,
                  "Several calls are under way on this connection, so it is not known whom to ask.",
                  {}});
    finish_line();
  }
  held_ = held_asks_.size();
  if (!held_asks_.empty()) wake_by(held_asks_.front().deadline);
}

}  // namespace

std::unique_ptr<ChildSession> make_legacy_session(SessionOwner& owner, const SessionLimits& limits,
                                                  LegacyOptions options) {
  return std::make_unique<LegacySession>(owner, limits, std::move(options));
}

}  // namespace berth::task::host
