#include "network/health_check.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "codec/http1.h"

namespace berth::network {

namespace {

ProbeOutcome problem(std::string text) { return {false, std::move(text)}; }

ProbeOutcome verdict(const Probe& probe, const http1::HeadView& head) {
  if (head.status == 200) return {true, {}};
  return problem(fmt::format("GET {} answered {} instead of 200.", probe.path, head.status));
}

ProbeOutcome no_answer(const Probe& probe, const Result<std::size_t>& read) {
  if (!read && read.error().code() == ErrorCode::deadline_exceeded) {
    const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(probe.timeout);
    return problem(fmt::format("GET {} was not answered within {} ms.", probe.path, timeout.count()));
  }
  return problem(fmt::format("The connection was closed before GET {} was answered.", probe.path));
}

}  // namespace

Task<ProbeOutcome> probe_target(net::Network& network, Probe probe) {
  const TimePoint deadline = network.clock().now() + probe.timeout;
  const std::string endpoint = net::to_string(probe.target.endpoint);
  auto connected = co_await network.connect(probe.target.endpoint, deadline);
  if (!connected) co_return problem(fmt::format("Could not connect to {}.", endpoint));
  net::Stream& stream = **connected;
  stream.set_deadline(deadline);
  const std::string request = fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: berth-health-check\r\nAccept: */*\r\n"
      "Connection: close\r\n\r\n",
      probe.path, endpoint);
  const auto written = co_await stream.write(request);
  if (!written) co_return no_answer(probe, Failure(written.error()));
  std::string bytes;
  http1::HeadView head;
  const http1::HeadLimits limits{.bytes_max = 16 * 1024};
  while (true) {
    char part[2048];
    const auto count = co_await stream.read_some(part);
    if (!count || *count == 0) co_return no_answer(probe, count);
    bytes.append(part, *count);
    const auto status = http1::parse_response(bytes, limits, false, head);
    if (status == http1::HeadStatus::complete) co_return verdict(probe, head);
    if (status != http1::HeadStatus::incomplete) {
      co_return problem(fmt::format("The answer to GET {} is not HTTP/1.1.", probe.path));
    }
  }
}

}  // namespace berth::network
