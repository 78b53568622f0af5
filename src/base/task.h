#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "base/signal.h"

namespace berth {

namespace asio = boost::asio;

/// Every coroutine runs on one io_context, single-threaded; the executor's concrete type (rather than
/// any_io_executor) makes each await cheaper and each translation unit quicker to compile.
using Executor = asio::io_context::executor_type;

template <class T = void>
using Task = asio::awaitable<T, Executor>;

inline constexpr asio::use_awaitable_t<Executor> use_task{};

/// Owns the coroutines it spawns. The LAST member of its owner, so that what the coroutines use outlives
/// them. Stop with `cancel()` and then `co_await join()`; the destructor checks that nothing runs.
/// Cancellation unwinds a coroutine in the await where it is, or else at its next one, and is swallowed here:
/// what a cancelled coroutine waited for may have happened already, its code after the await does not run.
/// Any other exception that leaves a spawned coroutine is a bug and aborts.
class TaskScope {
 public:
  explicit TaskScope(Executor executor);
  ~TaskScope();
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

  /// Starts `task` from the event loop, never inside this call. Parameters of the coroutine must be
  /// values, or references to what outlives the scope. After cancel() the task starts cancelled.
  void spawn(Task<void> task);

  /// Asks every running coroutine to unwind; returns at once.
  void cancel();

  /// Resumes when nothing runs any more. One joiner at a time. A joiner that is cancelled meanwhile unwinds,
  /// but not before that.
  Task<void> join();

  std::size_t size() const { return running_; }
  Executor executor() const { return executor_; }

 private:
  struct Child;
  static Task<void> supervise(Task<void> task, Child& child);
  static void cancel(Child& child);
  Executor executor_;
  std::list<std::shared_ptr<Child>> children_;
  std::size_t running_ = 0;
  bool cancelled_ = false;
  Signal idle_;
};

/// Lets other work run: a step through the event loop. Cancellable, as every await is to be: one that Asio
/// makes by itself (use_task) needs unwind_if_cancelled() after it.
Task<void> step(Executor executor);

/// Ends a coroutine that was cancelled between the end of its await and its resumption.
Task<void> unwind_if_cancelled();

}  // namespace berth
