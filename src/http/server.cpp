#include "http/server.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "http/connection.h"
#include "net/accept_failures.h"

namespace berth::http {

namespace {

class ServerImpl final : public Server {
 public:
  ServerImpl(std::unique_ptr<net::Listener> listener, std::shared_ptr<net::TlsContext> tls, Service& service,
             Clock& clock, Log& log, ServerLimits limits)
      : listener_(std::move(listener)),
        tls_(std::move(tls)),
        local_(listener_->local()),
        shared_{service, clock, log, limits, {}},
        failures_(clock, log, local_),
        changed_(clock.executor()),
        room_(clock.executor()),
        scope_(clock.executor()) {
    shared_.head_limits = {limits.head_bytes_max, limits.head_fields_max, limits.target_bytes_max};
    scope_.spawn(accept_all());
  }

  net::Endpoint local() const override { return local_; }
  std::size_t connections() const override { return open_; }
  void set_tls(std::shared_ptr<net::TlsContext> tls) override {
    BERTH_CHECK(tls_ && tls, "a server with TLS stays one");
    tls_ = std::move(tls);
  }

  Task<std::size_t> drain(TimePoint deadline) override {
    if (shared_.draining) {
      deadline_ = std::min(deadline_, deadline);
      changed_.notify();
      co_return 0;
    }
    shared_.draining = true;
    deadline_ = deadline;
    const TimePoint now = shared_.clock.now();
    if (deadline > now) {
      const Duration half = (deadline - now) / 2;
      const TimePoint at_least = now + std::min(shared_.limits.drain_accept, half);
      co_await wait_until_empty(std::max(at_least, now + std::min(shared_.limits.drain_grace, half)),
                                at_least);
    }
    shared_.closing = true;
    listener_->close();
    room_.notify();
    for (auto at = shared_.idle.begin(); at != shared_.idle.end();) (*at++)->end_idle_gently();
    co_await wait_until_empty(TimePoint::max(), TimePoint::min());
    const std::size_t cut = shared_.exchanges;
    scope_.cancel();
    co_await scope_.join();
    co_return cut;
  }

 private:
  /// Counts a connection from accept to close.
  class Open {
   public:
    explicit Open(ServerImpl& server) : server_(&server) { ++server.open_; }
    Open(Open&& other) noexcept : server_(std::exchange(other.server_, nullptr)) {}
    Open& operator=(Open&&) = delete;
    ~Open() {
      if (server_ == nullptr) return;
      --server_->open_;
      if (server_->wants_room_) server_->room_.notify();
      server_->changed_.notify();
    }

   private:
    ServerImpl* server_;
  };

  /// Until no connection is open, none is left of a listener that was closed, and `at_least` has come, or
  /// until `when` or the drain's deadline, which may be brought forward.
  Task<void> wait_until_empty(TimePoint when, TimePoint at_least) {
    const auto timer = shared_.clock.make_timer();
    while (true) {
      const TimePoint now = shared_.clock.now();
      const bool some_may_come = shared_.closing && accepting_;
      const TimePoint until = std::min(open_ > 0 || some_may_come ? when : at_least, deadline_);
      if (now >= until) co_return;
      timer->arm(until, [this] { changed_.notify(); });
      co_await changed_.wait();
    }
  }

  Task<void> accept_all() {
    while (true) {
      auto accepted = co_await listener_->accept();
      if (accepted) {
        co_await wait_for_room();
        scope_.spawn(converse(std::move(*accepted), Open(*this)));
      } else if (accepted.error().code() == ErrorCode::cancelled) {
        accepting_ = false;
        changed_.notify();
        co_return;
      } else {
        if (accepted.error().code() == ErrorCode::resource_exhausted) end_longest_idle();
        co_await failures_.rest(accepted.error());
      }
    }
  }

  /// At the limit, whoever has asked for nothing for the longest time makes way. Where all are being served,
  /// the connection that was just accepted waits, and those behind it in the kernel's queue.
  Task<void> wait_for_room() {
    while (open_ >= shared_.limits.connections_max && !shared_.closing) {
      end_longest_idle();
      wants_room_ = true;
      co_await room_.wait();
      wants_room_ = false;
    }
  }

  bool end_longest_idle() {
    if (shared_.idle.empty()) return false;
    shared_.idle.front()->end_idle();
    return true;
  }

  Task<void> converse(std::unique_ptr<net::Stream> stream, Open open) {
    [[maybe_unused]] const Open counted = std::move(open);
    if (tls_) {
      const TimePoint deadline = shared_.clock.now() + shared_.limits.head_timeout;
      auto secured = co_await net::tls_accept(std::move(stream), tls_, deadline);
      if (!secured) {
        shared_.log.debug("tls_handshake_failed", {{"problem", secured.error().message()}});
        co_return;
      }
      stream = std::move(*secured);
    }
    Connection connection(shared_, std::move(stream));
    co_await connection.run();
  }

  std::unique_ptr<net::Listener> listener_;
  std::shared_ptr<net::TlsContext> tls_;
  net::Endpoint local_;
  ServerShared shared_;
  net::AcceptFailures failures_;
  std::size_t open_ = 0;
  bool wants_room_ = false;  ///< an accepted connection waits for it
  TimePoint deadline_{};     ///< of the drain
  bool accepting_ = true;    ///< the listener may still hand connections over, for a while also closed
  Signal changed_;
  Signal room_;
  TaskScope scope_;
};

}  // namespace

std::unique_ptr<Server> make_server(std::unique_ptr<net::Listener> listener,
                                    std::shared_ptr<net::TlsContext> tls, Service& service, Clock& clock,
                                    Log& log, ServerLimits limits) {
  return std::make_unique<ServerImpl>(std::move(listener), std::move(tls), service, clock, log, limits);
}

}  // namespace berth::http
