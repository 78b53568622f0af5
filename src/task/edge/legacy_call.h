#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mcp/core.h"
#include "mcp/legacy.h"
#include "mcp/message.h"
#include "task/edge/event_stream.h"
#include "task/edge/shared.h"

namespace berth::task::edge {

struct Session;

/// One legacy request on its way to the server. Driven by callbacks alone: it outlives the POST that began it
/// when the client may come back for the answer. An input_required outcome becomes real requests to the
/// client on this call's stream; when all are answered the call goes on.
class LegacyCall final : public mcp::CallObserver,
                         public Waiter,
                         public std::enable_shared_from_this<LegacyCall> {
 public:
  /// `session` empty: a client without a session, which cannot be asked. `stream` owns this call. `memory`
  /// counts what it keeps of the request.
  LegacyCall(Shared& shared, std::weak_ptr<Session> session, std::shared_ptr<const mcp::Caller> caller,
             EventStream& stream, MemoryAccount::Charge memory, const mcp::Message& message,
             const mcp::RequestParts& parts, std::optional<mcp::LoggingLevel> log_level);
  ~LegacyCall();

  /// The traceparent that the server is told instead of the client's; before start().
  void trace_as(std::string traceparent) { trace_parent_ = std::move(traceparent); }
  void start();
  /// The client's answer to what was asked under `key`: the value of `result`, or an error object.
  void answer(std::string_view key, json::Slice result, json::Slice error);
  /// The client does not want it any more: cancels it at the server, which is told why (`reason` empty: the
  /// client did not say), and nothing more is said.
  void cancel(std::string_view reason = {});
  /// Ends it with an error.
  void fail(mcp::RpcError error);
  const std::string& id() const { return id_; }
  bool has_ended() const { return ended_; }

  void on_notification(mcp::Notification notification) override;
  void on_outcome(mcp::Outcome outcome) override;
  void on_tick(TimePoint now) override;
  void on_cut() override {}

 private:
  struct Asked {
    mcp::InputRequest request;
    std::string response;  ///< JSON text; empty while unanswered
  };
  mcp::Call call() const;
  /// The era in which the server answers it.
  mcp::Era spoken() const { return shared_.facts.era(mcp::Era::legacy).value_or(mcp::Era::legacy); }
  void ask(mcp::InputRequired input);
  void send_questions(Session& session);
  void go_on();
  void run_again();
  void start_soon(void (LegacyCall::*begin)());
  bool may_start_again() const;
  bool note_state(const mcp::Outcome& outcome);
  void tell_of_loss(std::string& result);
  void note_tools(const std::string& result) const;
  void forget_request();
  void refuse_to_ask(std::string_view why);
  void finish(std::string json, int status, std::optional<std::int64_t> retry_after_s);

  Shared& shared_;
  std::weak_ptr<Session> session_;
  std::shared_ptr<const mcp::Caller> caller_;
  EventStream& stream_;
  std::string id_;
  std::string method_;
  mcp::Method known_;
  std::string params_;
  MemoryAccount::Charge memory_;
  std::string progress_token_;
  std::string trace_parent_;
  std::optional<mcp::LoggingLevel> log_level_;
  double last_progress_;
  TimePoint started_;
  // questions under way
  std::size_t rounds_ = 0;
  bool owned_ = false;
  std::string state_;
  std::string responses_;
  std::vector<Asked> asked_;
  TimePoint ask_deadline_{};
  bool has_run_again_ = false;
  bool ended_ = false;
  std::unique_ptr<Timer> soon_;
  std::unique_ptr<mcp::ActiveCall> active_;
};

}  // namespace berth::task::edge
