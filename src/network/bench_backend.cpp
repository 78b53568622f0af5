// The cheapest HTTP backend there is: one epoll loop a thread, a fixed answer to every request. It stands
// behind the proxies that `./run bench` compares, so that what is measured is the proxy.
//   bench_backend PORT [THREADS]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

struct Connection {
  std::array<char, 16 * 1024> bytes;
  std::size_t size = 0;
};

const std::string& answer() {
  static const std::string text = [] {
    const std::string body =
        R"({"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"the quick brown fox jumps )"
        R"(over the lazy dog, and then some more text to make the body about 200 bytes long .. ....."}]}})"
        "\n";
    return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }();
  return text;
}

int listen_on(std::uint16_t port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr generic{};
  static_assert(sizeof(generic) == sizeof(address));
  std::memcpy(&generic, &address, sizeof(address));
  if (::bind(listener, &generic, sizeof(generic)) != 0 || ::listen(listener, 1024) != 0) {
    std::perror("bench_backend: listen");
    std::exit(1);
  }
  return listener;
}

/// The length of the first whole request, or 0.
std::size_t request_length(std::string_view bytes) {
  const std::size_t head_end = bytes.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return 0;
  static constexpr std::string_view name = "\r\ncontent-length:";
  const std::string_view head = bytes.substr(0, head_end);
  const auto same = [](char a, char b) { return (a | 0x20) == (b | 0x20); };
  const auto found = std::search(head.begin(), head.end(), name.begin(), name.end(), same);
  std::size_t length = 0;
  if (found != head.end()) length = std::strtoul(&*found + name.size(), nullptr, 10);
  const std::size_t whole = head_end + 4 + length;
  return whole <= bytes.size() ? whole : 0;
}

void watch(int epoll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

/// False when the connection has ended.
bool serve(int descriptor, Connection& connection) {
  const ssize_t count = ::read(descriptor, connection.bytes.data() + connection.size,
                               connection.bytes.size() - connection.size);
  if (count <= 0) return false;
  connection.size += static_cast<std::size_t>(count);
  while (true) {
    const std::size_t length = request_length({connection.bytes.data(), connection.size});
    if (length == 0) return connection.size < connection.bytes.size();
    if (::send(descriptor, answer().data(), answer().size(), MSG_NOSIGNAL) < 0) return false;
    connection.size -= length;
    std::memmove(connection.bytes.data(), connection.bytes.data() + length, connection.size);
  }
}

void run(std::uint16_t port) {
  const int listener = listen_on(port);
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, listener);
  std::unordered_map<int, std::unique_ptr<Connection>> connections;
  std::array<epoll_event, 256> events{};
  while (true) {
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
      if (descriptor == listener) {
        const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) continue;
        const int on = 1;
        ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        connections[accepted] = std::make_unique<Connection>();
        watch(epoll, accepted);
      } else if (!serve(descriptor, *connections[descriptor])) {
        connections.erase(descriptor);
        ::close(descriptor);
      }
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fputs("usage: bench_backend PORT [THREADS]\n", stderr);
    return 64;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(arguments[1]));
  const int threads = count > 2 ? std::atoi(arguments[2]) : 1;
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(run, port);
  run(port);
}
