#include "base/task.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <iterator>
#include <vector>

#include "base/check.h"

namespace berth {

struct TaskScope::Child {
  asio::cancellation_signal signal;
  bool started = false;
  bool cancelled = false;  ///< before it started
  bool ended = false;
};

TaskScope::TaskScope(Executor executor) : executor_(executor), idle_(executor) {}

TaskScope::~TaskScope() { BERTH_CHECK(running_ == 0, "join a TaskScope before it is destroyed"); }

namespace {

/// True when the exception is the cancellation vehicle, which a scope swallows.
bool is_cancellation(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

}  // namespace

/// Runs `task` so that it never starts inside spawn() (Asio runs it there when called from the loop), and
/// so that cancelling it always ends here: Asio's own frame around this one awaits once before and once
/// after, and a cancellation that it notices there would leave through the event loop.
Task<void> TaskScope::supervise(Task<void> task, Child& child) {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, use_task);
  child.started = true;
  if (child.cancelled) child.signal.emit(asio::cancellation_type::terminal);
  std::exception_ptr failure;
  try {
    co_await std::move(task);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (failure) std::rethrow_exception(failure);
}

void TaskScope::cancel(Child& child) {
  if (child.started) {
    child.signal.emit(asio::cancellation_type::terminal);
  } else {
    child.cancelled = true;
  }
}

void TaskScope::spawn(Task<void> task) {
  children_.push_back(std::make_shared<Child>());
  const auto child = std::prev(children_.end());
  ++running_;
  auto finished = [this, child](std::exception_ptr exception) {
    if (exception && !is_cancellation(exception)) std::rethrow_exception(exception);
    // A cancellation asked for from outside the loop is on its way through the loop to this child's signal.
    (*child)->ended = true;
    if (cancelled_) asio::post(executor_, [dying = std::move(*child)] {});
    children_.erase(child);
    if (--running_ == 0) idle_.notify();
  };
  if (cancelled_) cancel(**child);
  asio::co_spawn(executor_, supervise(std::move(task), **child),
                 asio::bind_cancellation_slot((*child)->signal.slot(), std::move(finished)));
}

void TaskScope::cancel() {
  cancelled_ = true;
  // A child's handler may run inside emit() and erase it or others, so step over a copy that keeps them.
  const std::vector<std::shared_ptr<Child>> running(children_.begin(), children_.end());
  for (const auto& child : running) {
    if (!child->ended) cancel(*child);
  }
}

Task<void> TaskScope::join() {
  // Joining must finish even when the joiner itself is being cancelled: that is noted, and obeyed at the end.
  const bool obeys = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation(),
                                                     asio::disable_cancellation());
  while (running_ != 0) co_await idle_.wait();
  // Asked before the reset: the state refers to what the reset replaces.
  const auto state = co_await asio::this_coro::cancellation_state;
  const bool was_cancelled = state.cancelled() != asio::cancellation_type::none;
  co_await asio::this_coro::reset_cancellation_state();
  co_await asio::this_coro::throw_if_cancelled(obeys);
  if (obeys && was_cancelled) {
    throw boost::system::system_error(asio::error::operation_aborted);
  }
}

Task<void> step(Executor executor) {
  co_await asio::post(executor, use_task);
  co_await unwind_if_cancelled();
}

// Asio looks for a cancellation when an await begins: this one is there to begin.
Task<void> unwind_if_cancelled() { co_return; }

}  // namespace berth
