#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "network/loop_context.h"

namespace berth::network {

/// One client connection: reads request heads, hands each request to a target and relays the answer, until
/// either side ends. Requests that were pipelined wait in the buffer and are answered in order.
class Session : public std::enable_shared_from_this<Session> {
 public:
  /// `local` is the listener's end; `scheme` "http" or "https".
  Session(LoopContext& loop, TaskScope& scope, std::unique_ptr<net::Stream> client, std::string_view scheme);
  ~Session();

  /// Returns when the connection has ended.
  Task<void> run();

  bool exchanging() const { return exchanging_; }
  /// Ends the connection at once, whatever it is doing.
  void cut();

 private:
  friend class LoopContext;
  enum class After : std::uint8_t { next_request, close };
  /// How an attempt to get an answer ended.
  enum class Relay : std::uint8_t {
    complete,   ///< the step is done; at the end: the whole answer was passed on
    retry,      ///< the target never saw the request; another connection may
    no_answer,  ///< nothing was passed on; own_status_ says what to answer
    broken,     ///< the answer broke off, or the client has gone
  };
  class InFlight;
  class Presence;

  // session.cpp: requests
  http1::HeadStatus parse_head();
  void set_idle(bool idle);
  void prepare_read();
  Task<void> end_of_requests(Result<std::size_t> read);
  Task<void> refuse(http1::HeadStatus status);
  Task<After> exchange();
  void prepare_request();
  Task<Relay> attempt();
  Task<After> finish(Relay relay);
  Task<void> answer_error(int status, std::string message, bool keep_alive);
  Task<void> linger();
  Task<void> end_upload();
  void count_own_answer(int status);
  void count_disconnect();
  void log_request();

  // exchange.cpp: one request and its answer
  Task<Relay> hand_over();
  Task<bool> connect();
  bool pick_target();
  void leave_target();
  void move_on();
  void on_connect_error(const Error& error);
  void count_retry();
  Task<Relay> relay_answer(ByteBuffer& buffer);
  Task<Relay> await_head(ByteBuffer& buffer);
  Task<Relay> relay_body(ByteBuffer& buffer);
  Task<Result<void>> pass_on(std::string_view head, std::string_view body);
  Relay without_answer(const Result<std::size_t>& read, bool nothing_came);
  bool may_repeat() const;
  void mark_repeated();
  void note_failure(int status, std::string message);
  Relay malformed_answer();
  Relay broken_answer();
  Relay client_left();
  void count_broken_answer();
  void note_answer();
  Result<std::string_view> next_part(ByteBuffer& buffer);
  void start_upload();
  static Task<void> upload(std::shared_ptr<Session> self);
  Task<void> upload_rest();
  void end_upload_with(int status, std::string message);
  void watch_client();

  LoopContext& loop_;
  TaskScope& scope_;
  std::unique_ptr<net::Stream> client_;
  std::string client_address_;
  std::string listener_port_;
  std::string_view scheme_;

  ByteBuffer in_;
  std::size_t parse_at_ = 0;  ///< bytes at which an incomplete head is looked at again in any case
  std::size_t scanned_ = 0;   ///< bytes already searched for the end of the head
  TimePoint head_deadline_;
  bool idle_ = false;
  std::list<Session*>::iterator place_;  ///< in the loop's list of those that are idle or busy
  bool exchanging_ = false;

  // The request being answered. Views in request_ hold until more of the body is read.
  http1::HeadView request_;
  std::string problem_;
  std::string target_head_;      ///< the head as the target gets it
  std::string_view first_part_;  ///< of the body: what came with the head
  BodyFlow request_body_;
  bool head_only_ = false;
  bool http10_ = false;
  bool keep_alive_ = false;
  bool safe_method_ = false;
  std::string logged_;  ///< "METHOD path", only when the log wants it
  TimePoint started_;

  // Its target.
  std::shared_ptr<Upstream> upstream_;
  std::unique_ptr<net::Stream> target_;
  bool reused_ = false;
  bool fresh_only_ = false;
  std::vector<std::uint64_t> tried_;
  std::size_t attempts_ = 0;
  int own_status_ = 0;
  std::string own_message_;
  bool is_repeated_ = false;  ///< a target was lost that may have run it

  // The answer.
  http1::HeadView answer_;
  std::string answer_head_;
  BodyFlow answer_body_;
  std::string decoded_;
  int answered_status_ = 0;
  TimePoint answered_at_;  ///< the head of the answer came
  bool client_keeps_ = false;
  bool target_keeps_ = false;

  // The client meanwhile.
  bool client_gone_ = false;
  bool watching_ = false;
  std::optional<std::size_t> unwatched_index_;  ///< in LoopContext's list
  TimePoint watch_after_;
  bool uploading_ = false;
  bool uploaded_ = false;         ///< there was an upload for this request
  bool keeps_upload_ = false;     ///< the body is short enough to be kept for another target
  std::string kept_body_;         ///< all of it so far, then
  bool awaiting_client_ = false;  ///< the upload waits for bytes
  bool discarding_ = false;       ///< the rest of the request body goes nowhere
  std::optional<TimePoint> linger_until_;
  Signal upload_done_;
};

}  // namespace berth::network
