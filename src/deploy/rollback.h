#pragma once

#include <string>

#include "deploy/rollout.h"
#include "deploy/stack_apply.h"
#include "deploy/template.h"

/// Changes to a deployed service that need no new image: back to the one before, and more or fewer tasks.
namespace berth::deploy {

struct RolledBack {
  std::string from;        ///< image
  std::string to;          ///< image
  bool cancelled = false;  ///< an update in progress was cancelled instead
};
/// Asks, showing both images. An update in progress is cancelled; otherwise the stack's ImageUri becomes
/// that of the newest task definition before the one that runs, whose image differs. Template and
/// parameters stay: what else a deploy changed is taken back by deploying an older berth.yaml. not_found:
/// there is nothing to go back to, or the image is no longer in the repository.
Task<Result<RolledBack>> roll_back(StackWorld world, Names names, bool wait);

struct Scaled {
  std::size_t before = 0;
  ScalePlan plan;
  bool scales_itself = false;  ///< a scalable target is there
  bool waited = false;
};
/// Sets the desired count and, where the service scales by itself, bounds that hold it. 0 is asked about:
/// nobody answers then.
Task<Result<Scaled>> scale(StackWorld world, Names names, std::size_t count, bool wait);
std::string sentence_of(const Scaled& scaled);

}  // namespace berth::deploy
