#include "cli/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "base/utf8.h"

namespace berth::cli {
namespace {

std::string_view code_of(Paint paint) {
  switch (paint) {
    case Paint::none: return "";
    case Paint::bold: return "\x1b[1m";
    case Paint::dim: return "\x1b[2m";
    case Paint::green: return "\x1b[32m";
    case Paint::yellow: return "\x1b[33m";
    case Paint::red: return "\x1b[31m";
    case Paint::cyan: return "\x1b[36m";
  }
  return "";
}

void append_pretty(std::string& out, const boost::json::value& value, std::size_t depth) {
  std::string indent(2 * (depth + 1), ' ');
  if (const boost::json::object* object = value.if_object(); object != nullptr && !object->empty()) {
    out += "{\n";
    for (auto member = object->begin(); member != object->end(); ++member) {
      if (member != object->begin()) out += ",\n";
      out += indent + boost::json::serialize(boost::json::string_view(member->key())) + ": ";
      append_pretty(out, member->value(), depth + 1);
    }
    out += "\n" + std::string(2 * depth, ' ') + "}";
  } else if (const boost::json::array* array = value.if_array(); array != nullptr && !array->empty()) {
    out += "[\n";
    for (auto element = array->begin(); element != array->end(); ++element) {
      if (element != array->begin()) out += ",\n";
      out += indent;
      append_pretty(out, *element, depth + 1);
    }
    out += "\n" + std::string(2 * depth, ' ') + "]";
  } else if (value.is_double()) {
    // With a point it is read back as what it was.
    const std::string number = plain_number(value.get_double());
    out += number + (number.find_first_of(".en") == std::string::npos ? ".0" : "");
  } else {
    out += boost::json::serialize(value);
  }
}

std::vector<std::size_t> widths_of(const std::vector<std::vector<Cell>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::vector<Cell>& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i].text));
  }
  return widths;
}

/// Up to the next blank that is not between backticks.
std::size_t word_end(std::string_view text) {
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '`') quoted = !quoted;
    if (text[at] == ' ' && (!quoted || text.find('`', at) == std::string_view::npos)) return at;
  }
  return text.size();
}

/// One line in parts of at most `columns`; blanks at its end stay, as those of a question.
std::string broken_line(std::string_view line, std::size_t columns) {
  const std::size_t start = std::min(line.find_first_not_of(' '), line.size());
  const std::string indent(line.substr(0, start));
  const std::size_t tail = line.size() - std::min(line.find_last_not_of(' ') + 1, line.size());
  std::string_view rest = line.substr(start, line.size() - start - tail);
  std::string out = indent;
  std::size_t width = start;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, word_end(rest));
    rest.remove_prefix(word.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    const bool first = width == start;
    if (!first && width + 1 + display_width(word) > columns) {
      out += "\n" + indent;
      width = start;
    } else if (!first) {
      out += ' ';
      ++width;
    }
    out += word;
    width += display_width(word);
  }
  return out + std::string(tail, ' ');
}

}  // namespace

std::string paint(Paint paint, std::string_view text, bool colour) {
  if (!colour || paint == Paint::none) return std::string(text);
  return fmt::format("{}{}\x1b[0m", code_of(paint), text);
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string clip(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  std::string out;
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size() && width + 1 < columns; ++width) {
    std::size_t length = std::max<std::size_t>(1, utf8_sequence_length(text.substr(at)));
    out += text.substr(at, length);
    at += length;
  }
  return out + "…";
}

std::string table(const std::vector<std::vector<Cell>>& rows, std::size_t indent, bool colour) {
  const std::vector<std::size_t> widths = widths_of(rows);
  std::string out;
  for (const std::vector<Cell>& row : rows) {
    std::string line(indent, ' ');
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += paint(row[i].paint, row[i].text, colour);
      if (i + 1 < row.size()) line += std::string(widths[i] - display_width(row[i].text) + 2, ' ');
    }
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  }
  return out;
}

std::string table(const std::vector<std::vector<Cell>>& rows, std::size_t indent, bool colour,
                  std::size_t columns) {
  constexpr std::size_t last_column_min = 20;
  const std::vector<std::size_t> widths = widths_of(rows);
  std::size_t before = indent;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) before += widths[i] + 2;
  const std::size_t room = columns > before + last_column_min ? columns - before : last_column_min;
  std::vector<std::vector<Cell>> broken;
  for (const std::vector<Cell>& row : rows) {
    if (row.size() < widths.size() || display_width(row.back().text) <= room) {
      broken.push_back(row);
      continue;
    }
    const std::string wrapped = wrap(row.back().text, room, 0);
    std::string_view lines = wrapped;
    for (bool first = true; !lines.empty(); first = false) {
      const std::size_t end = lines.find('\n');
      std::vector<Cell> part = first ? row : std::vector<Cell>(row.size());
      part.back() = {std::string(lines.substr(0, end)), row.back().paint};
      broken.push_back(std::move(part));
      lines.remove_prefix(end + 1);
    }
  }
  return table(broken, indent, colour);
}

std::string fit(std::string_view text, std::size_t columns) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    out += display_width(line) <= columns ? std::string(line) : broken_line(line, columns);
    if (end == std::string_view::npos) break;
    out += '\n';
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string wrap(std::string_view text, std::size_t columns, std::size_t indent) {
  std::string out;
  std::string line(indent, ' ');
  bool empty = true;
  while (!text.empty()) {
    std::size_t end = text.find_first_of(" \n");
    std::string_view word = text.substr(0, end);
    bool breaks = end != std::string_view::npos && text[end] == '\n';
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!word.empty()) {
      if (!empty && display_width(line) + 1 + display_width(word) > columns) {
        out += line + "\n";
        line.assign(indent, ' ');
        empty = true;
      }
      if (!empty) line += ' ';
      line += word;
      empty = false;
    }
    if (breaks) {
      out += empty ? "\n" : line + "\n";
      line.assign(indent, ' ');
      empty = true;
    }
  }
  if (!empty) out += line + "\n";
  return out;
}

std::string age(Duration duration) {
  using std::chrono::duration_cast;
  std::int64_t ms = duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms < 1000) return fmt::format("{} ms", std::max<std::int64_t>(ms, 0));
  std::int64_t seconds = ms / 1000;
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 120 * 60) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86'400);
}

std::string megabytes(std::uint64_t bytes) { return fmt::format("{} MB", (bytes + (1u << 19)) >> 20); }

std::string plain_number(double number) {
  // Shortest digits that read back, without an exponent where that is readable.
  const bool is_plain = number == 0 || (std::abs(number) >= 1e-6 && std::abs(number) < 1e15);
  std::string text = fmt::format("{}", number);
  if (is_plain && text.contains('e')) {
    text = fmt::format("{:.9f}", number);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
  }
  return text;
}

std::string pretty_json(std::string_view json) {
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(json, error);
  if (error) return std::string(json);
  std::string out;
  append_pretty(out, value, 0);
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = utf8_sequence_length(text.substr(at));
    auto byte = static_cast<unsigned char>(text[at]);
    bool control = byte < 0x20 && byte != '\n' && byte != '\t';
    bool c1 = length == 2 && byte == 0xc2 && static_cast<unsigned char>(text[at + 1]) < 0xa0;
    if (length == 0 || control || byte == 0x7f || c1) {
      out += "\xef\xbf\xbd";
    } else {
      out += text.substr(at, length);
    }
    at += std::max<std::size_t>(1, length);
  }
  return out;
}

}  // namespace berth::cli
