#include "network/proxy.h"

#include <utility>

#include "net/accept_failures.h"
#include "network/session.h"

namespace berth::network {

namespace {

constexpr Duration handshake_max = std::chrono::seconds(10);
/// How soon an accepted connection looks again whether another loop's connections have made way.
constexpr Duration room_pause = std::chrono::milliseconds(20);

}  // namespace

/// Counts a connection for as long as it is served.
class Proxy::Registration {
 public:
  explicit Registration(Proxy& proxy) : proxy_(proxy) {
    ++proxy_.open_;
    const std::lock_guard lock(proxy_.context_.mutex);
    ++proxy_.context_.counters.connections;
  }
  ~Registration() {
    --proxy_.open_;
    proxy_.context_.options.connections->fetch_sub(1, std::memory_order_relaxed);
    for (const auto& door : proxy_.doors_) {
      if (door->wants_room) door->room.notify();
    }
    if (proxy_.context_.draining) proxy_.changed_.notify();
  }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

 private:
  Proxy& proxy_;
};

Proxy::Proxy(ProxyOptions options, net::Network& network, Log& log)
    : context_(std::move(options), network, log),
      changed_(network.clock().executor()),
      scope_(network.clock().executor()) {}

Proxy::~Proxy() = default;

void Proxy::serve(std::unique_ptr<net::Listener> listener, std::shared_ptr<net::TlsContext> tls) {
  doors_.emplace_back(new Door{std::move(listener), std::move(tls), Signal(context_.clock.executor())});
  scope_.spawn(accept_all(*doors_.back()));
}

void Proxy::set_tls(std::shared_ptr<net::TlsContext> tls) {
  for (const auto& door : doors_) {
    if (door->tls) door->tls = tls;
  }
}

Task<void> Proxy::accept_all(Door& door) {
  net::AcceptFailures failures(context_.clock, context_.log, door.listener->local());
  while (!context_.draining) {
    auto accepted = co_await door.listener->accept();
    if (accepted) {
      co_await wait_for_room(door);
      context_.options.connections->fetch_add(1, std::memory_order_relaxed);
      scope_.spawn(serve_connection(std::move(*accepted), door.tls));
      continue;
    }
    if (accepted.error().code() == ErrorCode::cancelled) co_return;
    if (accepted.error().code() == ErrorCode::resource_exhausted) make_room();
    co_await failures.rest(accepted.error());
  }
}

/// At the limit, whoever has asked for nothing for the longest time makes way. Where all are being served,
/// the connection that was just accepted waits, and those behind it in the kernel's queue.
Task<void> Proxy::wait_for_room(Door& door) {
  const std::atomic<std::size_t>& connections = *context_.options.connections;
  const auto full = [&] {
    return connections.load(std::memory_order_relaxed) >= context_.options.connections_max;
  };
  if (!full()) co_return;
  const auto timer = context_.clock.make_timer();
  while (full() && !context_.draining) {
    if (!context_.end_longest_idle()) context_.options.on_full();
    timer->arm(context_.clock.now() + room_pause, [&door] { door.room.notify(); });
    door.wants_room = true;
    co_await door.room.wait();
    door.wants_room = false;
  }
}

Task<void> Proxy::serve_connection(std::unique_ptr<net::Stream> stream,
                                   std::shared_ptr<net::TlsContext> tls) {
  Registration registration(*this);
  const std::string_view scheme = tls ? "https" : "http";
  if (tls) {
    auto secured = co_await net::tls_accept(std::move(stream), tls, context_.clock.now() + handshake_max);
    if (!secured) {
      context_.log.debug("handshake_failed", {{"problem", secured.error().message()}});
      const std::lock_guard lock(context_.mutex);
      ++context_.counters.handshake_failures;
      co_return;
    }
    stream = std::move(*secured);
  }
  if (context_.draining) co_return;
  const auto session = std::make_shared<Session>(context_, scope_, std::move(stream), scheme);
  co_await session->run();
}

Task<std::size_t> Proxy::drain(TimePoint deadline) {
  context_.draining = true;
  for (const auto& door : doors_) door->listener->close();
  while (context_.end_longest_idle()) {
  }
  const auto timer = context_.clock.make_timer();
  bool expired = false;
  timer->arm(deadline, [this, &expired] {
    expired = true;
    changed_.notify();
  });
  while (open_ > 0 && !expired) co_await changed_.wait();
  timer->cancel();
  std::size_t cut = 0;
  for (Session* const session : context_.busy) {
    cut += session->exchanging() ? 1 : 0;
    session->cut();
  }
  scope_.cancel();
  co_await scope_.join();
  for (const auto& upstream : context_.upstreams) upstream->retire();
  co_return cut;
}

ProxyCounters Proxy::counters() const {
  const std::lock_guard lock(context_.mutex);
  return context_.counters;
}

std::vector<Proxy::ByTarget> Proxy::target_counters() const {
  std::vector<ByTarget> out;
  const std::lock_guard lock(context_.mutex);
  for (const auto& upstream : context_.upstreams) out.push_back({upstream->key(), upstream->counters});
  return out;
}

}  // namespace berth::network
