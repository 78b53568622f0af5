#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "deploy/document.h"
#include "model/spec.h"

/// Best practices as checks over templates, or over what really runs (read_account() in audit_account.h gives
/// it the same shape). Pure.
namespace berth::deploy {

enum class Gravity : std::uint8_t { low, medium, high };
std::string_view to_string(Gravity gravity);

enum class Verdict : std::uint8_t { passed, failed, not_applicable };
std::string_view to_string(Verdict verdict);

struct AuditResult {
  std::string id;     ///< "tasks-private-subnets"
  std::string area;   ///< "network"
  std::string title;  ///< what holds when it passes: "Tasks are in private subnets"
  Gravity gravity = Gravity::medium;
  Verdict verdict = Verdict::not_applicable;
  std::vector<std::string> resources;  ///< logical ids that fail
  std::string detail;                  ///< what was found, of the first one; empty when it passed
  std::string why;                     ///< what can happen otherwise
  std::string remedy;                  ///< what to change in berth.yaml
};

/// Every check, in the order of the areas.
std::vector<AuditResult> audit(const model::Spec& spec, const Document& document);

/// Whether a check of at least `gravity` failed.
bool fails(const std::vector<AuditResult>& results, Gravity gravity);

boost::json::object to_json(const std::vector<AuditResult>& results);

}  // namespace berth::deploy
