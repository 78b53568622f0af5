#include "task/host/url_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "mcp/message.h"
#include "task/host/capability_cache.h"
#include "task/host/url_call.h"
#include "task/host/url_listen.h"
#include "task/host/url_questions.h"
#include "task/host/watch_answers.h"
#include "task/host/watches.h"

namespace berth::task {

namespace host {
namespace {

constexpr Duration check_interval = std::chrono::seconds(10);
constexpr Duration check_timeout = std::chrono::seconds(5);
constexpr Duration check_retry_min = std::chrono::milliseconds(100);
constexpr Duration check_retry_max = std::chrono::seconds(5);
/// How long the goodbyes of a drain may take.
constexpr Duration goodbye_patience = std::chrono::seconds(3);
constexpr std::size_t sessions_max = 1024;
/// Questions of one principal that wait for their user; a further one takes the place of the oldest.
constexpr std::size_t parked_max = 64;
constexpr std::size_t tool_pages_max = 50;

class UrlActive final : public mcp::ActiveCall {
 public:
  explicit UrlActive(std::shared_ptr<UrlCall> call) : call_(std::move(call)) {}
  ~UrlActive() override {
    if (call_) call_->abandon(reason_.empty() ? client_left : reason_);
  }
  void set_cancel_reason(std::string_view reason) override { reason_ = reason; }

 private:
  std::shared_ptr<UrlCall> call_;
  std::string reason_;
};

class UrlHost final : public ServerHost, public UrlCallWorld {
 public:
  UrlHost(const model::ServerSpec& spec, net::Network& network, ChangeSink& sink, Clock& clock, Log& log);

  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller& caller) override;
  std::unique_ptr<mcp::ActiveCall> start(const mcp::Call& call, mcp::CallObserver& observer) override;
  void notify(const mcp::Caller& caller, std::string_view method, std::string_view params) override;
  void want_level(const mcp::Caller& caller, mcp::LoggingLevel level) override;
  void watch_resource(const mcp::Caller& caller, const std::string& uri) override;
  void unwatch_resource(const mcp::Caller& caller, const std::string& uri) override;
  void watch_elsewhere(const std::string& principal, const std::string& uri, bool watched) override;
  Task<std::optional<mcp::RpcError>> watch_refusal(const mcp::Caller& caller, std::string uri) override;
  void session_closed(const std::string& session) override;
  bool runs(std::uint64_t process) const override;
  HostHealth health() const override;
  Task<std::size_t> drain(TimePoint deadline) override;

  Task<Result<mcp::Era>> era() override;
  Task<Result<std::shared_ptr<UrlSession>>> session(PoolKey key) override;
  void first_call(UrlSession& session) override { sync_watches(session); }
  void session_lost(const std::shared_ptr<UrlSession>& session) override;
  const std::vector<mcp::HeaderParam>* tool_params(std::string_view tool) override;
  Task<void> learn_tools() override;
  void reached() override { set_contact({}); }
  void unreachable(const std::string& why) override { set_contact(fail(ErrorCode::unavailable, why)); }
  void park(const std::shared_ptr<UrlCall>& call) override;
  void unpark(const UrlCall& call) override { parked_.erase(call.state()); }
  void call_ended() override {
    questions_.look_again();
    if (--calls_ == 0) idle_.notify();
  }
  void announce(const PoolKey& key, mcp::Change change) override {
    if (narrow_to_scope(change, key.scope, spec_.isolation)) publish(std::move(change));
  }
  const model::ServerSpec& spec() override { return spec_; }
  Upstream& upstream() override { return upstream_; }
  Branches& branches() override { return branches_; }
  Clock& clock() override { return clock_; }
  std::int64_t next_number() override { return next_number_++; }

 private:
  PoolKey key_of(const mcp::Caller& caller);
  PoolKey first_key() const { return {scope_of(mcp::Caller{}, spec_.isolation), {}}; }
  void set_contact(const Result<void>& contact);
  Task<void> keep_contact();
  Task<Result<void>> check();
  Task<void> probe();
  Task<Result<mcp::Era>> discover();
  Task<Result<std::string>> ask_modern(std::string method, std::string param_members);
  void on_session_notification(const UrlSession& session, const Message& message);
  void ask_outside(const std::shared_ptr<UrlSession>& asking, mcp::InputRequest request,
                   std::function<void(std::string_view)> answer);
  Task<void> tell_modern(std::string method, std::string params);
  void publish(mcp::Change change);
  void reap_sessions();
  bool make_room(const PoolKey& key);
  void close_session(const std::shared_ptr<UrlSession>& session, UrlSession::Goodbye goodbye);
  void sync_watches(const std::string& scope);
  void sync_watches(UrlSession& session);
  void restart_listen();

  const model::ServerSpec spec_;
  ChangeSink& sink_;
  Clock& clock_;
  Log& log_;
  Upstream upstream_;
  CapabilityCache capabilities_;
  std::optional<mcp::Era> era_;
  std::optional<Error> probe_failure_;
  bool probing_ = false;
  std::list<Signal*> era_waiters_;
  mcp::ServerDescription description_;  ///< of a modern upstream
  std::map<PoolKey, std::shared_ptr<UrlSession>> sessions_;
  std::map<std::string, std::shared_ptr<UrlCall>, std::less<>> parked_;
  UrlCalls running_;
  std::map<std::string, std::vector<mcp::HeaderParam>, std::less<>> tools_;
  Watches watches_;
  WatchAnswers watch_answers_;
  std::shared_ptr<Branches::Branch> contact_;
  std::int64_t next_number_ = 1;
  std::uint64_t last_session_ = 0;
  std::size_t calls_ = 0;
  std::uint64_t reconnects_ = 0;
  bool ready_ = false;
  bool refused_ = false;  ///< the last contact was: the upstream is not there, or lets nobody in
  bool draining_ = false;
  std::string reason_;
  std::unique_ptr<Timer> timer_;
  Signal idle_;
  Signal check_now_;
  Branches branches_;
  UrlListen listen_;
  UrlQuestions questions_;
};

UrlHost::UrlHost(const model::ServerSpec& spec, net::Network& network, ChangeSink& sink, Clock& clock,
                 Log& log)
    : spec_(spec),
      sink_(sink),
      clock_(clock),
      log_(log),
      upstream_(spec_, network, branches_),
      watch_answers_(clock),
      reason_(fmt::format("The upstream {} has not answered yet.", upstream_.name())),
      timer_(clock.make_timer()),
      idle_(clock.executor()),
      check_now_(clock.executor()),
      branches_(clock.executor()),
      listen_({spec_, upstream_, branches_, clock_, next_number_,
               [this](mcp::Change change) { publish(std::move(change)); }}),
      questions_(
          {spec_, running_, clock_, [this](const auto& asking, mcp::InputRequest request, auto answer) {
             ask_outside(asking, std::move(request), std::move(answer));
           }}) {
  contact_ = branches_.spawn(keep_contact());
}

PoolKey UrlHost::key_of(const mcp::Caller& caller) {
  if (era_ == mcp::Era::modern) return {scope_of(caller, spec_.isolation), {}};
  return legacy_key(caller, spec_.isolation, capabilities_.read(caller.capabilities));
}

// --- Contact

void UrlHost::set_contact(const Result<void>& contact) {
  reason_ = contact ? std::string() : contact.error().message();
  refused_ = !contact && (contact.error().code() == ErrorCode::unavailable ||
                          contact.error().code() == ErrorCode::permission_denied);
  if (ready_ && !contact) {
    ++reconnects_;
    log_.warning("upstream_lost", {{"server", spec_.name}, {"reason", reason_}});
    check_now_.notify();
  } else if (!ready_ && contact) {
    log_.info("upstream_ready", {{"server", spec_.name}});
  }
  ready_ = contact.has_value();
}

Task<void> UrlHost::keep_contact() {
  const auto timer = clock_.make_timer();
  Duration retry = check_retry_min;
  for (;;) {
    const Result<void> checked = co_await check();
    set_contact(checked);
    reap_sessions();
    timer->arm(clock_.now() + (checked ? check_interval : retry), [this] { check_now_.notify(); });
    retry = checked ? check_retry_min : std::min(retry * 2, check_retry_max);
    co_await check_now_.wait();
  }
}

Task<Result<void>> UrlHost::check() {
  const bool known = era_.has_value();
  const auto found = co_await era();
  if (!found) co_return std::unexpected(found.error());
  if (*found == mcp::Era::modern) {
    if (!known) co_return Result<void>();
    const auto again = co_await discover();
    if (!again) co_return std::unexpected(again.error());
    co_return Result<void>();
  }
  const auto opened = co_await session(first_key());
  if (!opened) co_return std::unexpected(opened.error());
  http::Headers headers;
  add_post_headers(headers);
  (*opened)->add_headers(headers);
  std::string ping;
  append_request(ping, next_number(), "ping", {}, {}, {});
  const TimePoint deadline = clock_.now() + check_timeout;
  const auto response = co_await upstream_.fetch("POST", std::move(headers), std::move(ping), deadline);
  if (!response) co_return std::unexpected(response.error());
  if (is_session_lost(response->status, response->body)) session_lost(*opened);
  if (response->status < 500) co_return Result<void>();
  co_return fail(ErrorCode::unavailable,
                 fmt::format("The upstream {} answered HTTP {}.", upstream_.name(), response->status));
}

// --- Era

Task<Result<mcp::Era>> UrlHost::era() {
  if (era_) co_return *era_;
  if (!std::exchange(probing_, true)) branches_.spawn(probe());
  Signal over(clock_.executor());
  const auto at = era_waiters_.insert(era_waiters_.end(), &over);
  const std::unique_ptr<void, std::function<void(void*)>> guard(
      this, [this, at](void*) { era_waiters_.erase(at); });
  co_await over.wait();
  if (era_) co_return *era_;
  co_return std::unexpected(*probe_failure_);
}

Task<void> UrlHost::probe() {
  if (spec_.era == model::EraChoice::legacy) {
    era_ = mcp::Era::legacy;
  } else {
    const auto found = co_await discover();
    if (found) {
      era_ = *found;
    } else {
      probe_failure_ = found.error();
    }
  }
  if (era_ == mcp::Era::modern) co_await learn_tools();
  probing_ = false;
  if (era_)
    log_.info("server_era",
              {{"server", spec_.name}, {"era", *era_ == mcp::Era::modern ? "modern" : "legacy"}});
  for (Signal* waiter : era_waiters_) waiter->notify();
  if (era_ == mcp::Era::modern) restart_listen();
}

Task<Result<mcp::Era>> UrlHost::discover() {
  http::Headers headers;
  add_post_headers(headers);
  add_modern_headers(headers, "server/discover", {});
  std::string body;
  append_request(body, next_number(), "server/discover", {}, own_modern_meta(), {});
  const TimePoint deadline = clock_.now() + std::max<Duration>(spec_.probe_timeout, check_timeout);
  const auto response = co_await upstream_.fetch("POST", std::move(headers), std::move(body), deadline);
  if (!response) co_return std::unexpected(response.error());
  const Result<mcp::Era> judged = judge_discover(response->status, response->body);
  if (!judged)
    co_return std::unexpected(judged.error().within(fmt::format("The upstream {}", upstream_.name())));
  const Result<json::Slice> parsed = json::parse(response->body);
  if (parsed) {
    auto description = read_discover_result(parsed->find("result"));
    if (description) description_ = std::move(*description);
  }
  const bool must_be_modern = spec_.era == model::EraChoice::modern || era_ == mcp::Era::modern;
  if (must_be_modern && *judged == mcp::Era::legacy) {
    co_return fail(
        ErrorCode::unavailable,
        fmt::format("The upstream {} does not answer server/discover as a server of 2026-07-28 does "
                    "(HTTP {}).",
                    upstream_.name(), response->status));
  }
  co_return *judged;
}

Task<Result<std::string>> UrlHost::ask_modern(std::string method, std::string param_members) {
  http::Headers headers;
  add_post_headers(headers);
  add_modern_headers(headers, method, {});
  std::string body;
  append_request(body, next_number(), method, {}, own_modern_meta(), param_members);
  const TimePoint deadline = clock_.now() + check_timeout;
  auto response = co_await upstream_.fetch("POST", std::move(headers), std::move(body), deadline);
  if (!response) co_return std::unexpected(response.error());
  co_return std::move(response->body);
}

// --- Calls

Task<Result<mcp::ServerDescription>> UrlHost::describe(const mcp::Caller& caller) {
  const auto found = co_await era();
  if (!found) co_return std::unexpected(found.error());
  if (*found == mcp::Era::modern) co_return description_;
  const auto opened = co_await session(key_of(caller));
  if (!opened) co_return std::unexpected(opened.error());
  co_return (*opened)->description();
}

std::unique_ptr<mcp::ActiveCall> UrlHost::start(const mcp::Call& call, mcp::CallObserver& observer) {
  if (call.request_state.starts_with(UrlCall::state_prefix)) {
    const auto at = parked_.find(call.request_state);
    const std::shared_ptr<UrlCall> parked = at == parked_.end() ? nullptr : at->second;
    if (!parked || parked->caller().principal != call.caller->principal ||
        parked->caller().session != call.caller->session) {
      observer.on_outcome(mcp::Outcome::failure(mcp::undeliverable_answer()));
      return std::make_unique<UrlActive>(nullptr);
    }
    ++calls_;
    parked->resume(call, observer);
    return std::make_unique<UrlActive>(parked);
  }
  if (draining_) {
    observer.on_outcome(mcp::Outcome::failure(mcp::unavailable("The server is shutting down.")));
    return std::make_unique<UrlActive>(nullptr);
  }
  ++calls_;
  auto started = std::make_shared<UrlCall>(*this, call, key_of(*call.caller), observer);
  running_.add(started);
  started->begin();
  return std::make_unique<UrlActive>(std::move(started));
}

const std::vector<mcp::HeaderParam>* UrlHost::tool_params(std::string_view tool) {
  const auto at = tools_.find(tool);
  return at == tools_.end() ? nullptr : &at->second;
}

Task<void> UrlHost::learn_tools() {
  std::string cursor;
  for (std::size_t page = 0; page < tool_pages_max; ++page) {
    std::string from = cursor.empty() ? std::string() : "\"cursor\":" + json_quote(cursor);
    const auto answer = co_await ask_modern("tools/list", std::move(from));
    const Result<json::Slice> parsed = json::parse(answer ? *answer : std::string_view());
    if (!parsed) co_return;
    const json::Slice result = parsed->find("result");
    for (ToolHeaderParams& tool : read_tool_header_params(result)) tools_[tool.tool] = std::move(tool.params);
    cursor = result.find("nextCursor").as_string().value_or("");
    if (cursor.empty()) co_return;
  }
}

// --- Sessions of a legacy upstream

Task<Result<std::shared_ptr<UrlSession>>> UrlHost::session(PoolKey key) {
  const auto known = sessions_.find(key);
  std::shared_ptr<UrlSession> found = known == sessions_.end() ? nullptr : known->second;
  if (!found) {
    if (sessions_.size() >= sessions_max && !make_room(key)) {
      co_return fail(ErrorCode::resource_exhausted,
                     fmt::format("{} sessions with the upstream are in use; try again later.", sessions_max));
    }
    UrlSession::World world{
        spec_,
        upstream_,
        branches_,
        clock_,
        log_,
        next_number_,
        [this](const UrlSession& of, mcp::Change change) { announce(of.key(), std::move(change)); },
        [this](UrlSession& of, const Message& message) { questions_.take(of, message); },
        [this](const UrlSession& of, const Message& message) { on_session_notification(of, message); },
        [this](const UrlSession& of, const std::string& uri, const std::optional<mcp::RpcError>& refusal) {
          watch_answers_.answer(of.key(), uri, refusal);
        }};
    found = std::make_shared<UrlSession>(std::move(world), key);
    found->number = ++last_session_;
    found->watch(watches_.of(key));
    sessions_[key] = found;
    found->open();
  }
  co_await found->opened();
  if (found->state() == UrlSession::State::failed) {
    const auto at = sessions_.find(key);
    if (at != sessions_.end() && at->second == found) sessions_.erase(at);
    co_return std::unexpected(found->failure());
  }
  found->used_at = clock_.now();
  co_return found;
}

void UrlHost::close_session(const std::shared_ptr<UrlSession>& session, UrlSession::Goodbye goodbye) {
  const auto at = sessions_.find(session->key());
  if (at != sessions_.end() && at->second == session) sessions_.erase(at);
  branches_.spawn(UrlSession::close(session, goodbye));
}

void UrlHost::session_lost(const std::shared_ptr<UrlSession>& session) {
  log_.info("upstream_session_lost", {{"server", spec_.name}});
  close_session(session, UrlSession::Goodbye::quietly);
}

/// Among the idle ones of whoever has most: one that is not watched, and then the one idle for longest.
bool UrlHost::make_room(const PoolKey& wanted) {
  std::map<std::string_view, std::size_t> held;
  for (const auto& [key, session] : sessions_) ++held[key.scope];
  const std::size_t own = held[wanted.scope];
  std::shared_ptr<UrlSession> victim;
  std::tuple<std::size_t, bool, Duration> most{};
  for (const auto& [key, session] : sessions_) {
    if (session->calls > 0 || session->state() != UrlSession::State::ready) continue;
    const std::size_t theirs = held[key.scope];
    if (key.scope != wanted.scope && theirs <= own) continue;
    const std::tuple place(theirs, !watches_.contains(key), TimePoint::max() - session->used_at);
    if (victim && place <= most) continue;
    victim = session;
    most = place;
  }
  if (!victim) return false;
  close_session(victim, UrlSession::Goodbye::polite);
  return true;
}

void UrlHost::park(const std::shared_ptr<UrlCall>& call) {
  parked_[call->state()] = call;
  std::size_t own = 1;
  std::shared_ptr<UrlCall> oldest;
  for (const auto& [state, each] : parked_) {
    if (each == call || each->caller().principal != call->caller().principal) continue;
    ++own;
    if (!oldest || each->number() < oldest->number()) oldest = each;
  }
  if (own > parked_max) oldest->cut({mcp::code::internal_error, "A newer question took its place.", {}});
}

void UrlHost::reap_sessions() {
  std::vector<std::shared_ptr<UrlSession>> idle;
  for (const auto& [key, session] : sessions_) {
    if (session->calls == 0 && session->state() == UrlSession::State::ready && !watches_.contains(key) &&
        key != first_key() && session->used_at + spec_.idle_timeout <= clock_.now()) {
      idle.push_back(session);
    }
  }
  for (const auto& session : idle) close_session(session, UrlSession::Goodbye::polite);
}

void UrlHost::session_closed(const std::string& session) {
  std::vector<std::shared_ptr<UrlCall>> parked;
  for (const auto& [state, call] : parked_) {
    if (call->caller().session == session) parked.push_back(call);
  }
  for (const auto& call : parked) call->cut({mcp::code::internal_error, "The session has ended.", {}});
  if (spec_.isolation != model::Isolation::session) return;
  const std::string scope = scope_of(mcp::Caller{.session = session}, spec_.isolation);
  watches_.remove_scope(scope);
  std::vector<std::shared_ptr<UrlSession>> ended;
  for (const auto& [key, each] : sessions_) {
    if (key.scope == scope) ended.push_back(each);
  }
  for (const auto& each : ended) close_session(each, UrlSession::Goodbye::polite);
}

// --- Changes

void UrlHost::on_session_notification(const UrlSession& session, const Message& message) {
  if (running_.deliver(session, message)) return;
  if (message.method != "notifications/message" && !mcp::is_custom_notification(message.method)) return;
  mcp::Change change{mcp::Change::Kind::message, {}, {}};
  change.message = {std::string(message.method), std::string(message.params.text())};
  announce(session.key(), std::move(change));
}

void UrlHost::ask_outside(const std::shared_ptr<UrlSession>& asking, mcp::InputRequest request,
                          std::function<void(std::string_view)> answer) {
  OutsideQuestion question;
  question.request = std::move(request);
  question.is_for = [this, key = asking->key()](const mcp::Caller& caller) { return key_of(caller) == key; };
  question.answer = std::move(answer);
  sink_.on_question(std::move(question));
}

Task<void> UrlHost::tell_modern(std::string method, std::string params) {
  http::Headers headers;
  add_post_headers(headers);
  add_modern_headers(headers, method, params);
  std::string body;
  append_notification(body, method, params);
  const TimePoint deadline = clock_.now() + check_timeout;
  const auto response = co_await upstream_.fetch("POST", std::move(headers), std::move(body), deadline);
  if (!response)
    log_.debug("upstream_post_failed", {{"server", spec_.name}, {"reason", response.error().message()}});
}

void UrlHost::publish(mcp::Change change) {
  if (change.kind == mcp::Change::Kind::tools_list) tools_.clear();
  sink_.on_change(change);
}

void UrlHost::notify(const mcp::Caller& caller, std::string_view method, std::string_view params) {
  if (era_ == mcp::Era::modern && mcp::is_custom_notification(method))
    branches_.spawn(tell_modern(std::string(method), std::string(params)));
  if (era_ != mcp::Era::legacy) return;
  const auto at = sessions_.find(key_of(caller));
  if (at == sessions_.end() || at->second->state() != UrlSession::State::ready) return;
  std::string message;
  append_notification(message, method, params);
  at->second->post(std::move(message));
}

void UrlHost::want_level(const mcp::Caller& caller, mcp::LoggingLevel level) {
  if (era_ != mcp::Era::legacy) return;
  const auto at = sessions_.find(key_of(caller));
  if (at != sessions_.end() && at->second->state() == UrlSession::State::ready) at->second->want_level(level);
}

void UrlHost::watch_resource(const mcp::Caller& caller, const std::string& uri) {
  const PoolKey key = key_of(caller);
  if (watches_.add(key, uri)) sync_watches(key.scope);
}

void UrlHost::unwatch_resource(const mcp::Caller& caller, const std::string& uri) {
  const PoolKey key = key_of(caller);
  if (watches_.remove(key, uri)) sync_watches(key.scope);
}

Task<std::optional<mcp::RpcError>> UrlHost::watch_refusal(const mcp::Caller& caller, std::string uri) {
  PoolKey key = key_of(caller);
  const auto at = sessions_.find(key);
  if (at == sessions_.end() || !at->second->is_subscribing(uri)) co_return std::nullopt;
  auto refusal = co_await watch_answers_.wait(std::move(key), std::move(uri));
  co_return refusal;
}

void UrlHost::watch_elsewhere(const std::string& principal, const std::string& uri, bool watched) {
  const std::string scope = scope_of(mcp::Caller{.principal = principal}, spec_.isolation);
  if (!watches_.set_elsewhere(scope, principal, uri, watched)) return;
  // A modern upstream tells the task that the listener is on.
  if (era_ != mcp::Era::modern) sync_watches(scope);
}

void UrlHost::sync_watches(const std::string& scope) {
  if (era_ == mcp::Era::modern) return restart_listen();
  for (const auto& [key, session] : sessions_) {
    if (key.scope == scope) sync_watches(*session);
  }
}

/// A session that has been called may have what a listener of another pool, or in another task, asks about.
void UrlHost::sync_watches(UrlSession& session) {
  const PoolKey& key = session.key();
  session.watch(session.is_called ? watches_.of_scope(key.scope) : watches_.of(key));
}

/// What a modern upstream is to tell of.
void UrlHost::restart_listen() {
  if (!draining_) listen_.want(listen_filter(description_.capabilities, watches_.of_all()));
}

// --- Health and end

bool UrlHost::runs(std::uint64_t process) const {
  return std::ranges::any_of(sessions_, [=](const auto& each) { return each.second->number == process; });
}

HostHealth UrlHost::health() const {
  HostHealth health;
  health.ready = ready_ && !draining_;
  health.restarts = reconnects_;
  health.refused = refused_;
  if (!health.ready) health.reason = draining_ ? Reason("The server is shutting down.") : Reason(reason_);
  return health;
}

Task<std::size_t> UrlHost::drain(TimePoint deadline) {
  draining_ = true;
  timer_->arm(deadline, [this] { idle_.notify(); });
  while (calls_ > 0 && clock_.now() < deadline) co_await idle_.wait();
  contact_->cancel();
  listen_.stop();
  std::size_t cut = 0;
  for (const auto& call : running_.list()) {
    ++cut;
    call->cut(mcp::unknown_end("The call was cut: the server is shutting down."));
  }
  for (const auto& [key, session] : std::map(sessions_)) close_session(session, UrlSession::Goodbye::polite);
  timer_->arm(clock_.now() + goodbye_patience, [this] { branches_.cancel_all(); });
  co_await branches_.join();
  timer_->cancel();
  co_return cut;
}

}  // namespace
}  // namespace host

std::unique_ptr<ServerHost> make_url_host(const model::ServerSpec& spec, net::Network& network,
                                          ChangeSink& sink, Clock& clock, Log& log) {
  return std::make_unique<host::UrlHost>(spec, network, sink, clock, log);
}

}  // namespace berth::task
