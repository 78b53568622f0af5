#include "task/edge/legacy_edge.h"

#include <fmt/format.h>

#include <charconv>

#include "base/random.h"
#include "base/utf8.h"
#include "mcp/legacy.h"
#include "task/edge/answers.h"
#include "task/edge/event_name.h"
#include "task/edge/forwarding.h"
#include "task/edge/listen.h"
#include "task/edge/pump.h"
#include "task/edge/sse_stream.h"
#include "task/edge/tracing.h"

namespace berth::task::edge {
namespace {

using mcp::Message;
using mcp::Method;

/// Resources one session may subscribe to.
constexpr std::size_t watched_max = 1024;
/// What a client speaks that says nothing (2025-06-18, transports: protocol version header).
constexpr std::string_view assumed_version = "2025-03-26";
/// Of why a client cancels, for the server.
constexpr std::size_t reason_bytes_max = 1024;

void end_watch(Shared& shared, Session& session, const std::string& uri) {
  if (session.watched.erase(uri) == 0) return;
  session.watched_bytes -= uri.size();
  session.memory.shrink(watch_bytes(uri));
  shared.unwatch(*session.caller, uri);
}

mcp::Caller sessionless_caller(const Incoming& incoming) {
  mcp::Caller caller;
  caller.principal = incoming.context.principal;
  caller.era = mcp::Era::legacy;
  caller.protocol_version = incoming.headers.protocol_version.value_or(assumed_version);
  return caller;
}

}  // namespace

Task<void> LegacyEdge::message(const Incoming& incoming) {
  ++shared_.counters.legacy_requests;
  if (incoming.message.kind == Message::Kind::response) {
    co_await response(incoming);
    co_return;
  }
  if (incoming.message.known == Method::initialize && incoming.message.kind == Message::Kind::request) {
    co_await initialize(incoming);
    co_return;
  }
  Found found = co_await find_session(incoming);
  if (found.answered) co_return;
  if (incoming.message.kind == Message::Kind::notification) {
    take_notification(incoming.message, found.session.get(), incoming.context.principal);
    co_await answer_empty(incoming.exchange, 202);
    co_return;
  }
  co_await request(incoming, std::move(found.session));
}

Task<bool> LegacyEdge::check_version(const Incoming& incoming) {
  const auto version = incoming.headers.protocol_version;
  if (!version || mcp::is_legacy_version(*version)) co_return true;
  ++shared_.counters.refused;
  mcp::RpcError error{mcp::code::server_error,
                      fmt::format("Unsupported protocol version: '{}' (supported: {}, {}).", *version,
                                  mcp::modern_version, fmt::join(mcp::legacy_versions, ", ")),
                      {}};
  co_await answer_error(incoming.exchange, 400, incoming.message.id, std::move(error));
  co_return false;
}

Task<LegacyEdge::Found> LegacyEdge::find_session(const Incoming& incoming) {
  Found found;
  const bool version_known = co_await check_version(incoming);
  if (!version_known) {
    found.answered = true;
    co_return found;
  }
  const auto token = incoming.headers.session_id;
  if (!token) co_return found;
  const std::string_view principal = incoming.context.principal;
  found.session = sessions_.find_token(*token, principal);
  if (found.session && !is_still_ours(*found.session))
    sessions_.release(std::exchange(found.session, nullptr));
  if (found.session && has_lost_its_process(*found.session))
    sessions_.remove(std::exchange(found.session, nullptr));
  if (found.session) {
    sessions_.touch(*found.session);
    co_return found;
  }
  const auto handle = shared_.world.sealer.open(mcp::HandleKind::session, *token, principal, shared_.wall());
  if (handle) found = co_await adoption_.find(incoming, *handle);
  if (found.session || found.answered) co_return found;
  found.answered = true;
  ++shared_.counters.refused;
  co_await answer_error(incoming.exchange, 404, incoming.message.id, mcp::session_not_found());
  co_return found;
}

/// With server.state: process a session is no more than what its server's process keeps for it.
bool LegacyEdge::has_lost_its_process(const Session& session) const {
  const KeptState& state = session.state;
  return shared_.world.spec.state == model::State::process && state.process != 0 &&
         !shared_.world.host.runs(state.process);
}

/// False: a sister has taken it over, or is to. A task that was out of its sisters' sight asks the records
/// once for each session; one that stops gives those away that nothing is under way in, as they are asked
/// for.
bool LegacyEdge::is_still_ours(Session& session) const {
  const std::uint64_t losses = shared_.world.peers.losses();
  if (session.losses_seen != losses) {
    const auto standing = shared_.world.records.confirm(session.key).standing;
    if (standing == SessionRecords::Standing::taken) return false;
    if (standing == SessionRecords::Standing::open) session.losses_seen = losses;
  }
  // They go where their server's one process goes, all together.
  if (!shared_.draining || shared_.is_sole() || shared_.world.peers.sisters().empty()) return true;
  session.prune();
  return !session.streams.empty();
}

Task<void> LegacyEdge::initialize(const Incoming& incoming) {
  const std::string_view id = incoming.message.id;
  auto asked = mcp::read_initialize(incoming.message.params);
  if (!asked) {
    ++shared_.counters.refused;
    co_await answer_error(incoming.exchange, 200, id, std::move(asked.error()));
    co_return;
  }
  auto memory = incoming.memory.sibling(MemoryAccount::Kind::session);
  const std::size_t bytes = session_bytes(asked->capabilities, asked->client_info);
  const bool has_room = !shared_.draining && sessions_.make_room(incoming.context.principal);
  if (!has_room || !sessions_.make_room(memory, bytes, incoming.context.principal)) {
    ++shared_.counters.refused;
    const std::string why =
        shared_.draining ? "This task is stopping; try again."
        : has_room       ? refusal_of_memory(memory).error.message
                   : fmt::format("This task has {} sessions in use (limits.sessions_max); try again later.",
                                 shared_.world.limits.sessions_max);
    mcp::RpcError error{mcp::code::server_error, why, {}};
    co_await answer_error(incoming.exchange, 503, id, std::move(error));
    co_return;
  }
  std::optional<SessionTable::Place> place(std::in_place, sessions_);
  mcp::Caller caller;
  caller.principal = incoming.context.principal;
  caller.session = random_hex(16);
  caller.era = mcp::Era::legacy;
  caller.protocol_version = asked->version;
  caller.capabilities = std::move(asked->capabilities);
  caller.client_info = std::move(asked->client_info);
  const auto description = co_await shared_.describe(caller);
  if (!description) {
    shared_.world.host.session_closed(caller.session);
    co_await answer_refusal(incoming.exchange, id, refusal_of_host(description.error()));
    co_return;
  }
  place.reset();
  const auto session = sessions_.create(std::move(caller), description->capabilities, std::move(memory));
  http::Response response = http::json_response(
      200, mcp::write_result(id, mcp::initialize_result(session->caller->protocol_version, *description,
                                                        shared_.world.server)));
  response.headers.add("Mcp-Session-Id", session->token);
  co_await incoming.exchange.respond(std::move(response));
}

void LegacyEdge::take_notification(const Message& message, Session* session, const std::string& principal) {
  if (message.known == Method::cancelled && session != nullptr) {
    const std::string_view id = message.params.find("requestId").text();
    const std::string reason = message.params.find("reason").as_string().value_or("");
    for (const auto& [number, stream] : session->streams) {
      for (const auto& call : stream->calls()) {
        if (call->id() == id) call->cancel(cut_utf8(reason, reason_bytes_max));
      }
    }
  } else if (message.known == Method::roots_list_changed || mcp::is_custom_notification(message.method)) {
    mcp::Caller anonymous;
    anonymous.principal = principal;
    anonymous.era = mcp::Era::legacy;
    shared_.world.host.notify(session != nullptr ? *session->caller : anonymous, message.method,
                              message.params.text());
  }
}

Task<void> LegacyEdge::response(const Incoming& incoming) {
  const auto token = json::Slice::trusted(incoming.message.id).as_string();
  const auto handle = shared_.world.sealer.open(mcp::HandleKind::server_request, token.value_or(""),
                                                incoming.context.principal, shared_.wall());
  if (!handle) {
    ++shared_.counters.refused;
    mcp::RpcError error{
        mcp::code::invalid_request, "Invalid Request: no request with this id waits for a response.", {}};
    co_await answer_error(incoming.exchange, 400, {}, std::move(error));
    co_return;
  }
  if (shared_.is_own(*handle)) {
    take_response(incoming.message, *handle);
    co_await answer_empty(incoming.exchange, 202);
    co_return;
  }
  const bool forwarded = co_await forward_to_owner(shared_, *handle, incoming);
  // The question was lost with its task, and so was its call.
  if (!forwarded) co_await answer_empty(incoming.exchange, 202);
}

/// A response that comes too late is dropped: its call has ended another way.
void LegacyEdge::take_response(const Message& message, const mcp::Handle& handle) {
  const std::size_t colon = handle.local.find(':');
  const auto session = sessions_.find_key(handle.local.substr(0, colon));
  if (!session || colon == std::string::npos) return;
  sessions_.touch(*session);
  std::uint64_t number = 0;
  std::from_chars(handle.local.data() + colon + 1, handle.local.data() + handle.local.size(), number);
  const auto question = session->questions.extract(number);
  if (question.empty()) return;
  if (const auto& answer = question.mapped().answer) {
    return answer(message.result.exists() ? std::string(message.result.text())
                                          : fmt::format(R"({{"error":{}}})", message.error.text()));
  }
  if (const auto call = question.mapped().call.lock()) {
    call->answer(question.mapped().key, message.result, message.error);
  }
}

std::optional<std::string> LegacyEdge::answer_here(const Message& message, Session* session) {
  switch (message.known) {
    case Method::ping: return mcp::write_result(message.id, "{}");
    case Method::logging_set_level: return set_level(message, session);
    case Method::resources_subscribe:
    case Method::resources_unsubscribe: return watch(message, session);
    case Method::initialize:
      return mcp::write_error(
          message.id,
          {mcp::code::invalid_request, "Invalid Request: initialize cannot be part of a batch.", {}});
    case Method::discover:
    case Method::listen:
      return mcp::write_error(message.id, {mcp::code::method_not_found,
                                           fmt::format("Method not found: {} needs the _meta of revision {}.",
                                                       message.method, mcp::modern_version),
                                           {}});
    default: return std::nullopt;
  }
}

std::string LegacyEdge::set_level(const Message& message, Session* session) {
  const auto level = mcp::parse_logging_level(message.params.find("level").as_string().value_or(""));
  if (!level) {
    return mcp::write_error(message.id,
                            {mcp::code::invalid_params,
                             "Invalid params: level must be one of debug, info, notice, warning, error, "
                             "critical, alert, emergency.",
                             {}});
  }
  if (session != nullptr) {
    session->log_level = level;
    session->has_set_level = true;
    shared_.world.host.want_level(*session->caller, *level);
    sessions_.changed(*session);
  }
  return mcp::write_result(message.id, "{}");
}

std::string LegacyEdge::watch(const Message& message, Session* session) {
  const auto refuse = [&](int code, std::string why) {
    return mcp::write_error(message.id, {code, std::move(why), {}});
  };
  if (session == nullptr)
    return refuse(mcp::code::invalid_request, "Invalid Request: subscriptions need a session.");
  if (!session->server_can("resources", "subscribe")) {
    return refuse(mcp::code::method_not_found,
                  "Method not found: the server offers no resource subscriptions.");
  }
  const auto uri = message.params.find("uri").as_string();
  if (!uri) return refuse(mcp::code::invalid_params, "Invalid params: uri must be a string.");
  if (message.known == Method::resources_unsubscribe) {
    end_watch(shared_, *session, *uri);
    sessions_.changed(*session);
  } else if (uri->size() > mcp::watched_uri_bytes_max) {
    return refuse(mcp::code::invalid_params,
                  fmt::format("Invalid params: uri has more than {} bytes.", mcp::watched_uri_bytes_max));
  } else if (session->watched_bytes + uri->size() > mcp::watched_uris_bytes_max &&
             !session->watched.contains(*uri)) {
    return refuse(mcp::code::server_error, fmt::format("The URIs this session subscribes to have {} bytes.",
                                                       mcp::watched_uris_bytes_max));
  } else if (session->watched.size() >= watched_max && !session->watched.contains(*uri)) {
    return refuse(mcp::code::server_error,
                  fmt::format("This session already subscribes to {} resources.", watched_max));
  } else if (session->watched.contains(*uri)) {
    // Nothing to add.
  } else if (!session->memory.grow(watch_bytes(*uri))) {
    return refuse(mcp::code::server_error, refusal_of_memory(session->memory).error.message);
  } else {
    session->watched.insert(*uri);
    session->watched_bytes += uri->size();
    shared_.watch(*session->caller, *uri);
    sessions_.changed(*session);
  }
  return mcp::write_result(message.id, "{}");
}

/// The server's own error, if it refuses the watch that has just begun.
Task<std::optional<std::string>> LegacyEdge::refused_watch(const Message& message,
                                                           std::shared_ptr<Session> session) {
  const auto uri = message.params.find("uri").as_string();
  if (!uri || !session->watched.contains(*uri)) co_return std::nullopt;
  const auto refusal = co_await shared_.world.host.watch_refusal(*session->caller, *uri);
  if (!refusal) co_return std::nullopt;
  end_watch(shared_, *session, *uri);
  sessions_.changed(*session);
  co_return mcp::write_error(message.id, *refusal);
}

std::shared_ptr<EventStream> LegacyEdge::open_stream(const Incoming& incoming,
                                                     const std::shared_ptr<Session>& session) {
  const std::size_t unread_bytes_max = shared_.world.limits.stream_buffer_bytes_max;
  auto memory = incoming.memory.sibling(MemoryAccount::Kind::answer);
  if (!session) return std::make_shared<EventStream>(0, nullptr, unread_bytes_max, std::move(memory), false);
  session->prune();
  const std::uint64_t number = session->next_stream++;
  auto stream =
      std::make_shared<EventStream>(number, session->log, unread_bytes_max, std::move(memory), false);
  session->streams[number] = stream;
  return stream;
}

void LegacyEdge::begin_call(const Incoming& incoming, const Message& message, const mcp::RequestParts& parts,
                            const std::shared_ptr<Session>& session, EventStream& stream) {
  auto caller = session ? session->caller : std::make_shared<const mcp::Caller>(sessionless_caller(incoming));
  const auto level = session ? session->log_level : mcp::LoggingLevel::info;
  const auto call = std::make_shared<LegacyCall>(shared_, session, std::move(caller), stream,
                                                 incoming.memory.sibling(MemoryAccount::Kind::request),
                                                 message, parts, level);
  if (std::string own = own_trace_parent(incoming.context); !own.empty()) call->trace_as(std::move(own));
  stream.add_call(call);
  call->start();
}

Task<void> LegacyEdge::request(const Incoming& incoming, std::shared_ptr<Session> session) {
  auto here = answer_here(incoming.message, session.get());
  if (here) {
    const bool may_be_refused = session && incoming.message.known == Method::resources_subscribe;
    std::optional<std::string> refusal;
    if (may_be_refused) refusal = co_await refused_watch(incoming.message, session);
    co_await answer_json(incoming.exchange, 200, refusal ? *std::move(refusal) : *std::move(here));
    co_return;
  }
  if (!shared_.facts.era(mcp::Era::legacy)) {
    const mcp::Caller caller = session ? *session->caller : sessionless_caller(incoming);
    co_await shared_.learn(caller);
  }
  auto stream = open_stream(incoming, session);
  StreamReader reader(shared_, stream);
  begin_call(incoming, incoming.message, incoming.parts, session, *stream);
  stream->seal();
  co_await answer(incoming, std::move(session), std::move(stream), reader, false);
}

Task<void> LegacyEdge::answer(const Incoming& incoming, std::shared_ptr<Session> session,
                              std::shared_ptr<EventStream> stream, StreamReader& reader, bool is_batch) {
  co_await pump(shared_, incoming.exchange, stream, reader, session.get(), is_batch);
  if (!session) co_return;
  sessions_.touch(*session);
  if (!stream->is_unread() || reader.is_ending() || session->by_use == nullptr) co_return;
  session->unread.insert(stream->number());
  sessions_.changed(*session);
}

Task<void> LegacyEdge::batch(const Incoming& incoming, json::Slice array) {
  ++shared_.counters.legacy_requests;
  Found found = co_await find_session(incoming);
  if (found.answered) co_return;
  const std::string_view version = found.session
                                       ? std::string_view(found.session->caller->protocol_version)
                                       : incoming.headers.protocol_version.value_or(assumed_version);
  if (version > assumed_version) {
    ++shared_.counters.refused;
    mcp::RpcError error{
        mcp::code::invalid_request,
        fmt::format("Invalid Request: revision {} has no batches; send one message per POST.", version),
        {}};
    co_await answer_error(incoming.exchange, 400, {}, std::move(error));
    co_return;
  }
  auto stream = open_stream(incoming, found.session);
  StreamReader reader(shared_, stream);
  bool has_requests = false;
  for (json::Elements elements(array); elements.next();) {
    const auto message = mcp::read_message(elements.value());
    if (!message) continue;
    if (message->kind == Message::Kind::notification) {
      take_notification(*message, found.session.get(), incoming.context.principal);
    } else if (message->kind == Message::Kind::response) {
      const auto token = json::Slice::trusted(message->id).as_string();
      const auto handle = shared_.world.sealer.open(mcp::HandleKind::server_request, token.value_or(""),
                                                    incoming.context.principal, shared_.wall());
      if (handle && shared_.is_own(*handle)) take_response(*message, *handle);
    } else if (auto here = answer_here(*message, found.session.get())) {
      has_requests = true;
      stream->add_response(*std::move(here), 200, {});
    } else {
      has_requests = true;
      begin_call(incoming, *message, mcp::split_params(message->params), found.session, *stream);
    }
  }
  if (!has_requests) {
    stream->close();
    co_await answer_empty(incoming.exchange, 202);
    co_return;
  }
  stream->seal();
  co_await answer(incoming, std::move(found.session), std::move(stream), reader, true);
}

Task<void> LegacyEdge::get(const Incoming& incoming) {
  if (!incoming.headers.session_id) {
    co_await answer_not_allowed(incoming.exchange, "POST");
    co_return;
  }
  if (!mcp::accepts(incoming.headers, "text/event-stream")) {
    mcp::RpcError error{
        mcp::code::server_error, "Not Acceptable: GET answers with text/event-stream only.", {}};
    co_await answer_error(incoming.exchange, 406, {}, std::move(error));
    co_return;
  }
  Found found = co_await find_session(incoming);
  if (found.answered) co_return;
  const auto place = co_await admit_stream(shared_, incoming);
  if (!place) co_return;
  if (incoming.headers.last_event_id) {
    co_await resume(incoming, std::move(found.session));
    co_return;
  }
  auto stream = found.session->standalone;
  found.session->standalone_was_open = true;
  StreamReader reader(shared_, stream);
  stream->skip_to_now();
  outside_.look_again();
  co_await answer(incoming, std::move(found.session), std::move(stream), reader, false);
}

Task<void> LegacyEdge::resume(const Incoming& incoming, std::shared_ptr<Session> session) {
  auto event = read_event_id(shared_, *session, *incoming.headers.last_event_id);
  const bool is_own = event && event->life == shared_.world.identity.generation;
  std::shared_ptr<EventStream> stream;
  if (!event) {
    // Whatever is wrong with it.
  } else if (event->stream == 0) {
    stream = session->standalone;
    session->standalone_was_open = true;
  } else if (session->streams.contains(event->stream)) {
    stream = session->streams[event->stream];
  } else if (session->log->has_answer(event->stream)) {
    stream = std::make_shared<EventStream>(event->stream, session->log,
                                           shared_.world.limits.stream_buffer_bytes_max,
                                           incoming.memory.sibling(MemoryAccount::Kind::answer), false);
    stream->set_requests(event->requests);
    stream->close();
  } else if (!event->requests.empty()) {
    co_return co_await end_requests(incoming, event->requests, is_own);
  }
  if (!stream) {
    mcp::RpcError error{mcp::code::invalid_request,
                        "Invalid Request: nothing is kept that comes after this Last-Event-ID.",
                        {}};
    co_await answer_error(incoming.exchange, 400, {}, std::move(error));
    co_return;
  }
  StreamReader reader(shared_, stream);
  stream->require_stream();
  stream->rewind(event->sequence);
  session->unread.erase(event->stream);
  if (event->stream == 0 && !is_own) announce_anew(*session);
  outside_.look_again();
  co_await answer(incoming, std::move(session), std::move(stream), reader, false);
}

/// A client that comes back for answers which are not here any more gets an error for each instead: it would
/// wait for them until its own patience ends.
Task<void> LegacyEdge::end_requests(const Incoming& incoming, std::string ids, bool is_own) {
  SseStream out(shared_, incoming.exchange);
  bool open = co_await out.open();
  const mcp::RpcError error =
      mcp::unknown_end(is_own ? "Its answer is not kept any more." : lost_task_sentence);
  ids = "[" + ids + "]";
  for (json::Elements each(json::Slice::trusted(ids)); open && each.next();) {
    const std::string text = mcp::write_error(each.value().text(), error);
    open = co_await out.message(text);
  }
  if (open) co_await out.finish();
}

/// What changed while no task held the session, nobody has told its client.
void LegacyEdge::announce_anew(const Session& session) {
  const auto announce = [&](mcp::Change change) {
    session.standalone->add_message(mcp::legacy_notification(change));
  };
  using Kind = mcp::Change::Kind;
  if (session.server_can("tools", "listChanged"))
    announce({.kind = Kind::tools_list, .uri = {}, .principal = {}});
  if (session.server_can("prompts", "listChanged"))
    announce({.kind = Kind::prompts_list, .uri = {}, .principal = {}});
  if (session.server_can("resources", "listChanged"))
    announce({.kind = Kind::resources_list, .uri = {}, .principal = {}});
  for (const std::string& uri : session.watched)
    announce({.kind = Kind::resource_updated, .uri = uri, .principal = {}});
}

Task<void> LegacyEdge::remove(const Incoming& incoming) {
  if (!incoming.headers.session_id) {
    co_await answer_not_allowed(incoming.exchange, "POST");
    co_return;
  }
  const Found found = co_await find_session(incoming);
  if (found.answered) co_return;
  sessions_.remove(found.session);
  shared_.world.records.flush();
  co_await answer_empty(incoming.exchange, 204);
}

}  // namespace berth::task::edge
