#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "deploy/trouble.h"

/// The ECS service: what runs, what ran before, and whether new tasks become healthy.
namespace berth::deploy {

struct ServiceDeployment {
  std::string id;
  std::string status;   ///< "PRIMARY", "ACTIVE"
  std::string rollout;  ///< "IN_PROGRESS", "COMPLETED", "FAILED"; empty where it is not reported
  std::string reason;
  std::string task_definition;
  std::size_t desired = 0;
  std::size_t running = 0;
  std::size_t failed = 0;
  double created_at = 0;  ///< seconds since the epoch
};

struct ServiceState {
  std::string cluster;
  std::string name;
  std::string arn;
  std::string status;  ///< "ACTIVE"; empty: there is none
  std::size_t desired = 0;
  std::size_t running = 0;
  std::size_t pending = 0;
  std::string task_definition;
  std::vector<ServiceDeployment> deployments;  ///< the primary one first
  std::vector<std::string> events;             ///< oldest first
  std::vector<double> event_times;             ///< of each, seconds since the epoch
  std::vector<std::string> target_groups;
  /// One that was deleted is DRAINING, then INACTIVE, and takes no more orders.
  bool exists() const { return status == "ACTIVE"; }
};

enum class Rollout : std::uint8_t { going, healthy, failed };
/// Pure: whether the newest deployment has come to its end. `healthy_targets`: as the load balancer counts
/// them; nullopt when it was not asked.
Rollout judge(const ServiceState& state, std::optional<std::size_t> healthy_targets);

/// One image that the service has run.
struct Revision {
  std::string task_definition;  ///< ARN
  std::size_t number = 0;
  std::string image;
  double registered_at = 0;
};
/// The newest of `revisions` whose image is not `current`; nullopt when there is none.
std::optional<Revision> previous_of(const std::vector<Revision>& revisions, const std::string& current);

// ---- asking and acting ----

Task<aws::Reply<ServiceState>> describe_service(aws::Client& client, std::string cluster,
                                                std::string service);
/// Revisions of the family of `task_definition`, newest first, deregistered ones too; at most `count_max`.
Task<aws::Reply<std::vector<Revision>>> list_revisions(aws::Client& client, std::string task_definition,
                                                       std::size_t count_max);
/// What the service has said since then (seconds since the epoch), oldest first.
std::vector<std::string> events_since(const ServiceState& state, double since);

/// ECS keeps stopped tasks for an hour: what ended before an operation does not tell how it went.
struct StoppedFilter {
  std::vector<std::string> known;  ///< ids that are left out
  double since = 0;                ///< seconds since the epoch
};
/// Tasks of the service that have stopped, with the last lines of their logs.
Task<aws::Reply<std::vector<TaskEnd>>> stopped_tasks(aws::Client& client, std::string cluster,
                                                     std::string service, StoppedFilter filter);

struct TargetHealth {
  std::size_t healthy = 0;
  std::size_t total = 0;
  std::string reason;  ///< of one that is not: "Target.Timeout: Request timed out"
};
Task<aws::Reply<TargetHealth>> target_health(aws::Client& client, std::string target_group);

/// Starts every task anew with the same image, for secrets that have changed.
Task<aws::Reply<void>> restart_tasks(aws::Client& client, std::string cluster, std::string service);

struct RolloutEnd {
  bool ok = false;
  ServiceState service;
  TargetHealth targets;
  Evidence evidence;
};
struct RolloutOptions {
  std::string cluster;
  std::string service;
  std::string target_group;  ///< empty: not asked
  Duration poll = std::chrono::seconds(2);
  Duration timeout = std::chrono::minutes(20);
};
/// Polls until the newest deployment is healthy or has failed. `on_progress` gets one sentence a change.
Task<aws::Reply<RolloutEnd>> watch_rollout(aws::Client& client, Clock& clock, RolloutOptions options,
                                           std::function<void(const std::string&)> on_progress);

/// What keeps `berth scale` consistent with scaling by itself.
struct ScalePlan {
  std::size_t desired = 0;
  std::size_t min = 0;
  std::size_t max = 0;
  bool changes_target = false;
};
/// `count` is the fewest tasks from now on: with a lower bound an idle service would lose within a minute
/// what somebody has just added. The upper bound is raised where it is in the way.
ScalePlan plan_scale(std::size_t count, std::size_t min, std::size_t max);

}  // namespace berth::deploy
