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

/// No line is wider than `columns` (at least 72).
std::string cost_text(const CostReport& report, std::size_t columns, bool colour);
/// Pretty JSON with a line break at its end.
std::string cost_json(const CostReport& report);

struct AuditReport {
  std::string service;
  const std::vector<deploy::AuditResult>& results;
  bool every = false;                                 ///< passed checks too, one a line
  deploy::Gravity gravity = deploy::Gravity::medium;  ///< from which on a failure makes the exit code 1
};
std::string audit_text(const AuditReport& report, std::size_t columns, bool colour);

}  // namespace berth::cli
