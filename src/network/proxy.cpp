#include "network/proxy.h"

#include <utility>

#include "network/session.h"

namespace berth::network {

namespace {

constexpr Duration handshake_max = std::chrono::seconds(10);
/// How soon accepting is tried again when there are too many connections or too few descriptors.
constexpr Duration accept_pause = std::chrono::milliseconds(20);

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
    if (session_) proxy_.sessions_.erase(session_);
    --proxy_.open_;
    proxy_.context_.options.connections->fetch_sub(1, std::memory_order_relaxed);
    if (proxy_.context_.draining) proxy_.changed_.notify();
  }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  void begin(Session& session) {
    session_ = &session;
    proxy_.sessions_.insert(session_);
  }

 private:
  Proxy& proxy_;
  Session* session_ = nullptr;
};

Proxy::Proxy(ProxyOptions options, net::Network& network, Log& log)
    : context_(std::move(options), network, log),
      changed_(network.clock().executor()),
      scope_(network.clock().executor()) {}

Proxy::~Proxy() = default;

void Proxy::serve(std::unique_ptr<net::Listener> listener, std::shared_ptr<net::TlsContext> tls) {
  doors_.push_back(std::make_unique<Door>(Door{std::move(listener), std::move(tls)}));
  scope_.spawn(accept_all(*doors_.back()));
}

void Proxy::set_tls(std::shared_ptr<net::TlsContext> tls) {
  for (const auto& door : doors_) {
    if (door->tls) door->tls = tls;
  }
}

Task<void> Proxy::accept_all(Door& door) {
  std::atomic<std::size_t>& connections = *context_.options.connections;
  while (!context_.draining) {
    if (connections.load(std::memory_order_relaxed) >= context_.options.connections_max) {
      co_await context_.clock.sleep_for(accept_pause);
      continue;
    }
    auto accepted = co_await door.listener->accept();
    if (accepted) {
      connections.fetch_add(1, std::memory_order_relaxed);
      scope_.spawn(serve_connection(std::move(*accepted), door.tls));
      continue;
    }
    if (accepted.error().code() == ErrorCode::cancelled) co_return;
    context_.log.warning("accept_failed", {{"listener", net::to_string(door.listener->local())},
                                           {"problem", accepted.error().message()}});
    co_await context_.clock.sleep_for(accept_pause);
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
  registration.begin(*session);
  co_await session->run();
}

void Proxy::close_idle() {
  for (Session* const session : sessions_) {
    if (session->idle()) session->cut();
  }
}

Task<std::size_t> Proxy::drain(TimePoint deadline) {
  context_.draining = true;
  for (const auto& door : doors_) door->listener->close();
  close_idle();
  const auto timer = context_.clock.make_timer();
  bool expired = false;
  timer->arm(deadline, [this, &expired] {
    expired = true;
    changed_.notify();
  });
  while (open_ > 0 && !expired) co_await changed_.wait();
  timer->cancel();
  std::size_t cut = 0;
  for (Session* const session : sessions_) {
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
