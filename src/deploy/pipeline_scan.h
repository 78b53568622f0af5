#pragma once

#include <map>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "deploy/progress.h"
#include "model/spec.h"

/// What the registry's scan found in an image.
namespace berth::deploy {

using Severity = model::ImageSpec::Severity;

struct ScanFinding {
  std::string name;  ///< "CVE-2026-1234"
  Severity severity = Severity::none;
  std::string package;
  std::string description;
};
struct Scan {
  enum class State : std::uint8_t { complete, unsupported, failed, pending } state = State::pending;
  std::string reason;
  std::map<Severity, std::size_t> counts;
  std::vector<ScanFinding> findings;  ///< the worst first
};
std::string_view to_string(Severity severity);

/// Findings at or above `stop_at`; none when it is `none`.
std::vector<ScanFinding> stopping(const Scan& scan, Severity stop_at);
/// "2 high, 5 medium", "nothing found".
std::string summary_of(const Scan& scan);

/// Awaits the scan on push; starts one when there is none. `pending` after `timeout`.
Task<aws::Reply<Scan>> await_scan(aws::Client& client, Clock& clock, std::string repository,
                                  std::string digest, Duration timeout);

}  // namespace berth::deploy
