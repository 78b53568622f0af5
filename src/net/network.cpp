#include "net/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <string>
#include <utility>

#include "net/pollable.h"
#include "net/socket_address.h"
#include "net/socket_stream.h"

namespace berth::net {

namespace {

constexpr int listen_backlog = 4096;

/// Socket addresses are views of one storage under several types; the copies keep that well defined.
template <class T>
T view_as(const SocketAddress& address) {
  T out{};
  std::memcpy(&out, &address.storage, sizeof(T));
  return out;
}

template <class T>
SocketAddress make_address(const T& value, std::size_t length = sizeof(T)) {
  SocketAddress address;
  std::memcpy(&address.storage, &value, sizeof(T));
  address.length = static_cast<socklen_t>(length);
  return address;
}

void set_option(int descriptor, int level, int name, int value) {
  // Options only tune the socket; a kernel that refuses one leaves a working socket.
  ::setsockopt(descriptor, level, name, &value, sizeof(value));
}

Result<int> open_socket(const SocketAddress& address) {
  const int descriptor = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    const int number = errno;
    if (number == EMFILE || number == ENFILE) {
      return fail(ErrorCode::resource_exhausted,
                  "no file descriptor is left for a socket; raise the limit with ulimit -n");
    }
    return Failure(errno_error(number, "opening a socket"));
  }
  if (address.storage.ss_family != AF_UNIX) set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  return descriptor;
}

Error listen_error(int number, const Endpoint& endpoint) {
  const std::string shown = to_string(endpoint);
  if (number == EADDRINUSE) {
    if (endpoint.is_unix()) return Error(ErrorCode::conflict, shown + " is in use by another process");
    return Error(ErrorCode::conflict, "port " + std::to_string(endpoint.port) + " on " + endpoint.host +
                                          " is in use by another process; stop it or choose another port");
  }
  if (number == EACCES && !endpoint.is_unix()) {
    return Error(ErrorCode::permission_denied,
                 "port " + std::to_string(endpoint.port) + " on " + endpoint.host +
                     " needs privileges that this process does not have; choose a port from 1024 up");
  }
  if (number == EADDRNOTAVAIL) {
    return Error(
        ErrorCode::invalid_argument,
        endpoint.host + " is not an address of this machine; listen on 127.0.0.1 or on one of its own");
  }
  return errno_error(number, "listening on " + shown);
}

/// Whether a Unix socket file is left over from a process that has gone.
bool is_stale(const SocketAddress& address) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool refused = ::connect(probe, address.data(), address.length) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

int bind_and_listen(int descriptor, const Endpoint& endpoint, const SocketAddress& address) {
  if (endpoint.is_unix()) ::fchmod(descriptor, S_IRUSR | S_IWUSR);
  int outcome = ::bind(descriptor, address.data(), address.length);
  if (outcome != 0 && errno == EADDRINUSE && endpoint.is_unix() && is_stale(address)) {
    ::unlink(endpoint.host.c_str() + 5);
    outcome = ::bind(descriptor, address.data(), address.length);
  }
  if (outcome == 0) outcome = ::listen(descriptor, listen_backlog);
  return outcome == 0 ? 0 : errno;
}

class KernelListener final : public Listener {
 public:
  KernelListener(Clock& clock, int descriptor, Endpoint local)
      : socket_(clock, descriptor), local_(std::move(local)) {}
  ~KernelListener() override { close(); }

  Task<Result<std::unique_ptr<Stream>>> accept() override {
    while (true) {
      if (!left_.empty()) {
        auto stream = std::move(left_.front());
        left_.pop_front();
        co_return stream;
      }
      if (auto stream = take()) co_return stream;
      const std::string what = "accepting on " + to_string(local_);
      if (socket_.closed()) co_return Failure(socket_.failure(Wake::closed, what));
      // A connection that its client has given up already is not the listener's failure (accept(2)).
      if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
      if (errno != EAGAIN) co_return Failure(errno_error(errno, what));
      const Wake wake = co_await socket_.wait(Direction::read);
      if (wake == Wake::closed && !left_.empty()) continue;
      if (wake != Wake::ready) co_return co_await socket_.failed_wait(wake, what);
    }
  }

  Endpoint local() const override { return local_; }

  void close() override {
    if (socket_.closed()) return;
    while (auto stream = take()) left_.push_back(std::move(stream));
    socket_.close();
    if (local_.is_unix()) ::unlink(local_.host.c_str() + 5);
  }

 private:
  /// A connection of the kernel's queue; null, and errno, where there is none.
  std::unique_ptr<Stream> take() {
    SocketAddress peer;
    const int descriptor =
        ::accept4(socket_.descriptor(), peer.data(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return nullptr;
    if (!local_.is_unix()) set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    auto socket = std::make_unique<Pollable>(socket_.clock(), descriptor);
    return make_socket_stream(std::move(socket), to_endpoint(peer));
  }

  Pollable socket_;
  Endpoint local_;
  std::deque<std::unique_ptr<Stream>> left_;  ///< that nobody has taken when it was closed
};

Error connect_error(int number, const Endpoint& endpoint) {
  const std::string what = "connecting to " + to_string(endpoint);
  // No such socket file, or nobody behind it: nobody listens, as with a refused TCP connection.
  if (number == ENOENT || number == ECONNREFUSED || number == EAGAIN) {
    return Error(ErrorCode::unavailable, what + ": nobody listens there");
  }
  if (number == ETIMEDOUT) return Error(ErrorCode::unavailable, what + ": no answer");
  return errno_error(number, what);
}

class KernelNetwork final : public Network {
 public:
  explicit KernelNetwork(Clock& clock) : clock_(clock) {}

  Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint, PortSharing sharing) override {
    const auto address = to_address(endpoint);
    if (!address) return Failure(address.error());
    const auto descriptor = open_socket(*address);
    if (!descriptor) return Failure(descriptor.error());
    if (!endpoint.is_unix()) set_option(*descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    if (sharing == PortSharing::further) set_option(*descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
    if (const int number = bind_and_listen(*descriptor, endpoint, *address); number != 0) {
      ::close(*descriptor);
      return Failure(listen_error(number, endpoint));
    }
    // Only once it listens alone: of two that bind at the same time, the kernel lets one listen.
    if (sharing == PortSharing::first) set_option(*descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
    return std::make_unique<KernelListener>(clock_, *descriptor,
                                            endpoint.is_unix() ? endpoint : local_endpoint(*descriptor));
  }

  Task<Result<std::unique_ptr<Stream>>> connect(const Endpoint& endpoint, TimePoint deadline) override {
    return connect_to(clock_, endpoint, deadline);
  }

  Clock& clock() override { return clock_; }

  std::size_t descriptors_max() const override {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return Network::descriptors_max();
    return files.rlim_cur;
  }

 private:
  /// Takes the endpoint by value: the caller's may be gone by the time the connection stands.
  static Task<Result<std::unique_ptr<Stream>>> connect_to(Clock& clock, Endpoint endpoint,
                                                          TimePoint deadline) {
    const auto address = to_address(endpoint);
    if (!address) co_return Failure(address.error());
    const auto descriptor = open_socket(*address);
    if (!descriptor) co_return Failure(descriptor.error());
    auto socket = std::make_unique<Pollable>(clock, *descriptor);
    socket->set_deadline(deadline);
    if (::connect(*descriptor, address->data(), address->length) != 0) {
      if (errno != EINPROGRESS) co_return Failure(connect_error(errno, endpoint));
      const Wake wake = co_await socket->wait(Direction::write);
      if (wake != Wake::ready)
        co_return co_await socket->failed_wait(wake, "connecting to " + to_string(endpoint));
      int number = 0;
      socklen_t length = sizeof(number);
      ::getsockopt(*descriptor, SOL_SOCKET, SO_ERROR, &number, &length);
      if (number != 0) co_return Failure(connect_error(number, endpoint));
    }
    socket->set_deadline(std::nullopt);
    co_return make_socket_stream(std::move(socket), std::move(endpoint));
  }

  Clock& clock_;
};

}  // namespace

namespace {

/// The folder of `path`, open, so that /proc/self/fd leads there.
Result<std::shared_ptr<const int>> open_folder(const std::string& path) {
  const int folder = ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return Failure(errno_error(errno, "opening the folder " + path));
  return std::shared_ptr<const int>(new int(folder), [](const int* number) {
    ::close(*number);
    delete number;
  });
}

Result<SocketAddress> to_unix_address(std::string path) {
  sockaddr_un unix_address{};
  unix_address.sun_family = AF_UNIX;
  std::shared_ptr<const int> folder;
  if (path.size() >= sizeof(unix_address.sun_path)) {
    const std::size_t slash = path.rfind('/');
    const bool has_folder = slash != std::string::npos && slash > 0;
    auto opened = open_folder(has_folder ? path.substr(0, slash) : std::string("."));
    if (!opened) return Failure(opened.error());
    folder = std::move(*opened);
    path = "/proc/self/fd/" + std::to_string(*folder) + "/" + (has_folder ? path.substr(slash + 1) : path);
  }
  if (path.empty() || path.size() >= sizeof(unix_address.sun_path)) {
    return fail(ErrorCode::invalid_argument, "the socket name '" + path + "' has " +
                                                 std::to_string(path.size()) +
                                                 " bytes and must have 1 to 107; give it a shorter one");
  }
  path.copy(unix_address.sun_path, path.size());
  SocketAddress address = make_address(unix_address, offsetof(sockaddr_un, sun_path) + path.size() + 1);
  address.folder = std::move(folder);
  return address;
}

}  // namespace

Result<SocketAddress> to_address(const Endpoint& endpoint) {
  if (endpoint.is_unix()) return to_unix_address(endpoint.host.substr(5));
  sockaddr_in v4{};
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    return make_address(v4);
  }
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET6, endpoint.host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    return make_address(v6);
  }
  return fail(ErrorCode::invalid_argument,
              "'" + endpoint.host + "' is not a numeric IP address; write one such as 127.0.0.1 or ::1");
}

Endpoint to_endpoint(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.storage.ss_family == AF_INET) {
    const auto v4 = view_as<sockaddr_in>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return Endpoint{text, ntohs(v4.sin_port)};
  }
  if (address.storage.ss_family == AF_INET6) {
    const auto v6 = view_as<sockaddr_in6>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
    return Endpoint{text, ntohs(v6.sin6_port)};
  }
  const auto unix_address = view_as<sockaddr_un>(address);
  return Endpoint{"unix:" + std::string(static_cast<const char*>(unix_address.sun_path)), 0};
}

std::unique_ptr<Network> make_network(Clock& clock) {
  ignore_broken_pipes();
  return std::make_unique<KernelNetwork>(clock);
}

}  // namespace berth::net
