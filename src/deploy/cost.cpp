#include "deploy/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace berth::deploy {
namespace {

using model::ScalingSpec;

constexpr double kb_per_gb = 1e6;
constexpr double seconds_per_month = hours_per_month * 3600;
// Metrics that Container Insights with enhanced observability keeps: of cluster, service and task family, and
// of each task and its container.
constexpr double insights_metrics_fixed = 30;
constexpr double insights_metrics_a_task = 14;
constexpr double emf_metrics = 4;  // CallsInFlight, Calls, Errors, DurationMs
// Application logs compress to about a sixth where CloudWatch stores them.
constexpr double log_compression = 0.15;
constexpr double starts_a_task_month = 30;

constexpr std::array<std::string_view, 7> week{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::size_t day_of(std::string_view name) {
  std::string lower(name.substr(0, 3));
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return static_cast<std::size_t>(std::ranges::find(week, lower) - week.begin());
}

/// Days a week of cron's day list, "mon-fri" or "mon,wed,sat"; 7 for what is neither.
double days_a_week(std::string_view days) {
  std::array<bool, 7> chosen{};
  while (!days.empty()) {
    std::string_view part = days.substr(0, days.find(','));
    days.remove_prefix(std::min(days.size(), part.size() + 1));
    std::size_t dash = part.find('-');
    std::size_t first = day_of(part);
    std::size_t last = dash == std::string_view::npos ? first : day_of(part.substr(dash + 1));
    if (first >= week.size() || last >= week.size()) return 7;
    for (std::size_t day = first;; day = (day + 1) % week.size()) {
      chosen[day] = true;
      if (day == last) break;
    }
  }
  auto count = std::ranges::count(chosen, true);
  return count == 0 ? 7 : static_cast<double>(count);
}

/// Minutes of "07:30"; 0 for what is no time of day.
double minutes_of(std::string_view clock) {
  if (clock.size() != 5 || clock[2] != ':') return 0;
  auto digit = [&](std::size_t index) { return static_cast<double>(clock[index] - '0'); };
  return (digit(0) * 10 + digit(1)) * 60 + digit(3) * 10 + digit(4);
}

std::string amount(double value, std::string_view unit) {
  if (value < 0.005 && value > 0) return fmt::format("< 0.01 {}", unit);
  std::string number = fmt::format("{:.2f}", value);
  number.resize(number.find_last_not_of('0') + 1);
  if (number.ends_with('.')) number.pop_back();
  return fmt::format("{} {}", number, unit);
}

std::string times(std::size_t count, std::string_view what) {
  return count == 1 ? std::string(what) : fmt::format("{} × {}", count, what);
}

/// Collects lines; every price by its name in the file.
class Bill {
 public:
  Bill(const Inventory& inventory, const Usage& usage, const Prices& prices, double tasks, double hours)
      : have_(inventory), use_(usage), prices_(prices), tasks_(tasks), hours_(hours) {}

  void compute(const model::Spec& spec);
  void balancer();
  void way_out(const model::Spec& spec);
  void to_clients();
  void storage();
  void logs(const model::Spec& spec);
  void metrics(const model::Spec& spec);
  void security(const model::Spec& spec);
  std::vector<CostLine> take() { return std::move(lines_); }

 private:
  void fixed(CostGroup group, std::string item, std::string quantity, double usd) {
    lines_.push_back({group, std::move(item), std::move(quantity), usd, false});
  }
  void by_use(CostGroup group, std::string item, std::string quantity, double usd) {
    lines_.push_back({group, std::move(item), std::move(quantity), usd, true});
  }
  void tasks(std::string_view kind, double count, double share);
  double price(std::string_view name) const { return prices_.of(name); }
  double gb(double kb_a_call) const { return use_.calls * kb_a_call / kb_per_gb; }

  const Inventory& have_;
  const Usage& use_;
  const Prices& prices_;
  double tasks_;
  double hours_;
  std::vector<CostLine> lines_;
};

void Bill::tasks(std::string_view kind, double count, double share) {
  if (count <= 0) return;
  double hour = have_.vcpu * price(have_.arm ? "fargate_arm_vcpu_hour" : "fargate_x86_vcpu_hour") +
                have_.memory_gb * price(have_.arm ? "fargate_arm_gb_hour" : "fargate_x86_gb_hour");
  std::string number = fmt::format("{:.3g} task{}", count, count == 1 ? "" : "s");
  fixed(CostGroup::compute, fmt::format("{}, {}", number, kind),
        fmt::format("{:.3g} vCPU, {:.3g} GB, {} · {:.0f} h", have_.vcpu, have_.memory_gb,
                    have_.arm ? "ARM" : "x86", hours_),
        count * hours_ * hour * share);
}

void Bill::compute(const model::Spec& spec) {
  TaskSplit split = split_tasks(spec.aws, tasks_);
  double discount = use_.spot_percent >= 0 ? use_.spot_percent / 100 : price("fargate_spot_discount");
  tasks("on demand", split.on_demand, 1);
  tasks(fmt::format("Spot ({:.0f} % off)", discount * 100), split.spot, 1 - discount);
}

void Bill::balancer() {
  if (have_.load_balancers == 0) return;
  auto count = static_cast<double>(have_.load_balancers);
  fixed(CostGroup::network, "load balancer", times(have_.load_balancers, "730 h"),
        count * hours_per_month * price("alb_hour"));
  // The dearest of the four dimensions counts: new connections, active ones, bytes, rules (never the most
  // here). A client is taken to open a connection for ten calls.
  double connections = use_.calls / 10 / seconds_per_month / 25;
  double active = use_.clients / 3000;
  double bytes = gb(use_.call_kb) / hours_per_month;
  double units = std::max({connections, active, bytes});
  by_use(CostGroup::network, "load balancer capacity", amount(units, "LCU"),
         units * hours_per_month * price("alb_lcu_hour"));
  if (have_.balancer_addresses > 0) {
    fixed(CostGroup::network, "public IPv4, load balancer", times(have_.balancer_addresses, "730 h"),
          static_cast<double>(have_.balancer_addresses) * hours_per_month * price("public_ipv4_hour"));
  }
}

void Bill::way_out(const model::Spec& spec) {
  // Logs and traces leave the tasks the same way as what servers fetch; image layers come through the free
  // endpoint of S3.
  double out_gb = gb(use_.upstream_kb + use_.log_kb + (spec.aws.traces ? use_.span_kb : 0));
  if (have_.nat_gateways > 0) {
    auto count = static_cast<double>(have_.nat_gateways);
    fixed(CostGroup::network, "NAT gateway", times(have_.nat_gateways, "730 h"),
          count * hours_per_month * price("nat_hour"));
    if (have_.nat_addresses > 0) {
      fixed(CostGroup::network, "public IPv4, NAT", times(have_.nat_addresses, "730 h"),
            static_cast<double>(have_.nat_addresses) * hours_per_month * price("public_ipv4_hour"));
    }
    by_use(CostGroup::network, "NAT gateway data", amount(out_gb, "GB"), out_gb * price("nat_gb"));
    if (have_.zones > have_.nat_gateways) {
      double crossing = out_gb * (1 - count / static_cast<double>(have_.zones));
      by_use(CostGroup::network, "data to the NAT of another zone", amount(crossing, "GB"),
             crossing * price("cross_zone_gb"));
    }
  }
  if (have_.endpoint_zones > 0) {
    fixed(CostGroup::network, "interface endpoints", times(have_.endpoint_zones, "730 h"),
          static_cast<double>(have_.endpoint_zones) * hours_per_month * price("endpoint_hour"));
    by_use(CostGroup::network, "interface endpoints data", amount(out_gb, "GB"),
           out_gb * price("endpoint_gb"));
  }
}

void Bill::to_clients() {
  double out_gb = gb(use_.call_kb);
  if (have_.distributions > 0) {
    by_use(CostGroup::network, "CloudFront requests", amount(use_.calls / 1e6, "M"),
           use_.calls * price("cloudfront_request"));
    by_use(CostGroup::network, "CloudFront data to clients", amount(out_gb, "GB"),
           out_gb * price("cloudfront_gb"));
  } else if (have_.balancer_addresses > 0) {
    by_use(CostGroup::network, "data to clients", amount(out_gb, "GB"), out_gb * price("data_out_gb"));
  }
}

void Bill::storage() {
  constexpr CostGroup group = CostGroup::storage;
  if (have_.file_systems > 0) {
    double cold = use_.state_gb * use_.cold_percent / 100;
    double warm = use_.state_gb - cold;
    by_use(group, "shared volume (EFS)", amount(warm, "GB"), warm * price("efs_standard_gb_month"));
    by_use(group, "shared volume, Infrequent Access", amount(cold, "GB"), cold * price("efs_ia_gb_month"));
    double moved = gb(use_.state_kb);
    by_use(group, "shared volume reads and writes", amount(moved, "GB each"),
           moved * (price("efs_read_gb") + price("efs_write_gb")));
    if (have_.backups) {
      by_use(group, "shared volume, backups", amount(use_.state_gb, "GB"),
             use_.state_gb * price("backup_gb_month"));
    }
  }
  by_use(group, "artifacts (S3)", amount(use_.artifacts_gb, "GB"), use_.artifacts_gb * price("s3_gb_month"));
  if (have_.repositories > 0) {
    by_use(group, "images (ECR)", amount(use_.image_gb, "GB"), use_.image_gb * price("ecr_gb_month"));
  }
}

void Bill::logs(const model::Spec& spec) {
  constexpr CostGroup group = CostGroup::monitoring;
  double log_gb = gb(use_.log_kb);
  by_use(group, "logs", amount(log_gb, "GB"), log_gb * price("logs_gb"));
  double kept = log_gb * log_compression * static_cast<double>(spec.aws.log_days) / 30;
  by_use(group, "logs, kept", fmt::format("{} days", spec.aws.log_days), kept * price("logs_gb_month"));
  if (have_.flow_logs + have_.flow_logs_to_s3 > 0) {
    double usd = have_.flow_logs > 0 ? price("logs_gb") : price("flow_logs_s3_gb") + price("s3_gb_month") * 3;
    by_use(group, "flow logs", amount(use_.flow_log_gb, "GB"), use_.flow_log_gb * usd);
  }
  if (have_.delivery_streams > 0) {
    // Firehose counts records in steps of 5 KB; CloudWatch hands it batches larger than that.
    by_use(group, "logs, archive", amount(log_gb, "GB"), log_gb * price("firehose_gb"));
  }
  if (spec.aws.traces) {
    double spans = gb(use_.span_kb);
    by_use(group, "traces", amount(spans, "GB"), spans * price("spans_gb"));
  }
}

void Bill::metrics(const model::Spec& spec) {
  constexpr CostGroup group = CostGroup::monitoring;
  double metrics = emf_metrics + (have_.high_resolution || spec.scaling.high_resolution ? 2 : 0);
  fixed(group, "metrics", fmt::format("{:.0f}", metrics), metrics * price("metric_month"));
  if (have_.insights) {
    double share = hours_ / hours_per_month;
    double kept = insights_metrics_fixed + insights_metrics_a_task * tasks_ * share;
    fixed(group, "Container Insights", fmt::format("{:.0f} metrics", kept),
          kept * price("insights_metric_month"));
  }
  std::size_t alarms = have_.alarms + have_.high_resolution_alarms;
  if (alarms > 0) {
    fixed(group, "alarms", fmt::format("{}", alarms),
          static_cast<double>(have_.alarms) * price("alarm_month") +
              static_cast<double>(have_.high_resolution_alarms) * price("alarm_high_resolution_month"));
  }
  if (have_.dashboards > 0) {
    fixed(group, "dashboard", fmt::format("{}", have_.dashboards),
          static_cast<double>(have_.dashboards) * price("dashboard_month"));
  }
}

void Bill::security(const model::Spec& spec) {
  constexpr CostGroup group = CostGroup::security;
  if (have_.secrets > 0) {
    auto count = static_cast<double>(have_.secrets);
    fixed(group, "secrets", fmt::format("{}", have_.secrets),
          count * (price("secret_month") + tasks_ * starts_a_task_month * price("secret_call")));
  }
  if (have_.web_acls > 0) {
    fixed(group, "web application firewall", fmt::format("{} rules", have_.web_acl_rules),
          static_cast<double>(have_.web_acls) * price("waf_acl_month") +
              static_cast<double>(have_.web_acl_rules) * price("waf_rule_month"));
    by_use(group, "web application firewall requests", amount(use_.calls / 1e6, "M"),
           use_.calls * price("waf_request"));
  }
  if (have_.keys > 0) {
    fixed(group, "keys (KMS)", fmt::format("{}", have_.keys),
          static_cast<double>(have_.keys) * price("kms_key_month"));
  }
  if (!spec.aws.kms_key.empty()) {
    double calls = tasks_ * starts_a_task_month * 10;
    by_use(group, "use of your key (KMS)", fmt::format("{:.0f} calls", calls), calls * price("kms_call"));
  }
}

constexpr UsageField fields[] = {
    {"calls-per-month", &Usage::calls, 1e12, "", "tool calls a month"},
    {"kb-per-call", &Usage::call_kb, 1e6, "KB", "sent to the client, a call"},
    {"kb-upstream", &Usage::upstream_kb, 1e6, "KB", "the server fetches from elsewhere, a call"},
    {"kb-log", &Usage::log_kb, 1e6, "KB", "of logs, a call"},
    {"kb-trace", &Usage::span_kb, 1e6, "KB", "of traces, a call"},
    {"kb-state", &Usage::state_kb, 1e6, "KB", "read from and written to /mnt/data, a call"},
    {"clients", &Usage::clients, 1e9, "", "clients connected at once"},
    {"gb-state", &Usage::state_gb, 1e9, "GB", "on /mnt/data"},
    {"percent-cold", &Usage::cold_percent, 100, "%", "of it untouched for 30 days"},
    {"gb-artifacts", &Usage::artifacts_gb, 1e9, "GB", "in the buckets"},
    {"gb-images", &Usage::image_gb, 1e9, "GB", "of images kept"},
    {"gb-flow-logs", &Usage::flow_log_gb, 1e9, "GB", "of flow logs a month"},
    {"tasks", &Usage::tasks, 1e6, "", "that run on average (default: tasks.count)"},
    {"percent-spot", &Usage::spot_percent, 100, "%", "that Spot is cheaper"},
};

}  // namespace

std::span<const UsageField> usage_fields() { return fields; }

std::string_view to_string(CostGroup group) {
  switch (group) {
    case CostGroup::compute: return "compute";
    case CostGroup::network: return "network";
    case CostGroup::storage: return "storage";
    case CostGroup::monitoring: return "monitoring";
    case CostGroup::security: return "security";
  }
  return "";
}

double Estimate::total() const {
  double sum = 0;
  for (const CostLine& line : lines) sum += line.usd;
  return sum;
}

double Estimate::total(CostGroup group) const {
  double sum = 0;
  for (const CostLine& line : lines) sum += line.group == group ? line.usd : 0;
  return sum;
}

double Estimate::standing() const {
  double sum = 0;
  for (const CostLine& line : lines) sum += line.by_use ? 0 : line.usd;
  return sum;
}

TaskSplit split_tasks(const model::AwsSpec& aws, double count) {
  if (aws.spot_weight == 0) return {.on_demand = count, .spot = 0};
  double base = std::min(count, static_cast<double>(aws.spot_base));
  double further = count - base;
  // ECS fills by weight: one task in (weight + 1) is on demand.
  double on_demand = std::floor(further / (static_cast<double>(aws.spot_weight) + 1));
  return {.on_demand = base + on_demand, .spot = further - on_demand};
}

double running_hours(const ScalingSpec& scaling) {
  if (!scaling.hours) return hours_per_month;
  double minutes = minutes_of(scaling.hours->to) - minutes_of(scaling.hours->from);
  if (minutes <= 0) minutes += 24 * 60;
  return minutes / 60 * days_a_week(scaling.hours->days) * hours_per_month / (24 * 7);
}

Estimate estimate(const model::Spec& spec, const Inventory& inventory, const Usage& usage,
                  const Prices& prices) {
  double tasks = usage.tasks >= 0 ? usage.tasks : static_cast<double>(spec.tasks.count);
  Estimate result{.region = spec.aws.region,
                  .priced_as = prices.priced_as(spec.aws.region),
                  .date = prices.date,
                  .task_hours = running_hours(spec.scaling),
                  .lines = {}};
  Bill bill(inventory, usage, prices, tasks, result.task_hours);
  bill.compute(spec);
  bill.balancer();
  bill.way_out(spec);
  bill.to_clients();
  bill.storage();
  bill.logs(spec);
  bill.metrics(spec);
  bill.security(spec);
  result.lines = bill.take();
  return result;
}

std::vector<CostLine> million_calls(const model::Spec& spec, const Inventory& inventory, const Usage& usage,
                                    const Prices& prices) {
  Usage more = usage;
  more.calls += 1e6;
  Estimate before = estimate(spec, inventory, usage, prices);
  Estimate after = estimate(spec, inventory, more, prices);
  std::vector<CostLine> lines;
  for (std::size_t i = 0; i < after.lines.size(); ++i) {
    CostLine line = after.lines[i];
    line.usd -= before.lines[i].usd;
    if (line.usd >= 0.005) lines.push_back(std::move(line));
  }
  std::ranges::stable_sort(lines, std::ranges::greater{}, &CostLine::usd);
  return lines;
}

boost::json::object to_json(const Estimate& estimate) {
  auto cents = [](double usd) { return std::round(usd * 100) / 100; };
  boost::json::array lines;
  for (const CostLine& line : estimate.lines) {
    lines.push_back({{"group", to_string(line.group)},
                     {"item", line.item},
                     {"quantity", line.quantity},
                     {"usd", cents(line.usd)},
                     {"by_use", line.by_use}});
  }
  return {{"region", estimate.region},
          {"priced_as", estimate.priced_as},
          {"prices_of", estimate.date},
          {"currency", "USD"},
          {"task_hours", estimate.task_hours},
          {"month", cents(estimate.total())},
          {"standing", cents(estimate.standing())},
          {"lines", std::move(lines)}};
}

}  // namespace berth::deploy
