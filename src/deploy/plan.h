#pragma once

#include <boost/json.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "deploy/drift.h"
#include "deploy/stack.h"
#include "deploy/template.h"
#include "model/spec.h"

/// `berth plan`: what a deploy would make or change, before it does.
namespace berth::deploy {

/// One kind of thing that is made.
struct PlannedKind {
  std::string box;               ///< "network", "load balancer": by what the type belongs to
  std::string type;              ///< "AWS::EC2::Subnet"
  std::vector<std::string> ids;  ///< logical ids
};
/// Resources of both templates by box, the boxes in the order in which a request passes them.
std::vector<PlannedKind> planned_resources(const Template& base, const Template& service);

/// One statement of a role of the service.
struct PlannedPermission {
  std::string role;  ///< logical id: "TaskRole", "ExecutionRole"
  std::vector<std::string> actions;
  std::vector<std::string> resources;
};
std::vector<PlannedPermission> planned_permissions(const Template& base, const Template& service);

/// What a change does to those who use the service: an outage, a new address, data that is left behind; empty
/// when nobody notices. Replacing the task definition is how every update goes, and interrupts nothing.
std::string interrupts(const ResourceChange& change);

/// What only the account can tell.
struct LivePlan {
  std::string region;
  std::string account;
  bool base_stands = false;
  bool service_stands = false;
  std::string service_stack;  ///< its name
  std::string status;         ///< of the service stack; empty: there is none
  std::string blocker;        ///< a sentence when a deploy would have to do something first
  std::vector<ResourceChange> base_changes;
  std::vector<ResourceChange> changes;
  std::vector<Drift> drift;
  std::vector<std::string> scaled;     ///< what scaling has set meanwhile (DriftReport)
  std::vector<std::string> not_asked;  ///< what could not be asked, and why
};

struct LivePlanOptions {
  model::Spec spec;
  bool drift = true;
  Duration drift_timeout = std::chrono::minutes(2);
};
/// Asks the account. For a stack that stands a real change set is made, described and deleted. A question
/// that is refused becomes a line of `not_asked`; only without credentials there is no plan at all.
Task<Result<LivePlan>> ask_account(aws::Client& client, Clock& clock, LivePlanOptions options);

boost::json::object to_json(const ResourceChange& change);

}  // namespace berth::deploy
