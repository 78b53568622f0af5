#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>

namespace berth {

/// Wakes one waiting coroutine. `notify` before `wait` is remembered (once). Not thread-safe: one loop.
class Signal {
 public:
  explicit Signal(boost::asio::io_context::executor_type executor);
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  /// Wakes the waiter from the event loop (never inside this call).
  void notify();

  /// Resumes once notified, and clears the notification. One waiter at a time. Cancellable, also between
  /// notify() and the resumption that it posts: then it unwinds, and the notification stays.
  boost::asio::awaitable<void, boost::asio::io_context::executor_type> wait();

 private:
  struct Waiter;
  void complete(bool cancelled);

  boost::asio::io_context::executor_type executor_;
  std::unique_ptr<Waiter> waiter_;
  bool notified_ = false;
};

/// A queue with one consumer on one event loop: callbacks push, a coroutine pops. The producer bounds it:
/// `size()` tells, and every use names its limit.
template <class T>
class Queue {
 public:
  explicit Queue(boost::asio::io_context::executor_type executor) : ready_(executor) {}

  void push(T item) {
    items_.push_back(std::move(item));
    ready_.notify();
  }

  boost::asio::awaitable<T, boost::asio::io_context::executor_type> pop() {
    while (items_.empty()) co_await ready_.wait();
    T item = std::move(items_.front());
    items_.pop_front();
    co_return item;
  }

  /// What is there now, without waiting.
  std::optional<T> try_pop() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  std::size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }

 private:
  std::deque<T> items_;
  Signal ready_;
};

}  // namespace berth
