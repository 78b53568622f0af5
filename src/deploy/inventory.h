#pragma once

#include "deploy/document.h"
#include "model/spec.h"

namespace berth::deploy {

/// What a deployed service is billed for, counted from its templates.
struct Inventory {
  double vcpu = 0;       ///< of one task, as Fargate sells it
  double memory_gb = 0;  ///< likewise
  bool arm = false;
  std::size_t zones = 0;  ///< that tasks run in
  std::size_t load_balancers = 0;
  std::size_t balancer_addresses = 0;  ///< public IPv4: one a zone of a load balancer that faces the internet
  std::size_t nat_gateways = 0;
  std::size_t nat_addresses = 0;
  std::size_t endpoint_zones = 0;  ///< interface endpoints, each counted once a zone
  std::size_t file_systems = 0;
  bool backups = false;
  std::size_t repositories = 0;
  std::size_t secrets = 0;
  std::size_t alarms = 0;
  std::size_t high_resolution_alarms = 0;
  std::size_t dashboards = 0;
  std::size_t distributions = 0;
  std::size_t web_acls = 0;
  std::size_t web_acl_rules = 0;
  std::size_t flow_logs = 0;  ///< kept by CloudWatch
  std::size_t flow_logs_to_s3 = 0;
  std::size_t delivery_streams = 0;
  std::size_t keys = 0;          ///< KMS keys of its own
  bool insights = false;         ///< Container Insights with enhanced observability
  bool high_resolution = false;  ///< 20-second metrics of the service
  bool operator==(const Inventory&) const = default;
};

Inventory take_inventory(const model::Spec& spec, const Document& document);

}  // namespace berth::deploy
