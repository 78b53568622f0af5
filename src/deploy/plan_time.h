#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "deploy/progress.h"
#include "model/spec.h"

/// How long a deploy takes, as a model of published service times. Pure.
namespace berth::deploy {

struct TimeStep {
  Phase phase = Phase::check;  ///< in which it shows
  std::string_view what;
  unsigned seconds = 0;
  std::string_view source;
};
/// The critical path alone: what runs beside something longer does not count.
struct TimeModel {
  std::vector<TimeStep> steps;
  std::chrono::seconds total() const;
  /// Zero: the model has no time for it.
  std::chrono::seconds of(Phase phase) const;
};
TimeModel first_deploy(const model::Spec& spec);
/// A new image on a service that runs.
TimeModel image_update(const model::Spec& spec);

/// What of it is CloudFront's.
std::chrono::seconds cloudfront_time(const TimeModel& model);

/// "5 min 10 s", "85 s".
std::string in_words(std::chrono::seconds time);
/// "5 min", "85 s": a model is not exact to the second.
std::string roughly(std::chrono::seconds time);

}  // namespace berth::deploy
