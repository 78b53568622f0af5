#pragma once

#include "aws/client.h"
#include "base/clock.h"
#include "deploy/diagram.h"
#include "deploy/template.h"

namespace berth::deploy {

/// What runs now, for a drawing: URL, image, tasks with zone, health and capacity, alarms that tell somebody.
/// Changes nothing. not_found when the service is not deployed in the region.
Task<Result<LiveState>> read_live_state(aws::Client& client, Names names, WallTime now);

}  // namespace berth::deploy
