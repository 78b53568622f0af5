#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

/// How things look on a terminal. Pure functions of values.
namespace berth::cli {

enum class Paint : std::uint8_t { none, bold, dim, green, yellow, red, cyan };
/// `text` in that colour, or as it is when `colour` is false.
std::string paint(Paint paint, std::string_view text, bool colour);

struct Cell {
  std::string text;
  Paint paint = Paint::none;
};

/// Columns padded to the widest cell, two blanks between them, `indent` before each line; the first row is
/// the head.
std::string table(const std::vector<std::vector<Cell>>& rows, std::size_t indent, bool colour);
/// The same, with the last column in lines of its own width so that nothing is wider than `columns`.
std::string table(const std::vector<std::vector<Cell>>& rows, std::size_t indent, bool colour,
                  std::size_t columns);

/// How many columns UTF-8 text takes (one a character; wide and combining characters are not counted apart).
std::size_t display_width(std::string_view text);
/// At most `columns` wide, cut with an ellipsis.
std::string clip(std::string_view text, std::size_t columns);
/// `text` in lines of at most `columns`, each with `indent` blanks before it; words are never cut.
std::string wrap(std::string_view text, std::size_t columns, std::size_t indent);

/// `text` with its lines broken between words where they are wider than `columns`, each part under the first
/// word of its line. What stands in `backticks` is to be copied and is not broken; narrow lines stay as
/// they are.
std::string fit(std::string_view text, std::size_t columns);

/// "850 ms", "12 s", "3 min", "2 h", "5 d".
std::string age(Duration duration);
/// "61 MB", rounded.
std::string megabytes(std::uint64_t bytes);

/// A JSON number as people write it: 0.05, not 5E-2.
std::string plain_number(double number);

/// `json` with line breaks and two blanks a level, for people; as it is when it does not parse.
std::string pretty_json(std::string_view json);

/// Without bytes that would steer the terminal: control characters become U+FFFD, except line breaks and
/// tabs.
std::string printable(std::string_view text);

}  // namespace berth::cli
