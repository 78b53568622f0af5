#include "net/socket_stream.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <string>
#include <utility>

#include "net/socket_address.h"

namespace berth::net {

namespace {

/// After that many reads without a wait the reader lets others run.
constexpr int immediate_reads_max = 32;

enum class Kind : std::uint8_t { socket, pipe_reader, pipe_writer };

class KernelStream final : public Stream {
 public:
  KernelStream(std::unique_ptr<Pollable> file, Endpoint remote, Kind kind)
      : file_(std::move(file)), remote_(std::move(remote)), kind_(kind) {}

  Task<Result<std::size_t>> read_some(std::span<char> into) override {
    if (kind_ == Kind::pipe_writer) co_return std::size_t{0};
    while (true) {
      // After a short read the kernel is known to have no more: asking it again would be wasted.
      if (!drained_) {
        const auto count = receive(into);
        if (count >= 0) {
          drained_ = count > 0 && static_cast<std::size_t>(count) < into.size();
          if (++immediate_reads_ >= immediate_reads_max) {
            immediate_reads_ = 0;
            co_await file_->yield();
          }
          co_return static_cast<std::size_t>(count);
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return Failure(failure(errno, "reading from"));
      }
      const Wake wake = co_await file_->wait(Direction::read);
      if (wake != Wake::ready) co_return co_await file_->failed_wait(wake, about("reading from"));
      drained_ = false;
      immediate_reads_ = 0;
    }
  }

  Task<Result<void>> write(std::string_view data) override { return write(data, {}); }

  Task<Result<void>> write(std::string_view first, std::string_view second) override {
    while (!first.empty() || !second.empty()) {
      const auto count = send(first, second);
      if (count >= 0) {
        const auto sent = static_cast<std::size_t>(count);
        const std::size_t of_first = std::min(sent, first.size());
        first.remove_prefix(of_first);
        second.remove_prefix(sent - of_first);
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return Failure(failure(errno, "writing to"));
      const Wake wake = co_await file_->wait(Direction::write);
      if (wake != Wake::ready) co_return co_await file_->failed_wait(wake, about("writing to"));
    }
    co_return Result<void>();
  }

  void close_write() override {
    if (kind_ == Kind::socket) ::shutdown(file_->descriptor(), SHUT_WR);
    if (kind_ == Kind::pipe_writer) file_->close();
  }

  void close() override { file_->close(); }
  void set_deadline(std::optional<TimePoint> when) override { file_->set_deadline(when); }

  void watch_peer_close(std::function<void()> callback) override {
    if (kind_ == Kind::socket) file_->watch_peer_close(std::move(callback));
  }

  bool quiet() override { return kind_ != Kind::socket || file_->peek() == PeerState::quiet; }

  std::size_t unread() const override {
    int count = 0;
    if (kind_ != Kind::pipe_writer || file_->closed()) return 0;
    if (::ioctl(file_->descriptor(), FIONREAD, &count) != 0) return 0;
    return static_cast<std::size_t>(count);
  }

  Endpoint local() const override {
    return kind_ == Kind::socket ? local_endpoint(file_->descriptor()) : Endpoint{};
  }
  Endpoint remote() const override { return remote_; }

  std::unique_ptr<Pollable> take() {
    if (kind_ != Kind::socket || file_->closed()) return nullptr;
    const int descriptor = file_->release();
    return std::make_unique<Pollable>(file_->clock(), descriptor);
  }

 private:
  /// The calls for sockets cost less than those for any file.
  ssize_t receive(std::span<char> into) const {
    if (kind_ == Kind::socket) return ::recv(file_->descriptor(), into.data(), into.size(), 0);
    return ::read(file_->descriptor(), into.data(), into.size());
  }

  ssize_t send(std::string_view first, std::string_view second) const {
    const std::string_view only = second.empty() ? first : second;
    if (kind_ == Kind::socket && (first.empty() || second.empty())) {
      return ::send(file_->descriptor(), only.data(), only.size(), MSG_NOSIGNAL);
    }
    const std::array<iovec, 2> parts{iovec{const_cast<char*>(first.data()), first.size()},
                                     iovec{const_cast<char*>(second.data()), second.size()}};
    return ::writev(file_->descriptor(), parts.data(), second.empty() ? 1 : 2);
  }

  std::string about(std::string_view verb) const {
    return std::string(verb) + " " + (kind_ == Kind::socket ? to_string(remote_) : std::string("a pipe"));
  }

  Error failure(int number, std::string_view verb) const {
    if (file_->closed()) return file_->failure(Wake::closed, about(verb));
    return errno_error(number, about(verb));
  }

  std::unique_ptr<Pollable> file_;
  Endpoint remote_;
  Kind kind_;
  bool drained_ = false;
  int immediate_reads_ = 0;
};

}  // namespace

std::unique_ptr<Stream> make_socket_stream(std::unique_ptr<Pollable> socket, Endpoint remote) {
  return std::make_unique<KernelStream>(std::move(socket), std::move(remote), Kind::socket);
}

std::unique_ptr<Stream> make_pipe_stream(Clock& clock, int descriptor, Direction direction) {
  return std::make_unique<KernelStream>(std::make_unique<Pollable>(clock, descriptor), Endpoint{},
                                        direction == Direction::read ? Kind::pipe_reader : Kind::pipe_writer);
}

std::unique_ptr<Pollable> take_socket(Stream& stream) {
  auto* const kernel = dynamic_cast<KernelStream*>(&stream);
  return kernel == nullptr ? nullptr : kernel->take();
}

Endpoint local_endpoint(int descriptor) {
  SocketAddress address;
  if (::getsockname(descriptor, address.data(), &address.length) != 0) return {};
  return to_endpoint(address);
}

void ignore_broken_pipes() {
  static std::once_flag once;
  std::call_once(once, [] { std::signal(SIGPIPE, SIG_IGN); });
}

}  // namespace berth::net
