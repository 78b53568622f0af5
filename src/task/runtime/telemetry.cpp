#include "task/runtime/telemetry.h"

#include <utility>

namespace berth::task {

namespace {
using namespace std::chrono_literals;
constexpr Duration sample_interval = 1s;
}  // namespace

Telemetry::Telemetry(TelemetryOptions options, std::string task, std::string zone, Clock& clock)
    : options_(std::move(options)),
      task_(std::move(task)),
      zone_(std::move(zone)),
      clock_(clock),
      scope_(clock.executor()) {
  if (!options_.emf) options_.emf_period.reset();
  if (options_.trace_ratio) tracer_.emplace(*options_.trace_ratio, clock_);
}

Result<std::unique_ptr<Telemetry>> Telemetry::make(TelemetryOptions options, std::string task,
                                                   std::string zone, net::Network& network, Log& log) {
  OtlpOptions otlp = std::move(options.otlp);
  std::unique_ptr<Telemetry> made(
      new Telemetry(std::move(options), std::move(task), std::move(zone), network.clock()));
  if (!made->tracer_) return made;
  auto exporter = OtlpExporter::make(std::move(otlp), *made->tracer_, network, log);
  if (!exporter) return Failure(exporter.error());
  made->exporter_ = std::move(*exporter);
  return made;
}

void Telemetry::start(std::function<std::size_t()> calls) {
  if (exporter_) exporter_->start();
  if (options_.emf_period) scope_.spawn(report(std::move(calls)));
}

Task<void> Telemetry::report(std::function<std::size_t()> calls) {
  TimePoint next = clock_.now() + *options_.emf_period;
  while (true) {
    co_await clock_.sleep_for(sample_interval);
    meter_.sample(calls());
    if (clock_.now() < next) continue;
    write_line();
    next += *options_.emf_period;
  }
}

void Telemetry::write_line() {
  monitoring::EmfRecord record;
  meter_.take(record);
  record.service = options_.service;
  record.task = task_;
  record.zone = zone_;
  record.timestamp_ms = to_unix_ms(clock_.wall());
  record.high_resolution = *options_.emf_period < standard_resolution;
  options_.emf(monitoring::encode_emf(record));
}

Task<void> Telemetry::stop(TimePoint deadline) {
  scope_.cancel();
  co_await scope_.join();
  if (options_.emf_period) write_line();
  if (exporter_) co_await exporter_->stop(deadline);
}

void Telemetry::write_metrics(monitoring::MetricsWriter& writer) const {
  if (!tracer_) return;
  const auto count = [](std::uint64_t value) { return static_cast<double>(value); };
  writer.counter("berth_spans_total", "Spans of sampled traces, by what became of them.",
                 {{"outcome", "sent"}}, count(exporter_->sent()));
  writer.counter("berth_spans_total", "Spans of sampled traces, by what became of them.",
                 {{"outcome", "lost"}}, count(exporter_->lost() + tracer_->dropped()));
}

}  // namespace berth::task
