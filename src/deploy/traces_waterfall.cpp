#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "deploy/traces.h"

namespace berth::deploy {
namespace {

constexpr std::size_t name_columns_max = 44;
constexpr std::size_t bar_columns_min = 10;
constexpr std::size_t depth_max = 32;

/// Columns of UTF-8 text; one a character.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }));
}

std::string clip(std::string text, std::size_t columns) {
  if (width(text) <= columns) return text;
  while (!text.empty() && width(text) >= columns) {
    do {
      const bool continues = (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80;
      text.pop_back();
      if (!continues) break;
    } while (!text.empty());
  }
  return text + "…";
}

struct Row {
  const Span* span;
  std::size_t depth;
};

/// Children below their parents, each level by time; spans whose parent is missing stand at the top. A circle
/// of parents, which no tracer writes, ends at what was shown already.
class Tree {
 public:
  explicit Tree(const Trace& trace) : trace_(trace) {
    std::set<std::string> ids;
    for (const Span& span : trace.spans) ids.insert(span.id);
    for (const Span& span : trace.spans) {
      if (!ids.contains(span.parent) || span.parent == span.id) tops_.push_back(&span);
    }
    if (tops_.empty() && !trace.spans.empty()) tops_.push_back(&trace.spans.front());
    by_time(tops_);
  }

  std::vector<Row> rows() {
    for (const Span* top : tops_) add(top, 0);
    return std::move(rows_);
  }

 private:
  static void by_time(std::vector<const Span*>& spans) {
    std::ranges::stable_sort(spans, {}, [](const Span* span) { return span->start_s; });
  }

  void add(const Span* span, std::size_t depth) {
    if (!shown_.insert(span).second || depth > depth_max) return;
    rows_.push_back({span, depth});
    std::vector<const Span*> children;
    for (const Span& other : trace_.spans) {
      if (other.parent == span->id && &other != span) children.push_back(&other);
    }
    by_time(children);
    for (const Span* child : children) add(child, depth + 1);
  }

  const Trace& trace_;
  std::vector<const Span*> tops_;
  std::set<const Span*> shown_;
  std::vector<Row> rows_;
};

std::string duration(double seconds) {
  if (seconds >= 10) return fmt::format("{:.0f} s", seconds);
  if (seconds >= 1) return fmt::format("{:.1f} s", seconds);
  if (seconds >= 0.01) return fmt::format("{:.0f} ms", seconds * 1e3);
  return fmt::format("{:.1f} ms", seconds * 1e3);
}

std::string bar(const Span& span, double start_s, double whole_s, std::size_t columns) {
  if (whole_s <= 0) return "█";
  const double scale = static_cast<double>(columns) / whole_s;
  const auto from = static_cast<std::size_t>(
      std::clamp((span.start_s - start_s) * scale, 0.0, static_cast<double>(columns - 1)));
  const auto length = static_cast<std::size_t>(std::ceil(span.duration_s * scale));
  std::string out(from, ' ');
  for (std::size_t i = 0; i < std::clamp<std::size_t>(length, 1, columns - from); ++i) out += "█";
  return out;
}

std::string name_of(const Row& row) {
  std::string name = std::string(2 * row.depth, ' ') + row.span->name;
  const auto tool = row.span->attributes.find("gen_ai.tool.name");
  if (tool != row.span->attributes.end() && name.find(tool->second) == std::string::npos)
    name += " " + tool->second;
  return clip(name, name_columns_max);
}

}  // namespace

std::string waterfall(const Trace& trace, std::size_t columns) {
  std::vector<Row> rows = Tree(trace).rows();
  std::size_t name_columns = 0;
  for (const Row& row : rows) name_columns = std::max(name_columns, width(name_of(row)));
  const std::size_t taken = name_columns + 16;
  const std::size_t bar_columns = std::max(bar_columns_min, columns > taken ? columns - taken : 0);
  std::string out;
  for (const Row& row : rows) {
    const std::string name = name_of(row);
    out += fmt::format("  {} {}{}  {:>8}  {}\n", row.span->failed ? "✗" : " ", name,
                       std::string(name_columns - width(name), ' '), duration(row.span->duration_s),
                       bar(*row.span, trace.start_s(), trace.duration_s(), bar_columns));
    if (row.span->failed && !row.span->error.empty()) {
      out += fmt::format("    {}{}\n", std::string(2 * row.depth, ' '), clip(row.span->error, columns));
    }
  }
  return out;
}

}  // namespace berth::deploy
