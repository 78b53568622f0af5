#pragma once

#include <optional>
#include <string>
#include <vector>

#include "deploy/plan.h"
#include "deploy/template.h"
#include "model/spec.h"

/// `berth plan` as text and as JSON. Pure.
namespace berth::cli {

struct PlanPicture {
  const model::Spec& spec;
  const deploy::Template& base;
  const deploy::Template& service;
  std::optional<deploy::LivePlan> live;
  std::string not_live;  ///< why AWS could not be asked; empty: it was
};
std::string plan_text(const PlanPicture& plan, std::size_t columns, bool colour);
std::string plan_json(const PlanPicture& plan);

}  // namespace berth::cli
