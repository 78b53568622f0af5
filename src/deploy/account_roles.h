#pragma once

#include "aws/client.h"

namespace berth::deploy {

/// Makes the roles with which ECS, load balancers and scaling act in the account, where it has none yet. They
/// would make them themselves at the first use, but IAM takes some seconds to know a new role: in a fresh
/// account the first cluster fails with "Unable to assume the service linked role"
/// (aws-cloudformation/cloudformation-coverage-roadmap#818). Made here, before registry and image, they are
/// known in time. A caller who may not make them goes on: most accounts have them.
Task<Result<void>> make_service_roles(aws::Client& client);

}  // namespace berth::deploy
