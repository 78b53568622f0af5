#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "task/edge/event_stream.h"
#include "task/edge/legacy_call.h"
#include "task/edge/shared.h"

namespace berth::task::edge {

/// What an initialize left behind in this task.
struct Session {
  std::string key;    ///< secret name in this task; Caller::session of its calls
  std::string token;  ///< the sealed Mcp-Session-Id
  std::shared_ptr<const mcp::Caller> caller;
  std::string server_capabilities = "{}";
  /// Until the client sets one: what a server says of itself at normal verbosity.
  std::optional<mcp::LoggingLevel> log_level = mcp::LoggingLevel::info;
  std::set<std::string> watched;
  std::shared_ptr<ReplayLog> log;
  std::shared_ptr<EventStream> standalone;
  bool standalone_was_open = false;
  std::map<std::uint64_t, std::shared_ptr<EventStream>> streams;  ///< of POSTs
  std::uint64_t next_stream = 1;
  struct Question {
    std::weak_ptr<LegacyCall> call;
    std::string key;
  };
  std::map<std::uint64_t, Question> questions;
  std::uint64_t next_question = 1;
  TimePoint last_used;
  std::shared_ptr<void> subscription;

  /// Forgets streams that have ended and questions nobody waits for.
  void prune();
  /// A stream is being read or a call is under way.
  bool is_busy() const;
  bool server_can(std::string_view area, std::string_view flag) const;
};

/// The legacy sessions that live in this task. Idle ones end after `limits.session_idle_timeout`.
class SessionTable {
 public:
  explicit SessionTable(Shared& shared);
  ~SessionTable();

  bool is_full() const;
  /// `caller.session` is the new session's key.
  std::shared_ptr<Session> create(mcp::Caller caller, std::string server_capabilities);
  /// nullptr: not here, or another principal's.
  std::shared_ptr<Session> find_token(std::string_view token, std::string_view principal) const;
  std::shared_ptr<Session> find_key(const std::string& key) const;
  /// Ends a session: its calls are cancelled, its streams close, the host forgets it.
  void remove(const std::shared_ptr<Session>& session);
  void remove_all();
  std::size_t size() const { return by_key_.size(); }
  std::uint64_t expired() const { return expired_; }

 private:
  void on_change(Session& session, const mcp::Change& change);
  void arm();
  void sweep();

  Shared& shared_;
  std::unordered_map<std::string, std::shared_ptr<Session>> by_key_;
  std::map<std::string, std::weak_ptr<Session>, std::less<>> by_token_;
  std::uint64_t expired_ = 0;
  bool armed_ = false;
  std::unique_ptr<Timer> timer_;
};

}  // namespace berth::task::edge
