#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "task/host/url_session.h"

namespace berth::task::host {

class UrlCall;

/// What a call needs of its host; everything outlives the call.
class UrlCallWorld {
 public:
  virtual ~UrlCallWorld() = default;
  virtual Task<Result<mcp::Era>> era() = 0;
  virtual Task<Result<std::shared_ptr<UrlSession>>> session(PoolKey key) = 0;
  /// A session is about to have its first call.
  virtual void first_call(UrlSession& session) = 0;
  /// The session is unknown to the upstream: the next call opens another.
  virtual void session_lost(const std::shared_ptr<UrlSession>& session) = 0;
  /// Mcp-Param-* of a tool, as far as known.
  virtual const std::vector<mcp::HeaderParam>* tool_params(std::string_view tool) = 0;
  /// Asks the upstream for its tools' schemas.
  virtual Task<void> learn_tools() = 0;
  /// The upstream answered, or could not be reached.
  virtual void reached() = 0;
  virtual void unreachable(const std::string& why) = 0;
  virtual void park(const std::shared_ptr<UrlCall>& call) = 0;
  virtual void unpark(const UrlCall& call) = 0;
  virtual void call_ended() = 0;
  /// A change of the upstream that came on a call's stream.
  virtual void announce(const PoolKey& key, mcp::Change change) = 0;

  virtual const model::ServerSpec& spec() = 0;
  virtual Upstream& upstream() = 0;
  virtual Branches& branches() = 0;
  virtual Clock& clock() = 0;
  virtual std::int64_t next_number() = 0;
};

/// One call to an HTTP upstream: POST, and what comes back on its stream. A legacy server's asks park it: the
/// stream stays open and is read on, until resume() brings the answers.
class UrlCall final : public std::enable_shared_from_this<UrlCall> {
 public:
  UrlCall(UrlCallWorld& world, const mcp::Call& call, PoolKey key, mcp::CallObserver& observer);

  void begin();
  /// The client has gone; what is parked stays.
  void abandon(std::string_view reason);
  /// The parked call goes on for a client that has asked its user.
  void resume(const mcp::Call& call, mcp::CallObserver& observer);
  /// Ends it, parked or not: with an error for its client, if it has one.
  void cut(const mcp::RpcError& error);

  /// A notification of the server's about this call, or one that can be meant for no other client.
  void take_notification(const Message& message);
  /// A question toward the user that can be meant for no other client.
  void take_question(const Message& message);
  /// Whether it may be this call that the server asks for.
  bool may_ask_for(const UrlSession& session) const;

  const UrlSession* session() const { return session_.get(); }
  bool done() const { return done_; }
  bool parked() const { return parked_; }
  std::int64_t number() const { return number_; }  ///< of calls of one host, a later one has a higher one
  /// Marks the states of parked calls among those that modern upstreams make.
  static constexpr std::string_view state_prefix = "berth-parked:";
  /// Names the parked call and its round: what InputRequired::state holds.
  std::string state() const;
  const mcp::Caller& caller() const { return caller_; }

 private:
  struct Ask {
    std::string id;
    mcp::InputRequest request;
    bool delivered = false;
  };
  enum class Step : std::uint8_t { finished, again };
  struct Refusal {
    http::ResponseHead head;
    std::string body;
  };

  static Task<void> perform(std::shared_ptr<UrlCall> self);
  Task<Step> try_modern(int attempt);
  Task<Step> try_legacy(int attempt);
  /// Sends the call and takes its answer in; an answer that is not 200 comes back instead.
  Task<std::optional<Refusal>> post(http::Headers headers, std::string body);
  Task<void> read_answer(std::unique_ptr<http::ClientResponse> response);
  Task<std::unique_ptr<http::ClientResponse>> reconnect(const MessageStream& broken);
  void take(const Message& message);
  void take_request(const Message& message);
  void settle();
  void deliver_asks();
  void answer_asks(json::Slice responses);
  void refuse_asks();
  /// As the server has answered.
  void finish_answered(mcp::Outcome outcome);
  void finish(mcp::Outcome outcome);
  void finish_refused(const Refusal& refusal);
  void fail_with(const Error& error, bool was_handed_over = false);
  void release_session();
  void arm(Duration patience);
  void on_timeout();
  void take_over(const mcp::Call& call);
  void own(const mcp::Call& call);
  void forget_request();
  mcp::Outcome read_result(json::Slice result) const;

  UrlCallWorld& world_;
  /// What the views of `call_` show: the client's own texts go with it, at any await of this call.
  struct Texts {
    std::string params;
    std::string input_responses;
    std::string request_state;
    std::string trace_parent;
  };
  Texts texts_;
  mcp::Call call_;  ///< without texts once the upstream has taken it
  const std::string method_;
  const mcp::Caller caller_;
  PoolKey key_;
  mcp::CallObserver* observer_;
  mcp::Era era_ = mcp::Era::legacy;
  std::int64_t number_ = 0;
  std::uint64_t process_ = 0;  ///< Outcome::process: the session it ran in
  bool sent_ = false;
  bool parked_ = false;
  bool done_ = false;
  std::optional<mcp::Outcome> early_;  ///< came while parked
  std::uint64_t round_ = 0;
  std::uint64_t next_ask_ = 1;
  std::vector<Ask> asks_;
  std::string undeclared_;  ///< the capabilities that it was not asked for want of
  bool gathers_ = false;    ///< asks, for a moment
  std::shared_ptr<UrlSession> session_;
  std::shared_ptr<Branches::Branch> branch_;
  std::unique_ptr<Timer> timer_;
  std::unique_ptr<Timer> gather_timer_;
};

/// The calls under way or parked.
class UrlCalls {
 public:
  void add(const std::shared_ptr<UrlCall>& call);
  std::vector<std::shared_ptr<UrlCall>> list() const;
  /// Hands what an upstream said on a session's own stream to the call that it is for. False when it may be
  /// for the session's clients, because no call is under way there.
  bool deliver(const UrlSession& session, const Message& message) const;
  /// Likewise with a question toward the user, which most servers ask there.
  enum class Asker : std::uint8_t {
    found,      ///< and asked
    ambiguous,  ///< several calls of different clients may have caused it
    none,       ///< no call is under way there that may ask
  };
  Asker ask(const UrlSession& session, const Message& question) const;

 private:
  std::vector<std::weak_ptr<UrlCall>> calls_;
};

}  // namespace berth::task::host
