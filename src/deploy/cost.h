#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "deploy/inventory.h"
#include "deploy/prices.h"
#include "model/spec.h"

/// What a service costs a month, from its templates, a price list and stated assumptions. Pure.
namespace berth::deploy {

inline constexpr double hours_per_month = 730;

/// What a month of use is taken to be. Gigabytes are decimal, as AWS bills traffic.
struct Usage {
  double calls = 1'000'000;
  double call_kb = 4;        ///< sent to the client, a call
  double upstream_kb = 2;    ///< fetched from elsewhere by the server, a call
  double log_kb = 0.5;       ///< written to the log, a call
  double span_kb = 1;        ///< of traces, a call
  double state_kb = 1;       ///< read from the shared volume, and as much written, a call
  double clients = 25;       ///< connected at once
  double state_gb = 1;       ///< on the shared volume
  double cold_percent = 50;  ///< of it not touched for 30 days: Infrequent Access
  double artifacts_gb = 5;   ///< in the buckets
  double image_gb = 0.5;     ///< of all images kept
  double flow_log_gb = 0.3;  ///< of a month
  double tasks = -1;         ///< that run on average; below 0: tasks.count
  double spot_percent = -1;  ///< discount of Spot; below 0: of the price file
  bool operator==(const Usage&) const = default;
};

/// One assumption as an option of `berth cost`.
struct UsageField {
  std::string_view option;  ///< "calls-per-month"
  double Usage::* value;
  double max;
  std::string_view unit;
  std::string_view meaning;
};
std::span<const UsageField> usage_fields();

enum class CostGroup : std::uint8_t { compute, network, storage, monitoring, security };
std::string_view to_string(CostGroup group);

struct CostLine {
  CostGroup group = CostGroup::compute;
  std::string item;      ///< "NAT gateway"
  std::string quantity;  ///< "1 × 730 h"
  double usd = 0;        ///< a month
  bool by_use = false;   ///< follows Usage; otherwise it is there without a call
};

struct Estimate {
  std::string region;     ///< of the spec; empty: not said
  std::string priced_as;  ///< whose prices these are
  std::string date;       ///< of the prices
  double task_hours = 0;  ///< hours a month in which tasks run
  std::vector<CostLine> lines;

  double total() const;
  double total(CostGroup group) const;
  /// Without a single call.
  double standing() const;
};

/// On demand and Spot, as ECS divides `count` tasks by base and weights.
struct TaskSplit {
  double on_demand = 0;
  double spot = 0;
};
TaskSplit split_tasks(const model::AwsSpec& aws, double count);

/// Hours a month in which tasks run: 730, or those of scaling.hours.
double running_hours(const model::ScalingSpec& scaling);

Estimate estimate(const model::Spec& spec, const Inventory& inventory, const Usage& usage,
                  const Prices& prices);

/// What a million calls more cost, by line; only what is above half a cent.
std::vector<CostLine> million_calls(const model::Spec& spec, const Inventory& inventory, const Usage& usage,
                                    const Prices& prices);

/// The same service built in another way.
struct Variant {
  std::string name;  ///< "all tasks on Spot"
  std::string note;  ///< what is gained or lost besides money
  model::Spec spec;
};
/// Every variant that differs from `spec`: Spot, processor, hours, way out, zones.
std::vector<Variant> variants(const model::Spec& spec, const Inventory& inventory);

struct WhatIf {
  std::string name;
  std::string note;
  double usd = 0;         ///< a month
  double difference = 0;  ///< to the service as it is
};
/// Composes the templates of a variant and takes their inventory.
using Measure = std::function<Result<Inventory>(const model::Spec& spec)>;
/// Cheapest first. A variant that cannot be composed (it contradicts another key) is left out.
std::vector<WhatIf> what_if(const model::Spec& spec, const Inventory& inventory, const Usage& usage,
                            const Prices& prices, const Measure& measure);

boost::json::object to_json(const Estimate& estimate);

}  // namespace berth::deploy
