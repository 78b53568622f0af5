#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/spec.h"

/// What `berth up` allows and AWS does not. Asked by the verbs that deploy, not by the reading of the file,
/// which knows nothing of where the service will run.
namespace berth::model {

/// Why Fargate runs no task of this size, with the sizes it runs; empty if it does. `cpu` in vCPUs.
std::string fargate_size_problem(double cpu, std::uint64_t memory_bytes);

/// Everything that keeps `spec` from being deployed, one sentence each; empty if nothing does.
std::vector<std::string> deploy_problems(const Spec& spec);

/// Keys that the file gives and that mean nothing where the service is to run: blocks about AWS here, and on
/// AWS what its load balancer and ECS do in their own way.
enum class Place : unsigned char { here, aws };
bool means_nothing(std::string_view key, Place place);
std::vector<std::string> keys_without_meaning(const Spec& spec, Place place);

/// Keys of the service's own secret: `variables` without those that aws.secrets takes from elsewhere.
std::vector<std::string> secret_variables(const Spec& spec);

/// Fewest and most tasks, with the defaults filled in (ScalingSpec::min, max).
std::size_t tasks_min(const Spec& spec);
std::size_t tasks_max(const Spec& spec);

}  // namespace berth::model
