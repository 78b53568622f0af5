#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "deploy/stack.h"

/// Drift: what was changed by hand since CloudFormation made it. CloudFormation compares on request, in its
/// own time (seconds to minutes), the properties that a template sets with what is there.
namespace berth::deploy {

/// Both sides as CloudFormation writes them: JSON or text. Empty: nothing.
struct Difference {
  std::string property;  ///< "/SecurityGroupIngress/1"
  std::string expected;
  std::string actual;
  bool operator==(const Difference&) const = default;
};

/// A resource that somebody changed or deleted.
struct Drift {
  std::string stack;
  std::string resource;
  std::string type;
  std::string status;  ///< "MODIFIED", "DELETED"
  std::vector<Difference> differences;
};
/// "TaskSecurityGroup (AWS::EC2::SecurityGroup) MODIFIED; /GroupDescription: a → b".
std::string sentence_of(const Drift& drift);
/// "/DesiredCount: 3 → 5", either side cut where it is long.
std::string sentence_of(const Difference& difference);

/// What a deploy does about it, by what its change set does to the resource: a sentence. Pure.
std::string deploy_does(const Drift& drift, const std::vector<ResourceChange>& changes);

struct DriftReport {
  std::string incomplete;  ///< why not everything could be compared; empty: it could
  std::vector<Drift> drift;
  /// The numbers of tasks that `berth scale`, scaling by itself or hours have set: not by hand, and no deploy
  /// puts them back. "Service /DesiredCount: 3 → 5".
  std::vector<std::string> scaled;
};

/// Asks CloudFormation to look; the id to wait for.
Task<aws::Reply<std::string>> begin_drift(aws::Client& client, std::string stack);
/// Waits until it has looked, at most until `deadline`: then `incomplete` says so.
Task<aws::Reply<DriftReport>> end_drift(aws::Client& client, Clock& clock, std::string stack,
                                        std::string detection, TimePoint deadline);

boost::json::object to_json(const Drift& drift);

}  // namespace berth::deploy
