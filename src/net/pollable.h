#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/deferred.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"

namespace berth::net {

enum class Direction : std::uint8_t { read, write };

/// What a look at an unread stream tells of its peer.
enum class PeerState : std::uint8_t { quiet, has_sent, gone };

/// Why a wait for readiness ended.
enum class Wake : std::uint8_t { ready, closed, expired, cancelled };

/// A non-blocking descriptor with waits for readiness, one deadline and a watch for the peer's end: what
/// kernel streams, listeners, TLS and pipes are made of. At most one wait a direction; a wait ends before
/// the Pollable is destroyed. Internal to net/ (its header needs Asio).
class Pollable {
 public:
  /// Takes the descriptor over and makes it non-blocking.
  Pollable(Clock& clock, int descriptor);
  ~Pollable();
  Pollable(const Pollable&) = delete;
  Pollable& operator=(const Pollable&) = delete;

  int descriptor() const;  ///< -1 once closed
  Clock& clock() const;
  bool closed() const;

  /// Await it: resumes with a Wake once the descriptor may be ready again. Call only after the kernel has
  /// answered EAGAIN or a short count.
  auto wait(Direction direction) {
    auto initiate = [this, direction](auto handler) {
      auto slot = asio::get_associated_cancellation_slot(handler);
      if (slot.is_connected()) {
        slot.assign([this, direction](asio::cancellation_type) { interrupt(direction, Wake::cancelled); });
      }
      auto resume = [handler = std::move(handler)](Wake wake) mutable {
        auto connected = asio::get_associated_cancellation_slot(handler);
        if (connected.is_connected()) connected.clear();
        std::move(handler)(wake);
      };
      start_wait(direction, std::make_unique<WaiterOf<decltype(resume)>>(std::move(resume)));
    };
    return asio::async_initiate<const asio::deferred_t, void(Wake)>(std::move(initiate), asio::deferred);
  }

  /// The callback form of one wait for readability; dropped when closed. For descriptors that nobody reads
  /// with wait() or watches (a pidfd).
  void on_readable(std::function<void()> callback);

  /// Lets other work run: a step through the event loop. For loops whose reads never have to wait.
  Task<void> yield();

  /// The failure that a Wake other than `ready` stands for. Throws the cancellation when the coroutine was
  /// cancelled (it unwinds; it is no error value).
  Error failure(Wake wake, std::string_view what) const;
  /// The same after a wait: the cancellation may have come after the end of the wait was posted.
  Task<Failure> failed_wait(Wake wake, std::string what) const;

  void close();
  /// See Stream::set_deadline.
  void set_deadline(std::optional<TimePoint> when);
  void watch_peer_close(std::function<void()> callback);
  /// How a watch looks at the peer when something has arrived; by default, a peek at the socket.
  void set_probe(std::function<PeerState()> probe);
  PeerState peek() const;

  /// Gives the descriptor away; this object is closed afterwards. No wait may be under way.
  int release();

 private:
  struct Waiter {
    virtual ~Waiter() = default;
    virtual void resume(Wake wake) = 0;
  };
  template <class F>
  struct WaiterOf final : Waiter {
    explicit WaiterOf(F f) : function(std::move(f)) {}
    void resume(Wake wake) override { function(wake); }
    F function;
  };
  struct State;

  void start_wait(Direction direction, std::unique_ptr<Waiter> waiter);
  void interrupt(Direction direction, Wake wake);

  std::shared_ptr<State> state_;
};

}  // namespace berth::net
