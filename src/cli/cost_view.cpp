#include "cli/cost_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/text.h"
#include "model/units.h"

namespace berth::cli {
namespace {

using deploy::CostGroup;
using deploy::CostLine;
using deploy::Usage;

constexpr std::size_t columns_min = 72;
constexpr std::size_t columns_max = 100;
constexpr std::size_t cell_width_max = 36;
constexpr std::size_t money_width = 10;

/// Two cells of one width, then the money.
struct Layout {
  std::size_t columns = 0;
  std::size_t cell = 0;
};

Layout layout_of(std::size_t columns) {
  const std::size_t used = std::clamp(columns, columns_min, columns_max);
  return {.columns = used, .cell = std::min(cell_width_max, (used - money_width - 6) / 2)};
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out = clip(text, width);
  return out + std::string(width - display_width(out), ' ');
}

std::string money(double usd) { return usd > 0 && usd < 0.005 ? "< 0.01" : fmt::format("{:.2f}", usd); }

std::string row(const Layout& layout, std::string_view item, std::string_view quantity,
                std::string_view amount) {
  return fmt::format("    {}  {}{:>{}}\n", padded(item, layout.cell), padded(quantity, layout.cell), amount,
                     money_width);
}

std::string head_row(const Layout& layout, std::string_view title, double usd, bool colour) {
  std::size_t width = 2 * layout.cell + 4;
  return fmt::format("  {}{}\n", paint(Paint::bold, padded(title, width), colour),
                     paint(Paint::bold, fmt::format("{:>{}}", money(usd), money_width), colour));
}

/// What an assumption is: below 0 tasks are those of the spec, and a discount that of the price file.
std::string shown(const deploy::UsageField& field, const CostReport& report) {
  double value = report.usage.*field.value;
  if (field.value == &Usage::tasks && value < 0) return "tasks.count";
  if (field.value == &Usage::spot_percent && value < 0) return "70";
  return model::format_number(value);
}

std::string assumptions(const CostReport& report, const Layout& layout, bool colour) {
  std::string out = "  Assumed; each option says it otherwise:\n";
  std::vector<std::vector<Cell>> rows;
  for (const deploy::UsageField& field : deploy::usage_fields()) {
    std::string meaning =
        field.unit.empty() ? std::string(field.meaning) : fmt::format("{} {}", field.unit, field.meaning);
    rows.push_back({{fmt::format("--{}", field.option), Paint::cyan}, {shown(field, report)}, {meaning}});
  }
  return out + table(rows, 4, colour, layout.columns);
}

std::string million_text(const CostReport& report, const Layout& layout) {
  constexpr std::size_t lines_shown = 4;
  double sum = 0;
  double others = 0;
  std::string parts;
  for (std::size_t i = 0; i < report.million_calls.size(); ++i) {
    const CostLine& line = report.million_calls[i];
    sum += line.usd;
    if (i >= lines_shown) {
      others += line.usd;
    } else {
      parts += fmt::format("{}{:.2f} for {}", i == 0 ? ": " : ", ", line.usd, line.item);
    }
  }
  if (others > 0) parts += fmt::format(", {:.2f} for the rest", others);
  return wrap(fmt::format("A million calls more cost ${:.2f}{}.", sum, parts), layout.columns, 2);
}

std::string what_if_text(const CostReport& report, const Layout& layout, bool colour) {
  if (report.what_if.empty()) return "";
  std::vector<std::vector<Cell>> rows{
      {{"as it is"}, {fmt::format("{:>8}", money(report.estimate.total()))}, {""}, {""}}};
  for (const deploy::WhatIf& one : report.what_if) {
    const Paint side = one.difference < 0 ? Paint::green : Paint::yellow;
    rows.push_back({{one.name},
                    {fmt::format("{:>8}", money(one.usd))},
                    {fmt::format("{:>+8.2f}", one.difference), side},
                    {one.note}});
  }
  return fmt::format("  {}\n{}\n", paint(Paint::bold, "What if", colour),
                     table(rows, 4, colour, layout.columns));
}

std::string prices_text(const deploy::Estimate& estimate, const Layout& layout) {
  std::string text = fmt::format("List prices of {} in USD, as of {}, without tax, free tiers and discounts.",
                                 estimate.priced_as, estimate.date);
  if (estimate.region.empty()) {
    text += " aws.region is not set.";
  } else if (estimate.region != estimate.priced_as) {
    text += fmt::format(" Those of {} are not known to this program; many regions are 5 to 30 % dearer.",
                        estimate.region);
  }
  return wrap(text, layout.columns, 2);
}

boost::json::array lines_json(const std::vector<CostLine>& lines) {
  boost::json::array out;
  for (const CostLine& line : lines)
    out.push_back({{"item", line.item}, {"usd", std::round(line.usd * 100) / 100}});
  return out;
}

Paint paint_of(deploy::Gravity gravity) {
  return gravity == deploy::Gravity::high     ? Paint::red
         : gravity == deploy::Gravity::medium ? Paint::yellow
                                              : Paint::none;
}

std::string failure_text(const deploy::AuditResult& result, std::size_t columns, bool colour) {
  std::string out = fmt::format("    {} {}  {}\n", paint(Paint::red, "✗", colour), result.title,
                                paint(paint_of(result.gravity), deploy::to_string(result.gravity), colour));
  std::string resources;
  for (const std::string& resource : result.resources) {
    resources += fmt::format("{}{}", resources.empty() ? "" : ", ", resource);
  }
  std::string found = resources.empty() ? result.detail : fmt::format("{}: {}", resources, result.detail);
  out += wrap(found, columns, 6);
  std::string why = wrap(result.why, columns, 6);
  why.pop_back();
  out += paint(Paint::dim, why, colour) + "\n";
  return out + fit(fmt::format("      → {}\n", result.remedy), columns);
}

}  // namespace

std::string cost_text(const CostReport& report, std::size_t columns, bool colour) {
  const Layout layout = layout_of(columns);
  const deploy::Estimate& estimate = report.estimate;
  std::string where = estimate.region.empty() ? "" : " in " + estimate.region;
  std::string out = fmt::format("{}{}: about {} a month, {} of it without a single call\n\n", report.service,
                                where, paint(Paint::bold, fmt::format("${:.2f}", estimate.total()), colour),
                                fmt::format("${:.2f}", estimate.standing()));
  for (CostGroup group : {CostGroup::compute, CostGroup::network, CostGroup::storage, CostGroup::monitoring,
                          CostGroup::security}) {
    bool any = std::ranges::any_of(estimate.lines, [&](const CostLine& line) { return line.group == group; });
    if (!any) continue;
    out += head_row(layout, deploy::to_string(group), estimate.total(group), colour);
    for (const CostLine& line : estimate.lines) {
      if (line.group == group) out += row(layout, line.item, line.quantity, money(line.usd));
    }
  }
  out += head_row(layout, "a month", estimate.total(), colour) + "\n";
  out += million_text(report, layout) + "\n";
  out += what_if_text(report, layout, colour);
  out += assumptions(report, layout, colour) + "\n" + prices_text(estimate, layout);
  if (report.what_if.empty()) out += "  `berth cost --what-if` compares other ways to build it.\n";
  return out;
}

std::string cost_json(const CostReport& report) {
  boost::json::object out{{"service", report.service}};
  for (const boost::json::key_value_pair& member : deploy::to_json(report.estimate)) out.insert(member);
  out["million_calls"] = lines_json(report.million_calls);
  boost::json::object assumed;
  for (const deploy::UsageField& field : deploy::usage_fields()) {
    const double value = report.usage.*field.value;
    // Not assumed: what berth.yaml or the price file says.
    assumed[field.option] = value < 0 ? boost::json::value(nullptr) : boost::json::value(value);
  }
  out["assumptions"] = std::move(assumed);
  if (!report.what_if.empty()) {
    boost::json::array rows;
    for (const deploy::WhatIf& one : report.what_if) {
      rows.push_back({{"name", one.name},
                      {"month", std::round(one.usd * 100) / 100},
                      {"difference", std::round(one.difference * 100) / 100},
                      {"note", one.note}});
    }
    out["what_if"] = std::move(rows);
  }
  return pretty_json(boost::json::serialize(out)) + "\n";
}

std::string audit_text(const AuditReport& report, std::size_t columns, bool colour) {
  const std::vector<deploy::AuditResult>& results = report.results;
  const std::size_t used = std::clamp(columns, columns_min, columns_max);
  using deploy::Verdict;
  auto count = [&](Verdict verdict) {
    return std::ranges::count(results, verdict, &deploy::AuditResult::verdict);
  };
  auto failed = count(Verdict::failed);
  auto other = count(Verdict::not_applicable);
  std::string out =
      fmt::format("{}: {} checks pass, {} fail{}\n", report.service, count(Verdict::passed),
                  paint(failed == 0 ? Paint::green : Paint::red, fmt::format("{}", failed), colour),
                  other == 0 ? "" : fmt::format(", {} do not apply", other));
  out += "\n";
  std::string area;
  for (const deploy::AuditResult& result : results) {
    if (result.area != area) {
      area = result.area;
      auto here = [&](Verdict verdict) {
        return std::ranges::count_if(results, [&](const deploy::AuditResult& one) {
          return one.area == area && one.verdict == verdict;
        });
      };
      auto passed = here(Verdict::passed);
      out += fmt::format("  {}{} of {}\n", paint(Paint::bold, padded(area, 18), colour), passed,
                         passed + here(Verdict::failed));
    }
    if (result.verdict == Verdict::failed) {
      out += failure_text(result, used, colour);
    } else if (report.every) {
      bool passed = result.verdict == Verdict::passed;
      out += fmt::format("    {} {}{}\n", passed ? paint(Paint::green, "✓", colour) : std::string("–"),
                         result.title, passed ? "" : " (does not apply)");
    }
  }
  if (failed > 0 && !deploy::fails(results, report.gravity)) {
    out += fmt::format("\n  None of these is {} or worse, so this counts as passed.\n",
                       deploy::to_string(report.gravity));
  }
  return out;
}

}  // namespace berth::cli
