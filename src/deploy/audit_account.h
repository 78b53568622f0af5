#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "aws/client.h"
#include "deploy/template.h"

/// What really runs in an account, in the shape of the templates, so that the same checks judge it.
namespace berth::deploy {

struct Account {
  boost::json::object base;     ///< {"Resources": …} of the base stack
  boost::json::object service;  ///< likewise; ids of resources of the two stacks are {"Ref": logical id}
  /// What AWS did not say, each a sentence: a missing permission, a resource that somebody deleted.
  std::vector<std::string> unread;
};

/// Asks AWS about the resources of both stacks, one after another; changes nothing. not_found when the
/// service is not deployed in the region.
Task<Result<Account>> read_account(aws::Client& client, Names names);

/// "capacityProviderStrategy" → "CapacityProviderStrategy" in every object of `value`: ECS and ECR answer in
/// one, templates speak the other.
boost::json::value capitalized(const boost::json::value& value);

}  // namespace berth::deploy
