#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "task/edge/adoption.h"
#include "task/edge/modern_edge.h"
#include "task/edge/outside.h"
#include "task/edge/session.h"

namespace berth::task::edge {

/// Answers clients of 2024-11-05 … 2025-11-25: sessions, streams, requests to the client. A session belongs
/// to the task that its sealed id names, or that has taken it over since; a request that arrives elsewhere is
/// forwarded there. A client that sends no session id is served request by request.
class LegacyEdge {
 public:
  explicit LegacyEdge(Shared& shared)
      : shared_(shared), sessions_(shared), adoption_(shared, sessions_), outside_(shared, sessions_) {}

  /// One posted message.
  Task<void> message(const Incoming& incoming);
  /// A posted JSON-RPC batch (2025-03-26 and older only), already checked.
  Task<void> batch(const Incoming& incoming, json::Slice array);
  /// The standalone stream, or the rest of a broken one (Last-Event-ID).
  Task<void> get(const Incoming& incoming);
  /// DELETE: the client ends its session.
  Task<void> remove(const Incoming& incoming);

  /// What the server asks outside every call.
  void ask(OutsideQuestion question) { outside_.ask(std::move(question)); }

  SessionTable& sessions() { return sessions_; }
  const SessionTable& sessions() const { return sessions_; }
  const Adoption& adoption() const { return adoption_; }

 private:
  /// `answered`: the request has been forwarded or refused. `session` null otherwise: the client has none.
  using Found = Adoption::Found;
  Task<Found> find_session(const Incoming& incoming);
  bool is_still_ours(Session& session) const;
  bool has_lost_its_process(const Session& session) const;
  Task<bool> check_version(const Incoming& incoming);

  Task<void> initialize(const Incoming& incoming);
  Task<void> request(const Incoming& incoming, std::shared_ptr<Session> session);
  Task<void> response(const Incoming& incoming);
  void take_response(const mcp::Message& message, const mcp::Handle& handle);
  void take_notification(const mcp::Message& message, Session* session, const std::string& principal);

  /// The answer to a request that needs no server; nullopt: it does.
  std::optional<std::string> answer_here(const mcp::Message& message, Session* session);
  std::string set_level(const mcp::Message& message, Session* session);
  Task<std::optional<std::string>> refused_watch(const mcp::Message& message,
                                                 std::shared_ptr<Session> session);
  std::string watch(const mcp::Message& message, Session* session);

  std::shared_ptr<EventStream> open_stream(const Incoming& incoming, const std::shared_ptr<Session>& session);
  void begin_call(const Incoming& incoming, const mcp::Message& message, const mcp::RequestParts& parts,
                  const std::shared_ptr<Session>& session, EventStream& stream);
  Task<void> answer(const Incoming& incoming, std::shared_ptr<Session> session,
                    std::shared_ptr<EventStream> stream, StreamReader& reader, bool is_batch);
  Task<void> resume(const Incoming& incoming, std::shared_ptr<Session> session);
  Task<void> end_requests(const Incoming& incoming, std::string ids, bool is_own);
  static void announce_anew(const Session& session);

  Shared& shared_;
  SessionTable sessions_;
  Adoption adoption_;
  OutsideQuestions outside_;
};

}  // namespace berth::task::edge
