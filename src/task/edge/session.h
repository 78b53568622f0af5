#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "task/edge/event_stream.h"
#include "task/edge/legacy_call.h"
#include "task/edge/shared.h"

namespace berth::task::edge {

/// What an initialize left behind in this task.
struct Session {
  explicit Session(MemoryAccount::Charge counted) : memory(std::move(counted)) {}

  MemoryAccount::Charge memory;  ///< of what it keeps, replay log and streams apart
  std::string key;               ///< secret name in this task; Caller::session of its calls
  std::string token;             ///< the sealed Mcp-Session-Id
  std::shared_ptr<const mcp::Caller> caller;
  std::string server_capabilities = "{}";
  /// Until the client sets one: what a server says of itself at normal verbosity.
  std::optional<mcp::LoggingLevel> log_level = mcp::LoggingLevel::info;
  bool has_set_level = false;     ///< the client has asked for logs
  KeptState state;                ///< the next result says if it was lost, be it with its task
  std::uint64_t losses_seen = 0;  ///< PeerForwarder::losses() when it was surely this task's
  std::set<std::string> watched;
  std::size_t watched_bytes = 0;  ///< of the URIs in `watched`
  std::shared_ptr<ReplayLog> log;
  std::shared_ptr<EventStream> standalone;
  bool standalone_was_open = false;
  std::map<std::uint64_t, std::shared_ptr<EventStream>> streams;  ///< of POSTs
  std::uint64_t next_stream = 1;
  /// Of the streams of POSTs, those whose reader left (EventStream::is_unread).
  std::set<std::uint64_t> unread;
  /// Asked of the client for a call, or outside calls for whom `answer` tells (OutsideQuestion).
  struct Question {
    std::weak_ptr<LegacyCall> call;
    std::string key;  ///< among the call's
    std::function<void(std::string_view response)> answer;
  };
  std::map<std::uint64_t, Question> questions;
  std::uint64_t next_question = 1;
  TimePoint last_used;
  /// Its place among its principal's sessions, the one used last at the end; null once it has been removed.
  std::list<std::shared_ptr<Session>>* by_use = nullptr;
  std::list<std::shared_ptr<Session>>::iterator place;
  std::shared_ptr<void> subscription;
  std::function<void()> changed;  ///< SessionTable::changed

  /// Sends the client a request of the server's on one of its streams.
  void ask(Shared& shared, EventStream& stream, const mcp::InputRequest& request, Question question);
  /// Forgets streams that have ended and questions nobody waits for.
  void prune();
  /// A stream is being read or a call is under way.
  bool is_busy() const;
  bool server_can(std::string_view area, std::string_view flag) const;
};

/// What a session takes besides the texts it keeps of its client.
std::size_t session_bytes(std::string_view capabilities, std::string_view client_info);

/// The legacy sessions that live in this task. Idle ones end after `limits.session_idle_timeout`.
class SessionTable {
 public:
  explicit SessionTable(Shared& shared);
  ~SessionTable();

  /// A place for a session whose initialize is still under way; it counts as a session.
  class Place {
   public:
    explicit Place(SessionTable& table) : table_(table) { ++table_.places_; }
    ~Place() { --table_.places_; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    SessionTable& table_;
  };
  /// Whether there is room for one more session of `principal`. In a full table the principal that holds the
  /// most gives up the session it has not used for the longest time: clients rarely say that they leave.
  /// Sessions with a call under way stay; one that is only listened to goes for another principal's sake,
  /// and only from one that holds more than half of the table.
  bool make_room(const std::string& principal);
  /// Whether `memory` could grow by `bytes` for one more session of `principal`. A principal whose memory is
  /// mostly that of sessions gives up those it has not used for the longest time.
  bool make_room(MemoryAccount::Charge& memory, std::size_t bytes, const std::string& principal);
  /// `caller.session` is the new session's key; `memory` has grown by what the session takes.
  std::shared_ptr<Session> create(mcp::Caller caller, std::string server_capabilities,
                                  MemoryAccount::Charge memory);
  /// The same for one that another task has begun, under the id it has.
  std::shared_ptr<Session> adopt(mcp::Caller caller, std::string server_capabilities,
                                 MemoryAccount::Charge memory, std::string token);
  /// Its level or its subscriptions are others now, or it has an answer that nobody was there to read: they
  /// are kept for whoever takes it over.
  void changed(Session& session);
  /// What changed() kept, in a session that is taken over from the life `lost`.
  void restore(Session& session, std::uint64_t lost);
  /// It is used now.
  void touch(Session& session);
  /// nullptr: not here, or another principal's.
  std::shared_ptr<Session> find_token(std::string_view token, std::string_view principal) const;
  std::shared_ptr<Session> find_key(const std::string& key) const;
  /// The sessions of callers like that.
  std::vector<std::shared_ptr<Session>> served(const std::function<bool(const mcp::Caller&)>& is_for) const;
  /// Whether an initialize is under way.
  bool is_one_coming() const { return places_ > 0; }
  /// Ends a session: its calls are cancelled, its streams close, the host forgets it.
  void remove(const std::shared_ptr<Session>& session);
  /// The same here, but another task may take it over.
  void release(const std::shared_ptr<Session>& session);
  void release_all();
  std::size_t size() const { return by_key_.size(); }
  std::uint64_t expired() const { return expired_; }
  std::uint64_t displaced() const { return displaced_; }

 private:
  std::shared_ptr<Session> add(mcp::Caller caller, std::string server_capabilities,
                               MemoryAccount::Charge memory, std::string token);
  void keep_changed();
  void keep(const Session& session);
  void on_change(Session& session, const mcp::Change& change);
  static bool wants_message(const Session& session, const mcp::Notification& message);
  void arm();
  void sweep();
  using ByUse = std::list<std::shared_ptr<Session>>;  ///< the one used last at the end
  enum class Idle : std::uint8_t {
    unused,    ///< nothing uses it
    listened,  ///< at most a GET stream does
  };
  static std::shared_ptr<Session> longest_idle(const ByUse& sessions, Idle idle);
  void displace(const std::shared_ptr<Session>& session);

  Shared& shared_;
  std::unordered_map<std::string, std::shared_ptr<Session>> by_key_;
  std::map<std::string, std::weak_ptr<Session>, std::less<>> by_token_;
  std::map<std::string, ByUse> by_principal_;
  std::uint64_t expired_ = 0;
  std::uint64_t displaced_ = 0;
  std::size_t places_ = 0;
  bool armed_ = false;
  std::unique_ptr<Timer> timer_;
  std::set<std::string> changed_;  ///< keys of sessions that are to be kept
  std::unique_ptr<Timer> keep_timer_;
};

}  // namespace berth::task::edge
