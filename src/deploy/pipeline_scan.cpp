#include "deploy/pipeline_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr Duration scan_poll = std::chrono::seconds(2);
constexpr int findings_pages_max = 20;
// A scan on push is not there at once; one that nobody started within this time is started by us.
constexpr Duration patience = std::chrono::seconds(10);
// Enhanced scanning starts its own and lets nobody else; where it has none of this repository, none ever
// comes.
constexpr Duration enhanced_patience = std::chrono::seconds(60);

struct SeverityName {
  std::string_view name;
  Severity severity;
};
/// ECR knows two more, which are below low.
constexpr SeverityName severity_names[] = {{"CRITICAL", Severity::critical},  {"HIGH", Severity::high},
                                           {"MEDIUM", Severity::medium},      {"LOW", Severity::low},
                                           {"INFORMATIONAL", Severity::none}, {"UNDEFINED", Severity::none},
                                           {"UNTRIAGED", Severity::none}};

Severity severity_of(std::string_view text) {
  const auto* found = std::ranges::find(severity_names, text, &SeverityName::name);
  return found == std::end(severity_names) ? Severity::none : found->severity;
}

std::string attribute(const json::object& finding, std::string_view key) {
  for (const json::value& item : aws::array(finding, "attributes")) {
    if (item.is_object() && aws::text(item.get_object(), "key") == key)
      return aws::text(item.get_object(), "value");
  }
  return {};
}

void take(Scan& scan, const json::object& reply) {
  const json::object& findings = aws::object(reply, "imageScanFindings");
  for (const json::value& item : aws::array(findings, "findings")) {
    if (!item.is_object()) continue;
    const json::object& finding = item.get_object();
    scan.findings.push_back({.name = aws::text(finding, "name"),
                             .severity = severity_of(aws::text(finding, "severity")),
                             .package = attribute(finding, "package_name"),
                             .description = aws::text(finding, "description")});
  }
  for (const json::value& item : aws::array(findings, "enhancedFindings")) {
    if (!item.is_object()) continue;
    const json::object& finding = item.get_object();
    scan.findings.push_back({.name = aws::text(finding, "title"),
                             .severity = severity_of(aws::text(finding, "severity")),
                             .package = {},
                             .description = aws::text(finding, "description")});
  }
  const json::object& counts = aws::object(findings, "findingSeverityCounts");
  if (counts.empty()) return;
  scan.counts.clear();
  for (const auto& [name, count] : counts) {
    if (count.is_number()) scan.counts[severity_of(name)] += count.to_number<std::size_t>();
  }
}

}  // namespace

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::none: return "informational";
    case Severity::low: return "low";
    case Severity::medium: return "medium";
    case Severity::high: return "high";
    case Severity::critical: return "critical";
  }
  return "";
}

std::vector<ScanFinding> stopping(const Scan& scan, Severity stop_at) {
  std::vector<ScanFinding> out;
  if (stop_at == Severity::none) return out;
  for (const ScanFinding& finding : scan.findings) {
    if (finding.severity >= stop_at) out.push_back(finding);
  }
  // The counts are of everything; the list may be cut.
  for (const auto& [severity, count] : scan.counts) {
    const bool listed =
        std::ranges::any_of(out, [&](const ScanFinding& f) { return f.severity == severity; });
    if (severity >= stop_at && count > 0 && !listed)
      out.push_back({.name = fmt::format("{} findings", count), .severity = severity});
  }
  return out;
}

std::string summary_of(const Scan& scan) {
  if (scan.state == Scan::State::unsupported)
    return fmt::format("not scanned: {}",
                       scan.reason.empty() ? "ECR cannot scan such an image" : scan.reason);
  if (scan.state == Scan::State::failed) return fmt::format("the scan failed: {}", scan.reason);
  if (scan.state == Scan::State::pending) return "the scan is not ready";
  std::string out;
  for (auto count = scan.counts.rbegin(); count != scan.counts.rend(); ++count) {
    if (count->second == 0) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count->second, to_string(count->first));
  }
  return out.empty() ? "nothing found" : out;
}

Task<aws::Reply<Scan>> await_scan(aws::Client& client, Clock& clock, std::string repository,
                                  std::string digest, Duration timeout) {
  const TimePoint begin = clock.now();
  bool started = false;
  Scan scan;
  std::string token;
  json::object id{{"imageDigest", digest}};
  for (int pages = 0; pages < findings_pages_max;) {
    json::object input{{"repositoryName", repository}, {"imageId", id}};
    if (!token.empty()) input["nextToken"] = token;
    const auto reply = co_await client.call("ecr", "DescribeImageScanFindings", std::move(input));
    const bool absent = !reply && reply.error().is("ScanNotFoundException");
    if (!reply && !absent) co_return std::unexpected(reply.error());
    const std::string status = absent ? "" : aws::text(aws::object(*reply, "imageScanStatus"), "status");
    if (status == "COMPLETE" || status == "ACTIVE") {
      take(scan, *reply);
      scan.state = Scan::State::complete;
      token = aws::text(*reply, "nextToken");
      ++pages;
      if (!token.empty()) continue;
      break;
    }
    const bool is_under_way = status.empty() || status == "IN_PROGRESS" || status == "PENDING";
    if (!is_under_way) {
      scan.reason = aws::text(aws::object(*reply, "imageScanStatus"), "description");
      if (scan.reason.empty()) scan.reason = status;
      // Basic scanning reports an image without an operating system as failed.
      const bool unsupported =
          status == "UNSUPPORTED_IMAGE" || scan.reason.find("UnsupportedImage") != std::string::npos;
      scan.state = unsupported ? Scan::State::unsupported : Scan::State::failed;
      co_return scan;
    }
    const Duration waited = clock.now() - begin;
    if (waited >= timeout) co_return scan;
    if (absent && !started && waited >= patience) {
      started = true;
      json::object start{{"repositoryName", repository}, {"imageId", id}};
      const auto asked = co_await client.call("ecr", "StartImageScan", std::move(start));
      const bool cannot = !asked && asked.error().is("UnsupportedImageTypeException");
      if (cannot) {
        scan.state = Scan::State::unsupported;
        scan.reason = asked.error().message;
        co_return scan;
      }
      // Another failure (a scan a day is free, enhanced scanning starts its own) leaves the waiting to go on.
      if (!asked) scan.reason = asked.error().message;
    }
    if (absent && !scan.reason.empty() && waited >= enhanced_patience) {
      scan.state = Scan::State::unsupported;
      co_return scan;
    }
    co_await clock.sleep_for(scan_poll);
  }
  std::ranges::stable_sort(scan.findings, std::greater(), &ScanFinding::severity);
  if (scan.counts.empty()) {
    for (const ScanFinding& finding : scan.findings) ++scan.counts[finding.severity];
  }
  co_return scan;
}

}  // namespace berth::deploy
