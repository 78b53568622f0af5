#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "monitoring/emf.h"
#include "monitoring/metrics.h"
#include "task/runtime/otlp_exporter.h"

namespace berth::task {

/// CloudWatch keeps what comes more often only as high-resolution metrics.
inline constexpr Duration standard_resolution = std::chrono::seconds(60);

struct TelemetryOptions {
  std::string service;                        ///< name in metrics and traces
  std::optional<Duration> emf_period;         ///< nullopt: no EMF lines
  std::function<void(std::string_view)> emf;  ///< takes each line
  std::optional<double> trace_ratio;          ///< nullopt: no traces
  OtlpOptions otlp;                           ///< where they go
};

/// What a task tells of itself by itself: EMF metric lines at a fixed period and spans to a collector.
/// Without either it is nothing but two null pointers for the router.
class Telemetry {
 public:
  static Result<std::unique_ptr<Telemetry>> make(TelemetryOptions options, std::string task, std::string zone,
                                                 net::Network& network, Log& log);

  /// Null where there are no traces, or no EMF lines.
  monitoring::Tracer* tracer() { return tracer_ ? &*tracer_ : nullptr; }
  monitoring::CallMeter* meter() { return options_.emf_period ? &meter_ : nullptr; }

  /// Begins to send, and to sample `calls`, the number of calls under way.
  void start(std::function<std::size_t()> calls);
  /// Writes the last line and sends the last spans, until `deadline`. Await before destruction.
  Task<void> stop(TimePoint deadline);
  void write_metrics(monitoring::MetricsWriter& writer) const;

 private:
  Telemetry(TelemetryOptions options, std::string task, std::string zone, Clock& clock);
  Task<void> report(std::function<std::size_t()> calls);
  void write_line();

  TelemetryOptions options_;
  std::string task_;
  std::string zone_;
  Clock& clock_;
  std::optional<monitoring::Tracer> tracer_;
  monitoring::CallMeter meter_;
  std::unique_ptr<OtlpExporter> exporter_;
  TaskScope scope_;
};

}  // namespace berth::task
