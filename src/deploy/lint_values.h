#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// What Elastic Load Balancing takes as attributes and TLS policies (ELBv2 API reference,
/// LoadBalancerAttribute and its sisters; user guide, "Security policies"). CloudFormation types them as
/// plain text, so that a slip is found when the stack is half made, or never.
namespace berth::deploy {

enum class AttributeOf : std::uint8_t { load_balancer, target_group, listener };

/// What is wrong with an attribute of an application load balancer, to follow its name; empty if nothing is.
/// An empty `value` is one that is only known when the stack is made.
std::string attribute_problem(AttributeOf owner, std::string_view key, std::string_view value);

/// What is wrong with a TLS policy of a listener; empty if nothing is.
std::string ssl_policy_problem(std::string_view name);

}  // namespace berth::deploy
