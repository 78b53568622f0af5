#include "monitoring/emf.h"

#include <gtest/gtest.h>

#include "codec/json.h"

namespace berth::monitoring {
namespace {

using namespace std::chrono_literals;

TEST(Emf, IsOneLineThatCloudWatchReads) {
  const EmfRecord record{"say \"x\"", "t1", "us-west-2b", 1'790'000'000'000, false, {0, 2, 1},
                         3,           1,    {1.5, 20}};
  EXPECT_EQ(encode_emf(record),
            R"({"_aws":{"Timestamp":1790000000000,"CloudWatchMetrics":[{"Namespace":"Berth",)"
            R"("Dimensions":[["ServiceName"]],"Metrics":[{"Name":"CallsInFlight","Unit":"Count"},)"
            R"({"Name":"Calls","Unit":"Count"},{"Name":"Errors","Unit":"Count"},)"
            R"({"Name":"DurationMs","Unit":"Milliseconds"}]}]},"ServiceName":"say \"x\"","task":"t1",)"
            R"("zone":"us-west-2b","Calls":3,"Errors":1,"CallsInFlight":[0,2,1],"DurationMs":[1.5,20]})"
            "\n");
}

TEST(Emf, LeavesOutWhatWasNotMeasuredAndMarksHighResolution) {
  EmfRecord record;
  record.high_resolution = true;
  const std::string line = encode_emf(record);
  EXPECT_EQ(line.find("DurationMs"), std::string::npos);
  EXPECT_EQ(line.find("CallsInFlight"), std::string::npos);
  EXPECT_NE(line.find(R"({"Name":"Calls","Unit":"Count","StorageResolution":1})"), std::string::npos) << line;
  EXPECT_TRUE(json::parse(line));
}

TEST(Emf, NeverWritesMoreValuesThanCloudWatchTakes) {
  EmfRecord record;
  record.in_flight.assign(500, 7);
  const std::string line = encode_emf(record);
  std::size_t values = 0;
  for (json::Elements each(json::parse(line)->find("CallsInFlight")); each.next();) ++values;
  EXPECT_EQ(values, 100u);
}

TEST(CallMeter, CountsOnePeriodAtATime) {
  CallMeter meter;
  meter.on_call(false, 20ms);
  meter.on_call(true, 1500us);
  meter.sample(2);
  meter.sample(0);
  EmfRecord record;
  meter.take(record);
  EXPECT_EQ(record.calls, 2u);
  EXPECT_EQ(record.errors, 1u);
  EXPECT_EQ(record.durations_ms, (std::vector<double>{1.5, 20}));
  EXPECT_EQ(record.in_flight, (std::vector<std::uint32_t>{2, 0}));
  meter.take(record);
  EXPECT_EQ(record.calls, 0u);
  EXPECT_TRUE(record.durations_ms.empty());
  EXPECT_TRUE(record.in_flight.empty());
}

TEST(CallMeter, KeepsThePercentilesOfManyCalls) {
  CallMeter meter;
  for (int i = 1; i <= 100'000; ++i) meter.on_call(false, i * 1ms % 1000ms + 1ms);
  EmfRecord record;
  meter.take(record);
  EXPECT_EQ(record.calls, 100'000u);
  ASSERT_EQ(record.durations_ms.size(), 100u);
  EXPECT_NEAR(record.durations_ms[49], 495, 40);
  EXPECT_NEAR(record.durations_ms[98], 985, 15);
}

}  // namespace
}  // namespace berth::monitoring
