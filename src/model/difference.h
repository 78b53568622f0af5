#pragma once

#include <string>
#include <vector>

#include "model/spec.h"

namespace berth::model {

/// What `now` says otherwise than `before`: keys as paths, "tasks.count", "server.env", "servers.git" for a
/// server that is new or gone.
std::vector<std::string> differing_keys(const Spec& before, const Spec& now);

}  // namespace berth::model
