#include "net/testing/memory_network.h"

#include <boost/asio/post.hpp>
#include <set>

#include "base/signal.h"

namespace berth::net::testing {

namespace {

constexpr std::size_t buffer_bytes_max = 64 * 1024;
constexpr std::size_t backlog_max = 128;

/// One direction of a link.
struct Pipe {
  explicit Pipe(Executor executor) : readable(executor), writable(executor) {}
  std::string buffer;
  bool ended = false;   ///< the writer will write no more
  bool broken = false;  ///< the reader will read no more
  Signal readable;
  Signal writable;
};

/// What the two ends share; it lives as long as the longer-lived end.
struct Link : std::enable_shared_from_this<Link> {
  explicit Link(Executor e) : executor(e), pipes{Pipe(e), Pipe(e)} {}

  /// Calls the watcher of the end that reads pipe `index`, unless the watch is cancelled meanwhile.
  void tell_watcher(std::size_t index) {
    if (!watches[index]) return;
    asio::post(executor, [self = shared_from_this(), index] {
      if (const auto callback = std::exchange(self->watches[index], nullptr)) callback();
    });
  }

  void end(std::size_t index) {
    Pipe& pipe = pipes[index];
    pipe.ended = true;
    pipe.readable.notify();
    if (pipe.buffer.empty()) tell_watcher(index);
  }

  void reset() {
    was_reset = true;
    for (std::size_t index : {0u, 1u}) {
      pipes[index].readable.notify();
      pipes[index].writable.notify();
      tell_watcher(index);
    }
  }

  Executor executor;
  Pipe pipes[2];
  std::function<void()> watches[2];
  bool was_reset = false;
};

class MemoryStream final : public Stream {
 public:
  MemoryStream(Clock& clock, std::shared_ptr<Link> link, std::size_t side, Endpoint local, Endpoint remote)
      : clock_(clock),
        link_(std::move(link)),
        side_(side),
        local_(std::move(local)),
        remote_(std::move(remote)) {}
  ~MemoryStream() override { close(); }

  Task<Result<std::size_t>> read_some(std::span<char> into) override {
    const std::shared_ptr<Link> link = link_;
    Pipe& pipe = link->pipes[side_];
    link->watches[side_] = nullptr;
    while (true) {
      if (const auto error = failure("reading from")) co_return Failure(*error);
      if (!pipe.buffer.empty()) {
        const std::size_t count = pipe.buffer.copy(into.data(), into.size());
        pipe.buffer.erase(0, count);
        pipe.writable.notify();
        co_return count;
      }
      if (pipe.ended) co_return std::size_t{0};
      if (past_deadline()) co_return Failure(deadline_error("reading from"));
      co_await pipe.readable.wait();
    }
  }

  Task<Result<void>> write(std::string_view data) override { return write(data, {}); }

  Task<Result<void>> write(std::string_view first, std::string_view second) override {
    const std::shared_ptr<Link> link = link_;
    Pipe& pipe = link->pipes[1 - side_];
    while (!first.empty() || !second.empty()) {
      if (const auto error = failure("writing to")) co_return Failure(*error);
      if (pipe.broken || pipe.ended) {
        co_return fail(ErrorCode::unavailable, "writing to " + to_string(remote_) + ": the peer has closed");
      }
      std::string_view& part = first.empty() ? second : first;
      const std::size_t count = std::min(buffer_bytes_max - pipe.buffer.size(), part.size());
      if (count > 0) {
        pipe.buffer += part.substr(0, count);
        part.remove_prefix(count);
        link->watches[1 - side_] = nullptr;
        pipe.readable.notify();
        continue;
      }
      if (past_deadline()) {
        close();
        co_return Failure(deadline_error("writing to"));
      }
      co_await pipe.writable.wait();
    }
    co_return Result<void>();
  }

  void close_write() override { link_->end(1 - side_); }

  void close() override {
    if (std::exchange(closed_, true)) return;
    timer_.reset();
    link_->watches[side_] = nullptr;
    link_->pipes[side_].broken = true;
    link_->pipes[side_].readable.notify();
    link_->pipes[side_].writable.notify();
    link_->pipes[1 - side_].writable.notify();
    link_->end(1 - side_);
  }

  void set_deadline(std::optional<TimePoint> when) override {
    deadline_ = when;
    if (!when || closed_) return timer_.reset();
    if (!timer_) timer_ = clock_.make_timer();
    timer_->arm(*when, [this] {
      link_->pipes[side_].readable.notify();
      link_->pipes[1 - side_].writable.notify();
    });
  }

  bool quiet() override {
    const Pipe& pipe = link_->pipes[side_];
    return !closed_ && pipe.buffer.empty() && !pipe.ended && !link_->was_reset;
  }

  void watch_peer_close(std::function<void()> callback) override {
    if (closed_) return;
    link_->watches[side_] = std::move(callback);
    const Pipe& pipe = link_->pipes[side_];
    if ((pipe.ended && pipe.buffer.empty()) || link_->was_reset) link_->tell_watcher(side_);
    if (!pipe.buffer.empty()) link_->watches[side_] = nullptr;
  }

  Endpoint local() const override { return local_; }
  Endpoint remote() const override { return remote_; }

 private:
  bool past_deadline() const { return deadline_ && *deadline_ <= clock_.now(); }

  Error deadline_error(std::string_view verb) const {
    return Error(ErrorCode::deadline_exceeded,
                 std::string(verb) + " " + to_string(remote_) + ": the deadline has passed");
  }

  std::optional<Error> failure(std::string_view verb) const {
    const std::string what = std::string(verb) + " " + to_string(remote_);
    if (closed_) return Error(ErrorCode::cancelled, what + ": the stream was closed on this side");
    if (link_->was_reset) return Error(ErrorCode::unavailable, what + ": connection reset by peer");
    return std::nullopt;
  }

  Clock& clock_;
  std::shared_ptr<Link> link_;
  std::size_t side_;  ///< reads pipe `side_`, writes the other
  Endpoint local_;
  Endpoint remote_;
  std::optional<TimePoint> deadline_;
  std::unique_ptr<Timer> timer_;
  bool closed_ = false;
};

using StreamPair = std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>>;

StreamPair make_linked(Clock& clock, const std::shared_ptr<Link>& link, const Endpoint& first,
                       const Endpoint& second) {
  return {std::make_unique<MemoryStream>(clock, link, 0, first, second),
          std::make_unique<MemoryStream>(clock, link, 1, second, first)};
}

/// Outlives its listener: connections and the network refer to it.
struct Port {
  explicit Port(Executor executor) : arrived(executor) {}
  Queue<std::unique_ptr<Stream>> arrived;
  std::vector<std::weak_ptr<Link>> links;
  bool open = true;
};

class MemoryListener final : public Listener {
 public:
  MemoryListener(std::shared_ptr<Port> port, Endpoint local)
      : port_(std::move(port)), local_(std::move(local)) {}
  ~MemoryListener() override { close(); }

  Task<Result<std::unique_ptr<Stream>>> accept() override {
    const std::shared_ptr<Port> port = port_;
    if (port->open || !port->arrived.empty()) {
      std::unique_ptr<Stream> stream = co_await port->arrived.pop();
      if (stream) co_return stream;
    }
    co_return fail(ErrorCode::cancelled, "accepting on " + to_string(local_) + ": the listener is closed");
  }

  Endpoint local() const override { return local_; }

  void close() override {
    if (std::exchange(port_->open, false)) port_->arrived.push(nullptr);
  }

 private:
  std::shared_ptr<Port> port_;
  Endpoint local_;
};

class MemoryNetworkImpl final : public MemoryNetwork {
 public:
  explicit MemoryNetworkImpl(Clock& clock) : clock_(clock) {}

  Result<std::unique_ptr<Listener>> listen(const Endpoint& asked, PortSharing) override {
    Endpoint endpoint = asked;
    if (endpoint.port == 0 && !endpoint.is_unix()) endpoint.port = next_port_++;
    if (find(endpoint) != nullptr) {
      return fail(ErrorCode::conflict, "port " + std::to_string(endpoint.port) + " on " + endpoint.host +
                                           " is in use by another process; stop it or choose another port");
    }
    auto port = std::make_shared<Port>(clock_.executor());
    ports_[endpoint] = port;
    return std::make_unique<MemoryListener>(std::move(port), endpoint);
  }

  Task<Result<std::unique_ptr<Stream>>> connect(const Endpoint& endpoint, TimePoint) override {
    return connected(make_connection(endpoint));
  }

  void cut(const Endpoint& endpoint) override {
    cut_.insert(endpoint);
    const auto port = find(endpoint);
    if (!port) return;
    for (const auto& link : std::exchange(port->links, {})) {
      if (const auto alive = link.lock()) alive->reset();
    }
  }

  void heal(const Endpoint& endpoint) override { cut_.erase(endpoint); }
  Clock& clock() override { return clock_; }

 private:
  static Task<Result<std::unique_ptr<Stream>>> connected(Result<std::unique_ptr<Stream>> outcome) {
    co_return outcome;
  }

  Result<std::unique_ptr<Stream>> make_connection(const Endpoint& endpoint) {
    const auto port = find(endpoint);
    if (!port || cut_.contains(endpoint) || port->arrived.size() >= backlog_max) {
      return fail(ErrorCode::unavailable, "connecting to " + to_string(endpoint) + ": nobody listens there");
    }
    auto link = std::make_shared<Link>(clock_.executor());
    std::erase_if(port->links, [](const auto& other) { return other.expired(); });
    port->links.push_back(link);
    auto [client, server] = make_linked(clock_, link, Endpoint{"127.0.0.1", next_port_++}, endpoint);
    port->arrived.push(std::move(server));
    return std::move(client);
  }

  /// Who listens there: on that very address, or on every address.
  std::shared_ptr<Port> find(const Endpoint& endpoint) {
    for (const std::string& host : {endpoint.host, std::string("0.0.0.0"), std::string("::")}) {
      const auto found = ports_.find(Endpoint{host, endpoint.port});
      if (found != ports_.end() && found->second->open) return found->second;
    }
    return nullptr;
  }

  Clock& clock_;
  std::map<Endpoint, std::shared_ptr<Port>> ports_;
  std::set<Endpoint> cut_;
  std::uint16_t next_port_ = 40'000;
};

}  // namespace

StreamPair make_stream_pair(Clock& clock) {
  const auto link = std::make_shared<Link>(clock.executor());
  return make_linked(clock, link, Endpoint{"127.0.0.1", 1}, Endpoint{"127.0.0.1", 2});
}

std::unique_ptr<MemoryNetwork> make_memory_network(Clock& clock) {
  return std::make_unique<MemoryNetworkImpl>(clock);
}

}  // namespace berth::net::testing
