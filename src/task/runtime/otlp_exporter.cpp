#include "task/runtime/otlp_exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "codec/json.h"

namespace berth::task {

namespace {

using namespace std::chrono_literals;

constexpr Duration interval = 2s;
constexpr Duration export_timeout = 10s;
constexpr Duration first_pause = 1s;  ///< doubles
constexpr int attempts_max = 4;
constexpr std::size_t reason_bytes_max = 300;
/// About half a megabyte; X-Ray takes 5 MB and 10,000 spans.
constexpr std::size_t batch_spans_max = 512;

/// The collector may take the same spans later (OTLP/HTTP: retryable response codes).
bool is_temporary(int status) { return status == 429 || (status >= 502 && status <= 504); }

/// What the collector says about a body it does not like: X-Ray, that Transaction Search is off. Not of other
/// refusals: AWS quotes the signed fields of a request whose signature is wrong, the session token among
/// them.
std::string reason_of(const http::Response& answer) {
  if (answer.status != 400) return {};
  const auto parsed = json::parse(answer.body);
  if (!parsed) return {};
  auto message = parsed->find("message").as_string();
  if (!message) message = parsed->find("Message").as_string();
  return message ? ": " + message->substr(0, reason_bytes_max) : std::string();
}

}  // namespace

Result<std::unique_ptr<OtlpExporter>> OtlpExporter::make(OtlpOptions options, monitoring::Tracer& tracer,
                                                         net::Network& network, Log& log) {
  auto address = http::parse_url(options.endpoint);
  if (!address) return Failure(address.error().within("BERTH_OTLP_ENDPOINT"));
  return std::unique_ptr<OtlpExporter>(
      new OtlpExporter(std::move(options), std::move(*address), tracer, network, log));
}

OtlpExporter::OtlpExporter(OtlpOptions options, http::UrlAddress address, monitoring::Tracer& tracer,
                           net::Network& network, Log& log)
    : options_(std::move(options)),
      address_(std::move(address)),
      transport_(options_.environment, network),
      tracer_(tracer),
      network_(network),
      log_(log),
      scope_(network.clock().executor()) {}

void OtlpExporter::start() { scope_.spawn(run()); }

Task<void> OtlpExporter::run() {
  while (true) {
    co_await network_.clock().sleep_for(interval);
    co_await send_waiting(TimePoint::max(), attempts_max);
  }
}

Task<void> OtlpExporter::send_waiting(TimePoint deadline, int attempts) {
  while (!batch_.empty() || tracer_.waiting() > 0) {
    if (batch_.empty()) batch_ = tracer_.take(batch_spans_max);
    bool is_done = false;
    Duration pause = first_pause;
    for (int number = 0; !is_done && number < attempts; ++number, pause *= 2) {
      if (number > 0) co_await network_.clock().sleep_for(pause);
      is_done = co_await attempt(deadline);
    }
    if (!is_done) lost_ += batch_.size();
    batch_.clear();
    // Where nobody answers, the rest waits for the next round rather than being lost one batch after another.
    if (!is_done) co_return;
  }
}

Task<bool> OtlpExporter::attempt(TimePoint deadline) {
  const TimePoint until = std::min(deadline, network_.clock().now() + export_timeout);
  std::string body = monitoring::encode_otlp(options_.resource, options_.version, batch_);
  const auto answer = co_await post(std::move(body), until);
  if (!answer) {
    failed(answer.error().message());
    co_return false;
  }
  if (answer->status >= 300) {
    failed(fmt::format("{} answered HTTP {}{}", options_.endpoint, answer->status, reason_of(*answer)));
    if (is_temporary(answer->status)) co_return false;
    lost_ += batch_.size();
    co_return true;
  }
  sent_ += batch_.size();
  if (std::exchange(failing_, false)) log_.info("traces_sent_again");
  co_return true;
}

Task<Result<http::Response>> OtlpExporter::post(std::string body, TimePoint deadline) {
  aws::Outgoing request;
  request.address = address_;
  request.target = address_.target;
  request.headers.emplace_back("Content-Type", "application/json");
  if (options_.sign) {
    const auto fields = co_await options_.sign(address_.host_header(), address_.target, body);
    if (!fields) co_return Failure(fields.error());
    request.headers.insert(request.headers.end(), fields->begin(), fields->end());
  }
  request.body = std::move(body);
  request.timeout = std::max(deadline - network_.clock().now(), Duration::zero());
  co_return co_await transport_.send(std::move(request));
}

void OtlpExporter::failed(const std::string& problem) {
  if (std::exchange(failing_, true)) return;
  log_.warning("traces_not_sent", {{"problem", problem}});
}

Task<void> OtlpExporter::stop(TimePoint deadline) {
  scope_.cancel();
  co_await scope_.join();
  using namespace asio::experimental::awaitable_operators;
  // Not only the request has a deadline: credentials may be waited for, too.
  co_await (send_waiting(deadline, 1) || network_.clock().sleep_until(deadline));
}

}  // namespace berth::task
