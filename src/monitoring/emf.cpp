#include "monitoring/emf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/log.h"

namespace berth::monitoring {

namespace {

void append_definition(std::string& out, std::string_view name, std::string_view unit, bool high_resolution) {
  if (!out.empty()) out += ',';
  fmt::format_to(std::back_inserter(out), R"({{"Name":"{}","Unit":"{}"{}}})", name, unit,
                 high_resolution ? R"(,"StorageResolution":1)" : "");
}

template <class T>
void append_values(std::string& out, std::string_view name, const std::vector<T>& values) {
  fmt::format_to(
      std::back_inserter(out), R"(,"{}":[{}])", name,
      fmt::join(values.begin(),
                values.begin() + static_cast<std::ptrdiff_t>(std::min(values.size(), emf_values_max)), ","));
}

}  // namespace

std::string encode_emf(const EmfRecord& record) {
  std::string definitions;
  const bool high = record.high_resolution;
  if (!record.in_flight.empty()) append_definition(definitions, "CallsInFlight", "Count", high);
  append_definition(definitions, "Calls", "Count", high);
  append_definition(definitions, "Errors", "Count", high);
  if (!record.durations_ms.empty()) append_definition(definitions, "DurationMs", "Milliseconds", high);
  std::string out = fmt::format(
      R"({{"_aws":{{"Timestamp":{},"CloudWatchMetrics":[{{"Namespace":"Berth",)"
      R"("Dimensions":[["ServiceName"]],"Metrics":[{}]}}]}},"ServiceName":{},"task":{},"zone":{},)"
      R"("Calls":{},"Errors":{})",
      record.timestamp_ms, definitions, json_quote(record.service), json_quote(record.task),
      json_quote(record.zone), record.calls, record.errors);
  if (!record.in_flight.empty()) append_values(out, "CallsInFlight", record.in_flight);
  if (!record.durations_ms.empty()) append_values(out, "DurationMs", record.durations_ms);
  return out + "}\n";
}

void CallMeter::on_call(bool is_error, Duration took) {
  ++calls_;
  if (is_error) ++errors_;
  const auto milliseconds = std::chrono::duration<float, std::milli>(took).count();
  if (durations_ms_.size() < durations_max) {
    durations_ms_.push_back(milliseconds);
    return;
  }
  random_state_ = random_state_ * 6364136223846793005u + 1442695040888963407u;
  const std::uint64_t place = (random_state_ >> 33) % calls_;
  if (place < durations_max) durations_ms_[place] = milliseconds;
}

void CallMeter::sample(std::size_t in_flight) {
  if (in_flight_.size() < emf_values_max) in_flight_.push_back(static_cast<std::uint32_t>(in_flight));
}

void CallMeter::take(EmfRecord& record) {
  record.in_flight = std::exchange(in_flight_, {});
  record.calls = std::exchange(calls_, 0);
  record.errors = std::exchange(errors_, 0);
  record.durations_ms.clear();
  std::ranges::sort(durations_ms_);
  const std::size_t count = durations_ms_.size();
  const std::size_t shown = std::min(count, emf_values_max);
  for (std::size_t i = 0; i < shown; ++i) {
    // The middle of the i-th of `shown` equal parts; every value when there are no more than that.
    const double value = static_cast<double>(durations_ms_[(2 * i + 1) * count / (2 * shown)]);
    record.durations_ms.push_back(std::round(value * 1000) / 1000);
  }
  durations_ms_.clear();
}

}  // namespace berth::monitoring
