#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "model/spec.h"

/// How long a deploy takes, as a model of published service times. Pure.
namespace berth::deploy {

struct TimeStep {
  std::string_view what;
  unsigned seconds = 0;
  std::string_view source;
};
/// The critical path alone: what runs beside something longer does not count.
struct TimeModel {
  std::vector<TimeStep> steps;
  std::chrono::seconds total() const;
};
TimeModel first_deploy(const model::Spec& spec);
/// A new image on a service that runs.
TimeModel image_update(const model::Spec& spec);

/// "5 min 10 s", "85 s".
std::string in_words(std::chrono::seconds time);

}  // namespace berth::deploy
