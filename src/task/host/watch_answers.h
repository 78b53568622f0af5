#pragma once

#include <list>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/signal.h"
#include "task/host/capabilities.h"

namespace berth::task::host {

/// Who waits for what a server says to resources/subscribe.
class WatchAnswers {
 public:
  explicit WatchAnswers(Clock& clock) : clock_(clock) {}

  /// Resumes when answer() is called for the same pool and URI: with the server's refusal, or nothing when it
  /// agreed or stayed silent for some seconds.
  Task<std::optional<mcp::RpcError>> wait(PoolKey key, std::string uri);
  void answer(const PoolKey& key, const std::string& uri, const std::optional<mcp::RpcError>& refusal);

 private:
  class Waiter;

  Clock& clock_;
  std::list<Waiter*> waiters_;
};

}  // namespace berth::task::host
