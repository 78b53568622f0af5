#include "monitoring/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace berth::monitoring {

namespace {

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char byte : text) {
    if (byte == '\\')
      out += "\\\\";
    else if (byte == '\n')
      out += "\\n";
    else if (byte == '"' && quotes)
      out += "\\\"";
    else
      out += byte;
  }
}

void append_number(std::string& out, double value) {
  if (std::isnan(value))
    out += "NaN";
  else if (std::isinf(value))
    out += value > 0 ? "+Inf" : "-Inf";
  else
    fmt::format_to(std::back_inserter(out), "{}", value);
}

void append_labels(std::string& out, Labels labels, std::string_view last_name = {},
                   std::string_view last = {}) {
  if (labels.size() == 0 && last_name.empty()) return;
  char before = '{';
  const auto append = [&](std::string_view name, std::string_view value) {
    out += before;
    out.append(name).append("=\"");
    append_escaped(out, value, true);
    out += '"';
    before = ',';
  };
  for (const auto& [name, value] : labels) append(name, value);
  if (!last_name.empty()) append(last_name, last);
  out += '}';
}

void append_sample(std::string& out, std::string_view name, std::string_view suffix, Labels labels,
                   double value) {
  out.append(name).append(suffix);
  append_labels(out, labels);
  out += ' ';
  append_number(out, value);
  out += '\n';
}

}  // namespace

void Histogram::observe(double seconds) {
  const auto bound = std::lower_bound(bounds.begin(), bounds.end(), seconds);
  ++buckets_[static_cast<std::size_t>(bound - bounds.begin())];
  sum_ += seconds;
  ++count_;
}

MetricsWriter::Family& MetricsWriter::family(std::string_view name, std::string_view help,
                                             std::string_view type) {
  for (auto it = families_.rbegin(); it != families_.rend(); ++it) {
    if (it->name != name) continue;
    BERTH_CHECK(it->type == type, "a metric family has one type");
    return *it;
  }
  families_.push_back(Family{std::string(name), std::string(help), type, {}});
  return families_.back();
}

void MetricsWriter::sample(std::string_view name, std::string_view help, std::string_view type, Labels labels,
                           double value) {
  append_sample(family(name, help, type).samples, name, "", labels, value);
}

void MetricsWriter::counter(std::string_view name, std::string_view help, Labels labels, double value) {
  sample(name, help, "counter", labels, value);
}

void MetricsWriter::gauge(std::string_view name, std::string_view help, Labels labels, double value) {
  sample(name, help, "gauge", labels, value);
}

void MetricsWriter::histogram(std::string_view name, std::string_view help, Labels labels,
                              const Histogram& histogram) {
  std::string& out = family(name, help, "histogram").samples;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i <= Histogram::bounds.size(); ++i) {
    below += histogram.buckets()[i];
    std::string bound;
    append_number(bound, i < Histogram::bounds.size() ? Histogram::bounds[i] : INFINITY);
    out.append(name).append("_bucket");
    append_labels(out, labels, "le", bound);
    fmt::format_to(std::back_inserter(out), " {}\n", below);
  }
  append_sample(out, name, "_sum", labels, histogram.sum());
  append_sample(out, name, "_count", labels, static_cast<double>(histogram.count()));
}

std::string MetricsWriter::text() const {
  std::string out;
  for (const Family& family : families_) {
    out.append("# HELP ").append(family.name).append(" ");
    append_escaped(out, family.help, false);
    out.append("\n# TYPE ").append(family.name).append(" ").append(family.type).append("\n");
    out.append(family.samples);
  }
  return out;
}

}  // namespace berth::monitoring
