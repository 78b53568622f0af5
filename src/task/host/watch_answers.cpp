#include "task/host/watch_answers.h"

#include <utility>

namespace berth::task::host {

namespace {

constexpr Duration watch_patience = std::chrono::seconds(5);

}  // namespace

/// Listed as long as it lives.
class WatchAnswers::Waiter {
 public:
  Waiter(WatchAnswers& answers, PoolKey key, std::string uri)
      : answers_(answers),
        key_(std::move(key)),
        uri_(std::move(uri)),
        wake_(answers.clock_.executor()),
        timer_(answers.clock_.make_timer()) {
    answers_.waiters_.push_back(this);
    timer_->arm(answers_.clock_.now() + watch_patience, [this] { take({}); });
  }
  ~Waiter() { answers_.waiters_.remove(this); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  bool is_for(const PoolKey& key, const std::string& uri) const { return key_ == key && uri_ == uri; }
  void take(std::optional<mcp::RpcError> refusal) {
    refusal_ = std::move(refusal);
    answered_ = true;
    wake_.notify();
  }
  Task<std::optional<mcp::RpcError>> wait() {
    while (!answered_) co_await wake_.wait();
    co_return std::move(refusal_);
  }

 private:
  WatchAnswers& answers_;
  PoolKey key_;
  std::string uri_;
  bool answered_ = false;
  std::optional<mcp::RpcError> refusal_;
  Signal wake_;
  std::unique_ptr<Timer> timer_;
};

Task<std::optional<mcp::RpcError>> WatchAnswers::wait(PoolKey key, std::string uri) {
  Waiter waiter(*this, std::move(key), std::move(uri));
  auto refusal = co_await waiter.wait();
  co_return refusal;
}

void WatchAnswers::answer(const PoolKey& key, const std::string& uri,
                          const std::optional<mcp::RpcError>& refusal) {
  for (Waiter* waiter : waiters_) {
    if (waiter->is_for(key, uri)) waiter->take(refusal);
  }
}

}  // namespace berth::task::host
