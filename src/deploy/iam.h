#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "model/spec.h"

/// What the person or pipeline that runs `berth deploy` has to be allowed. Pure.
namespace berth::deploy {

/// Characters of a managed policy without white space
/// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
inline constexpr std::size_t policy_characters_max = 6144;

/// The policy document that plan, deploy, the operator's verbs and destroy need for this service: what
/// CloudFormation calls in the user's name for the resource types of the two templates, and what Berth calls
/// itself. Limited to the service's names, the region and the account (any where the spec does not say)
/// wherever IAM can limit it. The templates are documents as compose_base and compose_service return them.
boost::json::object deployer_policy(const model::Spec& spec, const boost::json::object& base,
                                    const boost::json::object& service);

/// `policy` as documents that each fit a managed policy; one when it fits as it is. No statement is cut.
std::vector<boost::json::object> split_policy(const boost::json::object& policy);

/// Resource types of the templates that the table has no row for: none, unless a fragment came without one.
std::vector<std::string> unknown_types(const boost::json::object& base, const boost::json::object& service);

/// Whether some statement of `policy` allows `action` on any resource; wildcards as IAM reads them.
bool allows(const boost::json::object& policy, std::string_view action);

}  // namespace berth::deploy
