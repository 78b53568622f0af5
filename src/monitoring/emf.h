#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

/// Metrics for CloudWatch as log lines in its embedded metric format
/// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/, "Embedded metric format specification"):
/// namespace "Berth", one dimension, ServiceName.
namespace berth::monitoring {

/// What CloudWatch takes of one metric in one line.
inline constexpr std::size_t emf_values_max = 100;

/// One period of one task.
struct EmfRecord {
  std::string service;
  std::string task;                      ///< a property of the line, not a dimension
  std::string zone;                      ///< likewise
  std::int64_t timestamp_ms = 0;         ///< since 1970
  bool high_resolution = false;          ///< kept by the second; billed as such
  std::vector<std::uint32_t> in_flight;  ///< CallsInFlight: one sample a second
  std::uint64_t calls = 0;               ///< Calls
  std::uint64_t errors = 0;              ///< Errors: answers with a 5xx status
  std::vector<double> durations_ms;      ///< DurationMs; sorted, left out when empty
};

/// The line, with its line break. At most emf_values_max values of each metric are written.
std::string encode_emf(const EmfRecord& record);

/// Counts the calls of one period. A call costs an increment and a store; memory is bounded.
class CallMeter {
 public:
  void on_call(bool is_error, Duration took);
  /// The number of calls under way, once a second.
  void sample(std::size_t in_flight);

  /// What has come since the last take(), in `record`: the durations as at most emf_values_max quantiles at
  /// even distances, so that CloudWatch's p50 and p99 of the line are those of the calls.
  void take(EmfRecord& record);

 private:
  /// Above, each call takes the place of a random one (Vitter's algorithm R).
  static constexpr std::size_t durations_max = 4096;

  std::vector<std::uint32_t> in_flight_;
  std::vector<float> durations_ms_;
  std::uint64_t calls_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t random_state_ = 1;
};

}  // namespace berth::monitoring
