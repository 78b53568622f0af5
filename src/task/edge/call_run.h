#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/signal.h"
#include "http/service.h"
#include "mcp/core.h"
#include "task/edge/shared.h"

namespace berth::task::edge {

/// One modern call under way: what its server says is kept here until the coroutine that answers the client
/// takes it. A call whose outcome comes inside start() suspends nowhere and arms nothing.
class CallRun final : public mcp::CallObserver, public Waiter {
 public:
  /// `memory` is of the caller: what waits to be sent is counted beside it.
  CallRun(Shared& shared, http::Exchange& exchange, const MemoryAccount::Charge& memory);

  void start(const mcp::Call& call);
  /// Once more, instead of the outcome there is.
  void start_again(const mcp::Call& call);
  /// Returns when there is something to do: a notification, the outcome, silence, or the end.
  Task<void> wait();

  std::vector<mcp::Notification> take_notifications();
  bool has_outcome() const { return outcome_.has_value(); }
  const mcp::Outcome& outcome() const { return *outcome_; }
  mcp::Outcome take_outcome() { return *std::move(outcome_); }
  /// The client has left.
  bool is_gone() const { return gone_; }
  bool is_cut() const { return cut_; }
  /// True once after `interval` without a write.
  bool take_silence() { return std::exchange(silent_, false); }
  void note_write(TimePoint when, Duration next_silence);

  void on_notification(mcp::Notification notification) override;
  void on_outcome(mcp::Outcome outcome) override;
  void on_tick(TimePoint now) override;
  void on_cut() override;

 private:
  bool has_news() const;

  Shared& shared_;
  http::Exchange& exchange_;
  Signal wake_;
  std::vector<mcp::Notification> notifications_;
  std::size_t pending_bytes_ = 0;
  std::size_t taken_bytes_ = 0;  ///< of notifications taken last, which are being sent
  MemoryAccount::Charge memory_;
  std::optional<mcp::Outcome> outcome_;
  TimePoint last_write_;
  Duration silence_ = silent_answer_max;
  bool watching_ = false;
  bool gone_ = false;
  bool cut_ = false;
  bool silent_ = false;
  std::unique_ptr<mcp::ActiveCall> active_;
};

}  // namespace berth::task::edge
