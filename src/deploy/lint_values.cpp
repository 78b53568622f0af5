#include "deploy/lint_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace berth::deploy {
namespace {

struct Attribute {
  AttributeOf owner;
  std::string_view key;
  std::int64_t min = 0, max = 0;  ///< both 0: no number
  std::string_view choices = {};  ///< divided by '|'
};

using enum AttributeOf;
constexpr std::string_view flag = "true|false";

constexpr std::array attributes{
    Attribute{load_balancer, "idle_timeout.timeout_seconds", 1, 4000},
    Attribute{load_balancer, "client_keep_alive.seconds", 60, 604'800},
    Attribute{load_balancer, "deletion_protection.enabled", 0, 0, flag},
    Attribute{load_balancer, "load_balancing.cross_zone.enabled", 0, 0, "true"},
    Attribute{load_balancer, "access_logs.s3.enabled", 0, 0, flag},
    Attribute{load_balancer, "access_logs.s3.bucket"},
    Attribute{load_balancer, "access_logs.s3.prefix"},
    Attribute{load_balancer, "connection_logs.s3.enabled", 0, 0, flag},
    Attribute{load_balancer, "connection_logs.s3.bucket"},
    Attribute{load_balancer, "connection_logs.s3.prefix"},
    Attribute{load_balancer, "health_check_logs.s3.enabled", 0, 0, flag},
    Attribute{load_balancer, "health_check_logs.s3.bucket"},
    Attribute{load_balancer, "health_check_logs.s3.prefix"},
    Attribute{load_balancer, "ipv6.deny_all_igw_traffic", 0, 0, flag},
    Attribute{load_balancer, "zonal_shift.config.enabled", 0, 0, flag},
    Attribute{load_balancer, "routing.http.desync_mitigation_mode", 0, 0, "monitor|defensive|strictest"},
    Attribute{load_balancer, "routing.http.drop_invalid_header_fields.enabled", 0, 0, flag},
    Attribute{load_balancer, "routing.http.preserve_host_header.enabled", 0, 0, flag},
    Attribute{load_balancer, "routing.http.x_amzn_tls_version_and_cipher_suite.enabled", 0, 0, flag},
    Attribute{load_balancer, "routing.http.xff_client_port.enabled", 0, 0, flag},
    Attribute{load_balancer, "routing.http.xff_header_processing.mode", 0, 0, "append|preserve|remove"},
    Attribute{load_balancer, "routing.http2.enabled", 0, 0, flag},
    Attribute{load_balancer, "waf.fail_open.enabled", 0, 0, flag},
    Attribute{target_group, "deregistration_delay.timeout_seconds", 0, 3600},
    Attribute{target_group, "slow_start.duration_seconds", 30, 900},
    Attribute{target_group, "stickiness.enabled", 0, 0, flag},
    Attribute{target_group, "stickiness.type", 0, 0, "lb_cookie|app_cookie"},
    Attribute{target_group, "stickiness.app_cookie.cookie_name"},
    Attribute{target_group, "stickiness.app_cookie.duration_seconds", 1, 604'800},
    Attribute{target_group, "stickiness.lb_cookie.duration_seconds", 1, 604'800},
    Attribute{target_group, "load_balancing.algorithm.type", 0, 0,
              "round_robin|least_outstanding_requests|weighted_random"},
    Attribute{target_group, "load_balancing.algorithm.anomaly_mitigation", 0, 0, "on|off"},
    Attribute{target_group, "load_balancing.cross_zone.enabled", 0, 0,
              "true|false|use_load_balancer_configuration"},
    Attribute{target_group, "target_group_health.dns_failover.minimum_healthy_targets.count"},
    Attribute{target_group, "target_group_health.dns_failover.minimum_healthy_targets.percentage"},
    Attribute{target_group, "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"},
    Attribute{target_group, "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"},
    Attribute{listener, "routing.http.response.server.enabled", 0, 0, flag},
};

/// TLS 1.2 at least; with and without post-quantum key exchange or FIPS. Others of AWS allow older versions.
constexpr std::array<std::string_view, 11> policies{"ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
                                                    "ELBSecurityPolicy-TLS13-1-2-PQ-2025-09",
                                                    "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
                                                    "ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09",
                                                    "ELBSecurityPolicy-TLS13-1-2-Ext2-PQ-2025-09",
                                                    "ELBSecurityPolicy-TLS13-1-3-2021-06",
                                                    "ELBSecurityPolicy-TLS13-1-2-2021-06",
                                                    "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
                                                    "ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06",
                                                    "ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06",
                                                    "ELBSecurityPolicy-TLS-1-2-2017-01"};

bool is_choice(std::string_view choices, std::string_view value) {
  for (;;) {
    std::size_t end = choices.find('|');
    if (choices.substr(0, end) == value) return true;
    if (end == std::string_view::npos) return false;
    choices.remove_prefix(end + 1);
  }
}

/// Names of header fields and values that a listener adds: any text.
bool is_header_attribute(std::string_view key) {
  return (key.starts_with("routing.http.request.x_amzn_") && key.ends_with(".header_name")) ||
         (key.starts_with("routing.http.response.") && key.ends_with(".header_value"));
}

}  // namespace

std::string attribute_problem(AttributeOf owner, std::string_view key, std::string_view value) {
  if (owner == listener && is_header_attribute(key)) return {};
  auto same = [&](const Attribute& known) { return known.owner == owner && known.key == key; };
  auto known = std::ranges::find_if(attributes, same);
  if (known == attributes.end()) return "is no attribute that it has";
  if (value.empty()) return {};
  if (!known->choices.empty()) {
    return is_choice(known->choices, value) ? std::string()
                                            : fmt::format("is {}, not one of {}", value, known->choices);
  }
  if (known->max == 0) return {};
  std::int64_t number = 0;
  auto [last, wrong] = std::from_chars(value.data(), value.data() + value.size(), number);
  bool good = wrong == std::errc() && last == value.data() + value.size() && number >= known->min &&
              number <= known->max;
  if (owner == target_group && key == "slow_start.duration_seconds" && value == "0") good = true;
  return good ? std::string()
              : fmt::format("is {}, not a number from {} to {}", value, known->min, known->max);
}

std::string ssl_policy_problem(std::string_view name) {
  if (std::ranges::find(policies, name) != policies.end()) return {};
  if (name.starts_with("ELBSecurityPolicy-TLS13-1-") && name.contains("-FIPS-") &&
      (name.contains("1-2") || name.contains("1-3")))
    return {};
  bool old = name.contains("TLS13-1-0") || name.contains("TLS13-1-1") || name.contains("-2016-08") ||
             name.contains("TLS-1-1") || name.contains("TLS-1-0") || name.contains("-2015-05");
  return old ? "allows TLS before 1.2" : "is no policy that AWS has";
}

}  // namespace berth::deploy
