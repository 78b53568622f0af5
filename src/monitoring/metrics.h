#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::monitoring {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// A latency histogram with fixed bounds in seconds (1 ms … 60 s); a member of the object that counts.
class Histogram {
 public:
  static constexpr std::array<double, 12> bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                 0.1,   0.25,   0.5,   1,    5,     60};
  void observe(double seconds);
  /// Adds what another has observed.
  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    sum_ += other.sum_;
    count_ += other.count_;
  }
  const std::array<std::uint64_t, 13>& buckets() const { return buckets_; }  ///< not cumulative; last: +Inf
  double sum() const { return sum_; }
  std::uint64_t count() const { return count_; }

 private:
  std::array<std::uint64_t, 13> buckets_{};
  double sum_ = 0;
  std::uint64_t count_ = 0;
};

/// Collects samples and prints them in the Prometheus text format (version 0.0.4), families in the order
/// first met, samples of one family together. Counters end in _total by convention; values are read by the
/// caller.
class MetricsWriter {
 public:
  void counter(std::string_view name, std::string_view help, Labels labels, double value);
  void gauge(std::string_view name, std::string_view help, Labels labels, double value);
  void histogram(std::string_view name, std::string_view help, Labels labels, const Histogram& histogram);
  std::string text() const;

 private:
  struct Family {
    std::string name;
    std::string help;
    std::string_view type;
    std::string samples;
  };
  Family& family(std::string_view name, std::string_view help, std::string_view type);
  void sample(std::string_view name, std::string_view help, std::string_view type, Labels labels,
              double value);

  std::vector<Family> families_;  ///< a few dozen, so a search from the back finds the current one at once
};

}  // namespace berth::monitoring
