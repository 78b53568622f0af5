#pragma once

#include <string>
#include <vector>

#include "deploy/audit.h"
#include "deploy/cost.h"

/// What `berth cost` and `berth audit` print. Pure.
namespace berth::cli {

struct CostReport {
  std::string service;
  deploy::Estimate estimate;
  deploy::Usage usage;
  std::vector<deploy::CostLine> million_calls;
  std::vector<deploy::WhatIf> what_if;  ///< empty: not asked for
};

std::string cost_text(const CostReport& report, bool colour);
/// Pretty JSON with a line break at its end.
std::string cost_json(const CostReport& report);

/// `every`: passed checks too, one a line. `gravity`: from which on a failure makes the exit code 1.
std::string audit_text(const std::string& service, const std::vector<deploy::AuditResult>& results,
                       bool every, deploy::Gravity gravity, bool colour);

}  // namespace berth::cli
