#include "net/pollable.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <string>
#include <utility>

#include "base/check.h"

namespace berth::net {

using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

/// Shared with the handlers that Asio holds, which may run after the Pollable has gone.
struct Pollable::State : std::enable_shared_from_this<State> {
  struct Side {
    bool polling = false;  ///< a readiness operation is with the reactor; kept for the next waiter
    std::unique_ptr<Waiter> waiter;
  };

  State(Clock& c, int number) : clock(c), descriptor(c.executor(), number) {
    boost::system::error_code ignored;
    descriptor.native_non_blocking(true, ignored);
  }

  Side& side(Direction direction) { return sides[static_cast<std::size_t>(direction)]; }

  void poll(Direction direction) {
    Side& polled = side(direction);
    if (polled.polling) return;
    polled.polling = true;
    const auto kind = direction == Direction::read ? Descriptor::wait_read : Descriptor::wait_write;
    descriptor.async_wait(kind, [self = shared_from_this(), direction](auto) { self->on_ready(direction); });
  }

  void on_ready(Direction direction) {
    Side& ready = side(direction);
    ready.polling = false;
    if (closed) return;
    if (ready.waiter) {
      const auto waiter = std::move(ready.waiter);
      waiter->resume(Wake::ready);
    } else if (direction == Direction::read && watch) {
      on_watched();
    }
  }

  void on_watched() {
    const PeerState peer = probe ? probe() : peek();
    if (peer == PeerState::quiet) return poll(Direction::read);
    const auto callback = std::exchange(watch, nullptr);
    if (peer == PeerState::gone && callback) callback();
  }

  PeerState peek() {
    char byte = 0;
    const auto count = ::recv(descriptor.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (count > 0) return PeerState::has_sent;
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? PeerState::quiet : PeerState::gone;
  }

  void interrupt(Direction direction, Wake wake) {
    Side& interrupted = side(direction);
    if (!interrupted.waiter) return;
    // Posted: the one who closes or cancels must not find itself inside the reader's code.
    asio::post(clock.executor(), [waiter = std::move(interrupted.waiter), wake] { waiter->resume(wake); });
  }

  void close(Wake wake) {
    if (closed) return;
    closed = true;
    expired = wake == Wake::expired;
    watch = nullptr;
    probe = nullptr;
    timer.reset();
    boost::system::error_code ignored;
    descriptor.close(ignored);
    interrupt(Direction::read, wake);
    interrupt(Direction::write, wake);
  }

  void arm_deadline() {
    if (!deadline || (armed && *armed <= *deadline)) return;
    if (!timer) timer = clock.make_timer();
    armed = deadline;
    timer->arm(*deadline, [this] { on_timer(); });
  }

  void on_timer() {
    armed.reset();
    if (!side(Direction::read).waiter && !side(Direction::write).waiter) return;
    if (deadline && *deadline <= clock.now()) return expire();
    arm_deadline();
  }

  /// A write that is cut leaves the peer with half a message, so the stream ends; after a read the owner may
  /// still write why it hangs up.
  void expire() {
    if (side(Direction::write).waiter) return close(Wake::expired);
    interrupt(Direction::read, Wake::expired);
  }

  Clock& clock;
  Descriptor descriptor;
  std::array<Side, 2> sides;
  std::function<void()> watch;
  std::function<PeerState()> probe;
  std::optional<TimePoint> deadline;
  std::optional<TimePoint> armed;
  std::unique_ptr<Timer> timer;
  bool closed = false;
  bool expired = false;
};

Pollable::Pollable(Clock& clock, int descriptor) : state_(std::make_shared<State>(clock, descriptor)) {}
Pollable::~Pollable() { state_->close(Wake::closed); }

int Pollable::descriptor() const { return state_->closed ? -1 : state_->descriptor.native_handle(); }
Clock& Pollable::clock() const { return state_->clock; }
bool Pollable::closed() const { return state_->closed; }

void Pollable::start_wait(Direction direction, std::unique_ptr<Waiter> waiter) {
  State::Side& side = state_->side(direction);
  BERTH_CHECK(!side.waiter, "a stream has one reader and one writer");
  side.waiter = std::move(waiter);
  if (state_->closed) return interrupt(direction, state_->expired ? Wake::expired : Wake::closed);
  if (state_->deadline && *state_->deadline <= state_->clock.now()) return state_->expire();
  state_->arm_deadline();
  if (direction == Direction::read) state_->watch = nullptr;
  state_->poll(direction);
}

void Pollable::interrupt(Direction direction, Wake wake) { state_->interrupt(direction, wake); }

void Pollable::on_readable(std::function<void()> callback) {
  auto resume = [callback = std::move(callback)](Wake wake) {
    if (wake == Wake::ready) callback();
  };
  start_wait(Direction::read, std::make_unique<WaiterOf<decltype(resume)>>(std::move(resume)));
}

Task<void> Pollable::yield() { co_await step(state_->clock.executor()); }

Error Pollable::failure(Wake wake, std::string_view what) const {
  if (wake == Wake::cancelled) throw boost::system::system_error(asio::error::operation_aborted);
  if (wake == Wake::expired || state_->expired) {
    return Error(ErrorCode::deadline_exceeded, std::string(what) + ": the deadline has passed");
  }
  return Error(ErrorCode::cancelled, std::string(what) + ": the stream was closed on this side");
}

Task<Failure> Pollable::failed_wait(Wake wake, std::string what) const {
  co_return Failure(failure(wake, what));
}

void Pollable::close() { state_->close(Wake::closed); }

void Pollable::set_deadline(std::optional<TimePoint> when) {
  state_->deadline = when;
  // While somebody waits, an earlier deadline must be seen by the timer; otherwise the next wait arms it.
  if (state_->side(Direction::read).waiter || state_->side(Direction::write).waiter) state_->arm_deadline();
}

void Pollable::watch_peer_close(std::function<void()> callback) {
  if (state_->closed) return;
  state_->watch = std::move(callback);
  if (state_->watch) state_->poll(Direction::read);
}

void Pollable::set_probe(std::function<PeerState()> probe) { state_->probe = std::move(probe); }

PeerState Pollable::peek() const { return state_->closed ? PeerState::gone : state_->peek(); }

int Pollable::release() {
  const int number = state_->descriptor.release();
  state_->close(Wake::closed);
  return number;
}

}  // namespace berth::net
