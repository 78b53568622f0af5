#include <fmt/format.h>

#include <algorithm>

#include "deploy/cost.h"

/// What-ifs of `berth cost`: the same service with one decision taken otherwise.
namespace berth::deploy {
namespace {

using Architecture = model::AwsSpec::Architecture;
using Egress = model::AwsNetworkSpec::Egress;

using Variants = std::vector<Variant>;

void add(Variants& out, const model::Spec& spec, std::string name, std::string note,
         const std::function<void(model::Spec&)>& change) {
  Variant variant{.name = std::move(name), .note = std::move(note), .spec = spec};
  change(variant.spec);
  out.push_back(std::move(variant));
}

void add_capacity(Variants& out, const model::Spec& spec) {
  const bool no_spot = spec.aws.spot_weight == 0;
  if (!no_spot) {
    add(out, spec, "no Spot", "no task is ever taken away", [](model::Spec& s) { s.aws.spot_weight = 0; });
  } else {
    add(out, spec, "Spot beyond the first task", "they end with two minutes' notice", [](model::Spec& s) {
      s.aws.spot_base = 1;
      s.aws.spot_weight = 100;
    });
  }
  if (no_spot || spec.aws.spot_base > 0) {
    add(out, spec, "all Spot", "all tasks may end at once, after two minutes", [](model::Spec& s) {
      s.aws.spot_base = 0;
      s.aws.spot_weight = 100;
    });
  }
}

void add_processor(Variants& out, const model::Spec& spec, bool arm) {
  if (arm) {
    add(out, spec, "x86", "for servers that need it",
        [](model::Spec& s) { s.aws.architecture = Architecture::x86_64; });
  } else {
    add(out, spec, "ARM", "the image has to be built for it",
        [](model::Spec& s) { s.aws.architecture = Architecture::arm64; });
  }
}

void add_hours(Variants& out, const model::Spec& spec) {
  if (spec.scaling.hours) {
    add(out, spec, "round the clock", "without scaling.hours",
        [](model::Spec& s) { s.scaling.hours.reset(); });
  } else {
    add(out, spec, "working hours only", "no task outside mon-fri 07:00-20:00",
        [](model::Spec& s) { s.scaling.hours = model::HoursSpec{}; });
  }
}

void add_network(Variants& out, const model::Spec& spec) {
  if (!spec.aws.network.vpc.empty()) return;
  struct Way {
    Egress egress;
    std::string_view name;
    std::string_view note;
  };
  constexpr Way ways[] = {
      {Egress::nat, "one NAT gateway", "when its zone fails, nobody has a way out"},
      {Egress::nat_per_zone, "a NAT gateway per zone", "no zone depends on another one"},
      {Egress::endpoints, "endpoints instead of NAT", "tasks reach AWS alone, nothing else"}};
  for (const Way& way : ways) {
    if (way.egress == spec.aws.network.egress) continue;
    add(out, spec, std::string(way.name), std::string(way.note),
        [&way](model::Spec& s) { s.aws.network.egress = way.egress; });
  }
  if (spec.tasks.zones.size() > 2) {
    add(out, spec, "two zones", fmt::format("and {} tasks as before", spec.tasks.count),
        [](model::Spec& s) { s.tasks.zones.resize(2); });
  }
}

}  // namespace

std::vector<Variant> variants(const model::Spec& spec, const Inventory& inventory) {
  Variants out;
  add_capacity(out, spec);
  add_processor(out, spec, inventory.arm);
  add_hours(out, spec);
  add_network(out, spec);
  if (spec.tasks.count > 2) {
    add(out, spec, "two tasks", "tasks.count: 2", [](model::Spec& s) {
      s.tasks.count = 2;
      s.tasks.zones.resize(std::min<std::size_t>(2, s.tasks.zones.size()));
    });
  }
  return out;
}

std::vector<WhatIf> what_if(const model::Spec& spec, const Inventory& inventory, const Usage& usage,
                            const Prices& prices, const Measure& measure) {
  const double now = estimate(spec, inventory, usage, prices).total();
  std::vector<WhatIf> found;
  for (const Variant& variant : variants(spec, inventory)) {
    Result<Inventory> measured = measure(variant.spec);
    if (!measured) continue;
    double usd = estimate(variant.spec, *measured, usage, prices).total();
    found.push_back({.name = variant.name, .note = variant.note, .usd = usd, .difference = usd - now});
  }
  std::ranges::stable_sort(found, {}, &WhatIf::usd);
  return found;
}

}  // namespace berth::deploy
