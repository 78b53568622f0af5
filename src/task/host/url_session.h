#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "task/host/upstream.h"
#include "task/host/url_wire.h"

namespace berth::task::host {

/// One session with a legacy upstream (2025-03-26 … 2025-11-25): initialized once, with a stream for what
/// the server says outside calls, until it is lost or closed. Shared by the calls of one pool.
class UrlSession : public std::enable_shared_from_this<UrlSession> {
 public:
  struct World {
    const model::ServerSpec& spec;
    Upstream& upstream;
    Branches& branches;
    Clock& clock;
    Log& log;
    std::int64_t& next_number;
    std::function<void(const UrlSession&, mcp::Change)> on_change;
    /// A question on the session's own stream.
    std::function<void(UrlSession&, const Message&)> on_question;
    /// A notification there that announces no change.
    std::function<void(const UrlSession&, const Message&)> on_notification;
    std::function<void(const UrlSession&, const std::string& uri,
                       const std::optional<mcp::RpcError>& refusal)>
        on_watch_answered;
  };
  UrlSession(World world, PoolKey key) : world_(world), key_(std::move(key)) {}

  enum class State : std::uint8_t { opening, ready, failed };
  State state() const { return state_; }
  const PoolKey& key() const { return key_; }
  const mcp::ServerDescription& description() const { return description_; }
  const Error& failure() const { return *failure_; }

  /// Starts the handshake.
  void open();
  /// Resumes once it is over, one way or the other.
  Task<void> opened();

  /// Fields of every request in this session.
  void add_headers(http::Headers& headers) const;
  /// Sends a message nobody waits for an answer to; failures are logged. Kept in order with others.
  void post(std::string message) { post_and_hear(std::move(message), {}); }
  /// Sends logging/setLevel when this is more verbose than before.
  void want_level(mcp::LoggingLevel level);
  void watch(std::set<std::string> uris);
  /// Whether the upstream was asked to watch it and has not answered.
  bool is_subscribing(const std::string& uri) const { return subscribing_.contains(uri); }
  /// Ends it: DELETE, where the server gave an id. `quietly`: it is gone already.
  enum class Goodbye : std::uint8_t { polite, quietly };
  static Task<void> close(std::shared_ptr<UrlSession> self, Goodbye goodbye);

  std::uint64_t number = 0;  ///< among the host's
  std::size_t calls = 0;     ///< under way or parked
  bool is_called = false;    ///< has had one
  TimePoint used_at;

 private:
  static Task<void> handshake(std::shared_ptr<UrlSession> self);
  Task<Result<void>> initialize();
  static Task<void> write_posts(std::shared_ptr<UrlSession> self);
  static Task<void> read_stream(std::shared_ptr<UrlSession> self);
  void take(const std::string& text);
  void write_subscription(std::string_view method, const std::string& uri);
  void post_and_hear(std::string message, std::string watched_uri);

  World world_;
  PoolKey key_;
  State state_ = State::opening;
  std::optional<Error> failure_;
  std::string id_;
  std::string version_;
  mcp::ServerDescription description_;
  bool can_log_ = false;
  bool can_subscribe_ = false;
  bool closed_ = false;
  std::optional<mcp::LoggingLevel> level_;
  std::set<std::string> watched_;
  std::list<Signal*> waiters_;
  struct Post {
    std::string message;
    std::string watched_uri;  ///< of resources/subscribe, whose answer is wanted
  };
  std::list<Post> posts_;
  std::set<std::string> subscribing_;
  bool posting_ = false;
  std::shared_ptr<Branches::Branch> stream_;
};

}  // namespace berth::task::host
