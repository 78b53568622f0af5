// The front door alone, for `./run bench` to drive with wrk: no service, no supervisor, no spec file.
//   front_door_bench HTTP_PORT THREADS UPSTREAM[,UPSTREAM…] [HTTPS_PORT CERTIFICATE KEY]
// An UPSTREAM is ADDRESS:PORT and must answer GET / with 200. Ends on SIGTERM or SIGINT.
#include <fmt/format.h>

#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "network/front_door.h"

namespace {

using namespace berth;

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int complain(std::string_view what) {
  fmt::print(stderr, "front_door_bench: {}\n", what);
  return 1;
}

Task<void> drain(network::FrontDoor& door, Clock& clock) {
  const TimePoint deadline = clock.now() + std::chrono::seconds(1);
  co_await door.drain(deadline);
}

Result<network::FrontDoorOptions> parse(int count, char** arguments) {
  network::FrontDoorOptions options;
  options.listener.http_port = static_cast<std::uint16_t>(std::atoi(arguments[1]));
  options.listener.threads = static_cast<std::size_t>(std::atoi(arguments[2]));
  options.listener.health_check.path = "/";
  if (count < 7) return options;
  options.listener.https_port = static_cast<std::uint16_t>(std::atoi(arguments[4]));
  auto tls = net::make_tls_server({read_file(arguments[5]), Secret(read_file(arguments[6]))});
  if (!tls) return Failure(tls.error());
  options.tls = std::move(*tls);
  return options;
}

Result<void> register_all(network::FrontDoor& door, std::string_view upstreams) {
  while (!upstreams.empty()) {
    const std::string_view one = upstreams.substr(0, upstreams.find(','));
    upstreams.remove_prefix(std::min(one.size() + 1, upstreams.size()));
    const auto endpoint = net::parse_endpoint(one);
    if (!endpoint) return Failure(endpoint.error());
    const auto registered = door.register_target({std::string(one), *endpoint, "a"});
    if (!registered) return registered;
  }
  return {};
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) {
    std::fputs(
        "usage: front_door_bench HTTP_PORT THREADS UPSTREAM[,UPSTREAM…] [HTTPS_PORT CERTIFICATE KEY]\n",
        stderr);
    return 64;
  }
  asio::io_context loop(1);
  const auto clock = make_real_clock(loop.get_executor());
  const auto network = net::make_network(*clock);
  JsonLineLog log(2, {});
  auto options = parse(count, arguments);
  if (!options) return complain(options.error().message());
  auto door = network::make_front_door(std::move(*options), *network, log);
  if (!door) return complain(door.error().message());
  const auto registered = register_all(**door, arguments[3]);
  if (!registered) return complain(registered.error().message());
  TaskScope scope(loop.get_executor());
  asio::basic_signal_set<Executor> signals(loop.get_executor(), SIGINT, SIGTERM);
  signals.async_wait([&](auto, int) { scope.spawn(drain(**door, *clock)); });
  loop.run();
}
