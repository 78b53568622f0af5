#include "monitoring/metrics.h"

#include <gtest/gtest.h>

#include "monitoring/process.h"

namespace berth::monitoring {
namespace {

TEST(Metrics, PrintFamiliesInOrderWithTheirSamplesTogether) {
  MetricsWriter writer;
  writer.counter("a_total", "What a\ncounts.", {{"server", "x"}}, 1);
  writer.gauge("b", "B.", {}, 2.5);
  writer.counter("a_total", "What a\ncounts.", {{"server", "say \"y\"\\\n"}, {"status", "200"}}, 1e15);
  EXPECT_EQ(writer.text(),
            "# HELP a_total What a\\ncounts.\n"
            "# TYPE a_total counter\n"
            "a_total{server=\"x\"} 1\n"
            "a_total{server=\"say \\\"y\\\"\\\\\\n\",status=\"200\"} 1000000000000000\n"
            "# HELP b B.\n"
            "# TYPE b gauge\n"
            "b 2.5\n");
}

TEST(Metrics, PrintAHistogramCumulatively) {
  Histogram histogram;
  for (const double seconds : {0.0005, 0.001, 0.002, 0.3, 100.0}) histogram.observe(seconds);
  MetricsWriter writer;
  writer.histogram("h_seconds", "H.", {{"server", "x"}}, histogram);
  const std::string text = writer.text();
  for (const std::string_view line :
       {"# TYPE h_seconds histogram\n", "h_seconds_bucket{server=\"x\",le=\"0.001\"} 2\n",
        "h_seconds_bucket{server=\"x\",le=\"0.0025\"} 3\n", "h_seconds_bucket{server=\"x\",le=\"0.25\"} 3\n",
        "h_seconds_bucket{server=\"x\",le=\"0.5\"} 4\n", "h_seconds_bucket{server=\"x\",le=\"60\"} 4\n",
        "h_seconds_bucket{server=\"x\",le=\"+Inf\"} 5\n", "h_seconds_count{server=\"x\"} 5\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(ProcessUsage, ReadsWhatTheKernelSays) {
  const auto usage = read_process_usage("/proc/self");
  ASSERT_TRUE(usage);
  EXPECT_GT(usage->resident_bytes, 1'000'000u);
  EXPECT_GE(usage->open_descriptors, 3u);
  EXPECT_GE(usage->threads, 1u);
  EXPECT_FALSE(read_process_usage("/proc/no-such-process"));
}

}  // namespace
}  // namespace berth::monitoring
