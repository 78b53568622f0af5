#include "task/edge/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "mcp/legacy.h"
#include "mcp/session_origin.h"

namespace berth::task::edge {
namespace {

/// Changes that come together are kept together.
constexpr Duration keep_after = std::chrono::milliseconds(50);

/// Of the answers that nobody was there to read, so much is kept for whoever takes a session over.
constexpr std::size_t kept_answers_bytes_max = 64 * 1024;

std::string unread_answers(const Session& session) {
  std::string out;
  for (const Event& event : session.log->lasting()) {
    if (!event.is_answer || !session.unread.contains(event.stream)) continue;
    if (out.size() + event.json.size() > kept_answers_bytes_max) continue;
    out += fmt::format(R"({}{{"stream":{},"sequence":{},"message":{}}})", out.empty() ? "" : ",",
                       event.stream, event.sequence, event.json);
  }
  return out;
}

/// What a session has changed since its initialize, and what its client has not read.
std::string changes_of(const Session& session) {
  std::string out = "{";
  if (session.has_set_level)
    mcp::append_member(out, "\"level\":" + json_quote(mcp::to_string(*session.log_level)));
  std::string uris;
  for (const std::string& uri : session.watched) uris += (uris.empty() ? "" : ",") + json_quote(uri);
  mcp::append_member(out, "\"watched\":[" + uris + "]");
  if (const std::string answers = unread_answers(session); !answers.empty())
    mcp::append_member(out, "\"answers\":[" + answers + "]");
  return out + "}";
}

}  // namespace

std::size_t session_bytes(std::string_view capabilities, std::string_view client_info) {
  constexpr std::size_t fixed_bytes = 4096;
  return fixed_bytes + capabilities.size() + client_info.size();
}

void Session::ask(Shared& shared, EventStream& stream, const mcp::InputRequest& request, Question question) {
  const std::uint64_t number = next_question++;
  questions[number] = std::move(question);
  mcp::Handle handle = shared.handle(mcp::HandleKind::server_request, caller->principal);
  handle.local = fmt::format("{}:{}", key, number);
  handle.expires_unix_s = shared.wall_s_after(shared.world.spec.input_timeout);
  const std::string id = json_quote(shared.world.sealer.seal(handle));
  const std::string params = mcp::legacy_input_params(request, caller->protocol_version, random_hex(16));
  stream.add_message(mcp::write_request(id, request.method, params));
}

void Session::prune() {
  std::erase_if(streams,
                [](const auto& entry) { return entry.second->is_closed() && !entry.second->has_reader(); });
  std::erase_if(unread,
                [&](std::uint64_t stream) { return !streams.contains(stream) && !log->has_answer(stream); });
  std::erase_if(questions, [](const auto& entry) {
    if (entry.second.answer) return false;
    const auto call = entry.second.call.lock();
    return !call || call->has_ended();
  });
}

bool Session::is_busy() const { return !streams.empty() || standalone->has_reader(); }

bool Session::server_can(std::string_view area, std::string_view flag) const {
  return json::Slice::trusted(server_capabilities).find(area).find(flag).as_bool().value_or(false);
}

SessionTable::SessionTable(Shared& shared)
    : shared_(shared),
      timer_(shared.world.clock.make_timer()),
      keep_timer_(shared.world.clock.make_timer()) {}

SessionTable::~SessionTable() { release_all(); }

std::shared_ptr<Session> SessionTable::longest_idle(const ByUse& sessions, Idle idle) {
  for (const auto& session : sessions) {
    session->prune();
    const bool is_listened = session->standalone->has_reader();
    if (session->streams.empty() && (!is_listened || idle == Idle::listened)) return session;
  }
  return nullptr;
}

void SessionTable::displace(const std::shared_ptr<Session>& session) {
  remove(session);
  ++displaced_;
}

bool SessionTable::make_room(const std::string& principal) {
  const std::size_t sessions_max = shared_.world.limits.sessions_max;
  if (by_key_.size() + places_ < sessions_max) return true;
  const ByUse none;
  const auto at = by_principal_.find(principal);
  const ByUse& own = at == by_principal_.end() ? none : at->second;
  const ByUse* most = &own;
  for (const auto& [name, sessions] : by_principal_) {
    if (sessions.size() > most->size()) most = &sessions;
  }
  std::shared_ptr<Session> victim = longest_idle(*most, Idle::unused);
  if (!victim && most != &own && most->size() > sessions_max / 2)
    victim = longest_idle(*most, Idle::listened);
  if (!victim) victim = longest_idle(own, Idle::unused);
  if (!victim) return false;
  displace(victim);
  return true;
}

bool SessionTable::make_room(MemoryAccount::Charge& memory, std::size_t bytes, const std::string& principal) {
  while (!memory.fits(bytes) && memory.held(MemoryAccount::Kind::session) > memory.held() / 2) {
    const auto own = by_principal_.find(principal);
    const auto victim = own == by_principal_.end() ? nullptr : longest_idle(own->second, Idle::unused);
    if (!victim) break;
    displace(victim);
  }
  return memory.grow(bytes);
}

void SessionTable::touch(Session& session) {
  session.last_used = shared_.now();
  if (session.by_use != nullptr)
    session.by_use->splice(session.by_use->end(), *session.by_use, session.place);
}

std::shared_ptr<Session> SessionTable::create(mcp::Caller caller, std::string server_capabilities,
                                              MemoryAccount::Charge memory) {
  mcp::Handle handle = shared_.handle(mcp::HandleKind::session, caller.principal);
  handle.local = mcp::write_session_origin(
      {caller.session, caller.protocol_version, caller.capabilities, caller.client_info});
  std::string token = shared_.world.sealer.seal(handle);
  return add(std::move(caller), std::move(server_capabilities), std::move(memory), std::move(token));
}

std::shared_ptr<Session> SessionTable::adopt(mcp::Caller caller, std::string server_capabilities,
                                             MemoryAccount::Charge memory, std::string token) {
  const auto session =
      add(std::move(caller), std::move(server_capabilities), std::move(memory), std::move(token));
  // The ids of its events are none that another task has given.
  session->next_stream = random_u64() >> 16;
  return session;
}

std::shared_ptr<Session> SessionTable::add(mcp::Caller caller, std::string server_capabilities,
                                           MemoryAccount::Charge memory, std::string token) {
  const auto session = std::make_shared<Session>(std::move(memory));
  const model::LimitsSpec& limits = shared_.world.limits;
  session->key = caller.session;
  session->caller = std::make_shared<const mcp::Caller>(std::move(caller));
  session->server_capabilities = std::move(server_capabilities);
  session->log = std::make_shared<ReplayLog>(limits.replay_events_max, limits.stream_buffer_bytes_max,
                                             session->memory.sibling(MemoryAccount::Kind::session));
  session->standalone =
      std::make_shared<EventStream>(0, session->log, limits.stream_buffer_bytes_max,
                                    session->memory.sibling(MemoryAccount::Kind::answer), true);
  session->token = std::move(token);
  session->losses_seen = shared_.world.peers.losses();
  session->changed = [this, at = session.get()] { changed(*at); };
  Session* const raw = session.get();
  session->subscription =
      shared_.world.bus.subscribe(shared_.world.server, session->caller->principal,
                                  [this, raw](const mcp::Change& change) { on_change(*raw, change); });
  session->by_use = &by_principal_[session->caller->principal];
  session->place = session->by_use->insert(session->by_use->end(), session);
  touch(*session);
  by_key_[session->key] = session;
  by_token_[session->token] = session;
  if (!armed_) arm();
  return session;
}

std::shared_ptr<Session> SessionTable::find_token(std::string_view token, std::string_view principal) const {
  const auto at = by_token_.find(token);
  if (at == by_token_.end()) return nullptr;
  const auto session = at->second.lock();
  return session && session->caller->principal == principal ? session : nullptr;
}

std::shared_ptr<Session> SessionTable::find_key(const std::string& key) const {
  const auto at = by_key_.find(key);
  return at == by_key_.end() ? nullptr : at->second;
}

std::vector<std::shared_ptr<Session>> SessionTable::served(
    const std::function<bool(const mcp::Caller&)>& is_for) const {
  std::vector<std::shared_ptr<Session>> found;
  for (const auto& [key, session] : by_key_) {
    if (is_for(*session->caller)) found.push_back(session);
  }
  return found;
}

void SessionTable::remove(const std::shared_ptr<Session>& session) {
  if (!by_key_.contains(session->key)) return;
  changed_.erase(session->key);
  release(session);
  shared_.world.records.end(session->key);
}

void SessionTable::release(const std::shared_ptr<Session>& session) {
  if (by_key_.erase(session->key) == 0) return;
  if (changed_.erase(session->key) > 0) keep(*session);
  by_token_.erase(session->token);
  session->by_use->erase(session->place);
  session->by_use = nullptr;
  if (const auto own = by_principal_.find(session->caller->principal); own->second.empty())
    by_principal_.erase(own);
  session->subscription.reset();
  for (const auto& [number, question] : std::exchange(session->questions, {})) {
    if (question.answer) question.answer(nobody_to_ask);
  }
  session->standalone->close();
  for (const auto& [number, stream] : session->streams) stream->close();
  for (const std::string& uri : session->watched) shared_.unwatch(*session->caller, uri);
  session->watched.clear();
  shared_.world.host.session_closed(session->key);
}

void SessionTable::release_all() {
  std::vector<std::shared_ptr<Session>> all;
  for (const auto& [key, session] : by_key_) all.push_back(session);
  for (const auto& session : all) release(session);
}

void SessionTable::changed(Session& session) {
  if (changed_.empty()) keep_timer_->arm(shared_.now() + keep_after, [this] { keep_changed(); });
  changed_.insert(session.key);
}

void SessionTable::keep_changed() {
  for (const std::string& key : std::exchange(changed_, {})) {
    if (const auto session = find_key(key)) keep(*session);
  }
}

void SessionTable::keep(const Session& session) {
  mcp::Handle record = shared_.handle(mcp::HandleKind::session_record, session.caller->principal);
  record.digest = session.key;
  record.local = changes_of(session);
  shared_.world.records.keep(session.key, shared_.world.sealer.seal(record));
}

void SessionTable::restore(Session& session, std::uint64_t lost) {
  const std::string kept = shared_.world.records.kept(session.key, lost);
  if (kept.empty()) return;
  const auto record = shared_.world.sealer.open(mcp::HandleKind::session_record, kept,
                                                session.caller->principal, shared_.wall());
  if (!record || record->digest != session.key) return;
  const auto changes = json::Slice::trusted(record->local);
  if (const auto level = mcp::parse_logging_level(changes.find("level").as_string().value_or(""))) {
    session.log_level = level;
    session.has_set_level = true;
    shared_.world.host.want_level(*session.caller, *level);
  }
  for (json::Elements uris(changes.find("watched")); uris.next();) {
    const auto uri = uris.value().as_string();
    if (!uri || !session.memory.grow(watch_bytes(*uri))) continue;
    session.watched.insert(*uri);
    session.watched_bytes += uri->size();
    shared_.watch(*session.caller, *uri);
  }
  for (json::Elements answers(changes.find("answers")); answers.next();) {
    const json::Slice answer = answers.value();
    Event event{.json = std::string(answer.find("message").text()), .is_answer = true};
    event.stream = static_cast<std::uint64_t>(answer.find("stream").as_int().value_or(0));
    event.sequence = static_cast<std::uint64_t>(answer.find("sequence").as_int().value_or(0));
    session.unread.insert(event.stream);
    session.log->add(event);
  }
  changed(session);
}

bool SessionTable::wants_message(const Session& session, const mcp::Notification& message) {
  if (message.method != "notifications/message") return true;
  const auto level =
      mcp::parse_logging_level(json::Slice::trusted(message.params).find("level").as_string().value_or(""));
  return level && session.log_level && *level >= *session.log_level;
}

void SessionTable::on_change(Session& session, const mcp::Change& change) {
  const bool is_update = change.kind == mcp::Change::Kind::resource_updated;
  if (is_update && !session.watched.contains(change.uri)) return;
  if (!change.session.empty() && change.session != session.key) return;
  // A client that never opened its stream does not want to hear of changes.
  if (!session.standalone_was_open) return;
  if (change.kind != mcp::Change::Kind::message) {
    session.standalone->add_change(mcp::legacy_notification(change));
  } else if (wants_message(session, change.message)) {
    session.standalone->add_aside(mcp::legacy_notification(change));
  }
}

void SessionTable::arm() {
  armed_ = true;
  const Duration interval = std::clamp<Duration>(shared_.world.limits.session_idle_timeout / 4,
                                                 std::chrono::seconds(1), std::chrono::minutes(1));
  timer_->arm(shared_.now() + interval, [this] { sweep(); });
}

void SessionTable::sweep() {
  armed_ = false;
  const TimePoint now = shared_.now();
  std::vector<std::shared_ptr<Session>> idle;
  for (const auto& [key, session] : by_key_) {
    session->prune();
    if (session->is_busy()) touch(*session);
    if (now - session->last_used >= shared_.world.limits.session_idle_timeout) idle.push_back(session);
  }
  for (const auto& session : idle) remove(session);
  shared_.world.records.flush();
  expired_ += idle.size();
  if (!by_key_.empty()) arm();
}

}  // namespace berth::task::edge
