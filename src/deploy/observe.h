#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "aws/client.h"
#include "deploy/rollout.h"
#include "deploy/stack.h"

/// A service on AWS as it stands now: what `berth status` shows and `berth doctor` judges.
namespace berth::deploy {

/// A task that runs, starts or stops.
struct LiveTask {
  std::string id;
  std::string zone;
  std::string status;         ///< "RUNNING", "PENDING", "DEPROVISIONING" …
  std::string health;         ///< of the container: "HEALTHY", "UNHEALTHY", "UNKNOWN"
  std::string address;        ///< private IPv4 address
  std::string target;         ///< at the load balancer: "healthy", "initial", "unhealthy" …; empty: not there
  std::string target_reason;  ///< "Target.Timeout: Request timed out"
  std::string image;
  std::string capacity;  ///< "FARGATE", "FARGATE_SPOT"
  std::string task_definition;
  double started_at = 0;  ///< seconds since the epoch; 0: not started
  bool operator==(const LiveTask&) const = default;
};

struct LiveAlarm {
  std::string name;
  std::string state;  ///< "OK", "ALARM", "INSUFFICIENT_DATA"
  std::string reason;
  std::string description;
  bool scales = false;  ///< sets off scaling and nothing else: that it rings is no fault
  bool operator==(const LiveAlarm&) const = default;
};

struct LiveScaling {
  std::size_t min = 0;
  std::size_t max = 0;
  bool suspended = false;              ///< either direction
  std::vector<std::string> schedules;  ///< "cron(0 20 ? * MON-FRI *) Europe/Berlin: 0 to 0"
  bool operator==(const LiveScaling&) const = default;
};

struct LiveService {
  std::string region;
  StackState stack;
  ServiceState service;
  std::vector<LiveTask> tasks;  ///< by zone
  std::vector<LiveAlarm> alarms;
  std::optional<LiveScaling> scaling;
  std::vector<std::string> gaps;  ///< what could not be asked, and why

  std::string url() const { return stack.output("Url"); }
  std::size_t healthy() const;
};

/// Asks CloudFormation, ECS, ELB, CloudWatch and Application Auto Scaling. A stack that is not there is no
/// fault (`stack.exists()`); nor is what the caller may not see (`gaps`).
Task<aws::Reply<LiveService>> observe(aws::Client& client, std::string service_stack);

/// Running, as many as wanted, and all of them in use by the load balancer.
bool is_healthy(const LiveService& live);

boost::json::object to_json(const LiveService& live);

}  // namespace berth::deploy
