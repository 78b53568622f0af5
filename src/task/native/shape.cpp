#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/check.h"
#include "base/log.h"
#include "base/utf8.h"
#include "berth/describe.h"
#include "model/nearest_name.h"

/// Reading, writing and printing of described types. Problems are told to a model or a person: each is a
/// sentence that names the argument, what it must be and what came instead.
namespace berth::detail {

namespace {

constexpr std::size_t nesting_max = 16;
constexpr std::size_t shown_bytes_max = 60;

/// `value` for a message: its JSON text, cut at a character when long.
std::string shown(json::Slice value) {
  const std::string_view text = value.text();
  if (text.size() <= shown_bytes_max) return std::string(text);
  return fmt::format("{}…", cut_utf8(text, shown_bytes_max));
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string bounds_phrase(std::optional<double> least, std::optional<double> most) {
  if (least && most) return fmt::format(" from {} to {}", *least, *most);
  if (least) return fmt::format(" of at least {}", *least);
  if (most) return fmt::format(" of at most {}", *most);
  return {};
}

std::string length_phrase(const FieldNotes& notes) {
  if (notes.length_min && notes.length_max) {
    return fmt::format("{} to {}", *notes.length_min, *notes.length_max);
  }
  if (notes.length_min) return fmt::format("at least {}", *notes.length_min);
  return fmt::format("at most {}", notes.length_max.value_or(0));
}

bool within(double number, const FieldNotes& notes) {
  return !(notes.minimum && number < *notes.minimum) && !(notes.maximum && number > *notes.maximum);
}

bool within(std::size_t length, const FieldNotes& notes) {
  return length >= notes.length_min.value_or(0) && length <= notes.length_max.value_or(length);
}

/// The text of a scalar that may come as a string: its inside when the source says so, else the JSON text.
std::string scalar_text(json::Slice value, const Reader& reader) {
  if (reader.source() == Reader::Source::text) {
    if (auto text = value.as_string()) return *std::move(text);
  }
  return std::string(value.text());
}

}  // namespace

void Reader::At::append_path(std::string& out) const {
  if (outer_ != nullptr) outer_->append_path(out);
  if (member_.empty()) {
    out += fmt::format("[{}]", index_);
    return;
  }
  if (outer_ != nullptr) out += '.';
  out += member_;
}

void Reader::problem(std::string_view what) {
  if (at_ == nullptr) return problem_here(fmt::format("The value {}", what));
  std::string path;
  at_->append_path(path);
  problem_here(fmt::format("'{}' {}", path, what));
}

void Reader::problem_here(std::string sentence) {
  if (problems_.size() < problems_max) problems_.push_back(std::move(sentence));
}

void read_value(json::Slice value, std::string& into, const FieldNotes& notes, Reader& reader) {
  if (const auto plain = value.as_plain_string()) {
    into.assign(*plain);
  } else if (auto text = value.as_string()) {
    into = *std::move(text);
  } else {
    return reader.problem(fmt::format("must be a string, not {}.", shown(value)));
  }
  if (!notes.length_min && !notes.length_max) return;
  const std::size_t length = count_characters(into);
  if (within(length, notes)) return;
  reader.problem(fmt::format("must be {} characters long, not {}.", length_phrase(notes), length));
}

void read_value(json::Slice value, bool& into, const FieldNotes&, Reader& reader) {
  const std::string text = scalar_text(value, reader);
  if (text != "true" && text != "false") {
    return reader.problem(fmt::format("must be true or false, not {}.", shown(value)));
  }
  into = text == "true";
}

void read_value(json::Slice value, double& into, const FieldNotes& notes, Reader& reader) {
  auto number = value.as_double();
  if (!number && reader.source() == Reader::Source::text && value.is(json::Kind::string)) {
    const std::string text = scalar_text(value, reader);
    double parsed = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (error == std::errc() && end == text.data() + text.size() && std::isfinite(parsed)) number = parsed;
  }
  if (!number || !within(*number, notes)) {
    const std::string bounds = bounds_phrase(notes.minimum, notes.maximum);
    return reader.problem(fmt::format("must be a number{}, not {}.", bounds, shown(value)));
  }
  into = *number;
}

std::optional<std::int64_t> read_integer(json::Slice value, std::int64_t least, std::int64_t most,
                                         const FieldNotes& notes, Reader& reader) {
  auto number = value.as_int();
  if (!number && reader.source() == Reader::Source::text && value.is(json::Kind::string)) {
    const std::string text = scalar_text(value, reader);
    std::int64_t parsed = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (error == std::errc() && end == text.data() + text.size()) number = parsed;
  }
  const bool fits = number && *number >= least && *number <= most;
  if (fits && within(static_cast<double>(*number), notes)) return number;
  std::string bounds = bounds_phrase(notes.minimum, notes.maximum);
  if (bounds.empty() && number) bounds = fmt::format(" from {} to {}", least, most);
  reader.problem(fmt::format("must be an integer{}, not {}.", bounds, shown(value)));
  return std::nullopt;
}

std::optional<std::size_t> read_choice(const Shape& shape, json::Slice value, Reader& reader) {
  const auto name = value.as_string();
  const auto found = name ? std::ranges::find(shape.choices, *name) : shape.choices.end();
  if (found != shape.choices.end()) return static_cast<std::size_t>(found - shape.choices.begin());
  const std::string choices = fmt::format("\"{}\"", fmt::join(shape.choices, "\", \""));
  reader.problem(fmt::format("must be one of {}, not {}.", choices, shown(value)));
  return std::nullopt;
}

namespace {

struct ObjectReading {
  const Shape& shape;
  void* into;
  Reader& reader;
  std::uint64_t seen = 0;

  void take(std::string_view key, json::Slice value) {
    for (std::size_t i = 0; i < shape.fields.size(); ++i) {
      const Field& field = shape.fields[i];
      if (field.name != key) continue;
      seen |= std::uint64_t{1} << i;
      const Reader::At at(reader, field.name);
      field.shape().read(value, field.member(into), field.notes, reader);
      return;
    }
    const Reader::At at(reader, key);
    std::vector<std::string_view> names;
    for (const Field& field : shape.fields) names.push_back(field.name);
    if (names.empty()) return reader.problem("is not known: there are no arguments.");
    const auto nearest = model::nearest_name(key, names);
    if (nearest) return reader.problem(fmt::format("is not known; did you mean '{}'?", *nearest));
    reader.problem(fmt::format("is not known; known are '{}'.", fmt::join(names, "', '")));
  }
};

}  // namespace

void read_object(const Shape& shape, json::Slice value, void* into, Reader& reader) {
  if (!value.is(json::Kind::object)) {
    return reader.problem(fmt::format("must be an object, not {}.", value ? shown(value) : "nothing"));
  }
  ObjectReading reading{.shape = shape, .into = into, .reader = reader};
  value.each_member([&reading](std::string_view key, json::Slice member) {
    reading.take(key, member);
    return true;
  });
  for (std::size_t i = 0; i < shape.fields.size(); ++i) {
    const Field& field = shape.fields[i];
    if (!field.required || (reading.seen >> i & 1) != 0) continue;
    const Reader::At at(reader, field.name);
    reader.problem("is required.");
  }
}

void read_list(json::Slice value, const FieldNotes& notes, Reader& reader,
               const std::function<void(json::Slice)>& add) {
  if (!value.is(json::Kind::array)) {
    return reader.problem(fmt::format("must be an array, not {}.", shown(value)));
  }
  std::size_t count = 0;
  value.each_element([&](json::Slice element) {
    const Reader::At at(reader, count++);
    add(element);
    return true;
  });
  if (within(count, notes)) return;
  reader.problem(fmt::format("must have {} elements, not {}.", length_phrase(notes), count));
}

void write_value(std::string_view from, std::string& out) {
  out += '"';
  append_json_escaped(out, from);
  out += '"';
}

void write_value(bool from, std::string& out) { out += from ? "true" : "false"; }

void write_value(double from, std::string& out) {
  if (!std::isfinite(from)) {
    out += "null";
    return;
  }
  fmt::format_to(std::back_inserter(out), "{}", from);
}

void write_value(std::int64_t from, std::string& out) { fmt::format_to(std::back_inserter(out), "{}", from); }

void write_object(const Shape& shape, const void* from, std::string& out) {
  out += '{';
  bool first = true;
  for (const Field& field : shape.fields) {
    // The accessor serves reading and writing; writing changes nothing behind it.
    const void* const member = field.member(const_cast<void*>(from));
    const std::size_t start = out.size();
    if (!first) out += ',';
    write_value(field.name, out);
    out += ':';
    const std::size_t value = out.size();
    field.shape().write(member, out);
    if (field.shape().nullable && std::string_view(out).substr(value) == "null") {
      out.resize(start);
      continue;
    }
    first = false;
  }
  out += '}';
}

namespace {

class SchemaPrinter {
 public:
  explicit SchemaPrinter(Unknown unknown) : unknown_(unknown) {}

  std::string print(const Shape& shape) {
    append(shape, nullptr, 0);
    return std::move(out_);
  }

 private:
  void append(const Shape& shape, const Field* field, std::size_t depth) {
    BERTH_CHECK(depth < nesting_max, "a described struct contains itself or nests too deep for a schema");
    out_ += '{';
    switch (shape.kind) {
      case ShapeKind::text: member("type", R"("string")"); break;
      case ShapeKind::integer: member("type", R"("integer")"); break;
      case ShapeKind::number: member("type", R"("number")"); break;
      case ShapeKind::boolean: member("type", R"("boolean")"); break;
      case ShapeKind::choice: append_choices(shape); break;
      case ShapeKind::list:
        member("type", R"("array")");
        key("items");
        append(shape.element(), nullptr, depth + 1);
        break;
      case ShapeKind::object: append_members(shape, depth); break;
      case ShapeKind::any: break;
    }
    if (field != nullptr) append_notes(shape, *field);
    out_ += '}';
  }

  void append_choices(const Shape& shape) {
    member("type", R"("string")");
    key("enum");
    out_ += '[';
    for (std::size_t i = 0; i < shape.choices.size(); ++i) {
      if (i > 0) out_ += ',';
      write_value(shape.choices[i], out_);
    }
    out_ += ']';
  }

  void append_members(const Shape& shape, std::size_t depth) {
    member("type", R"("object")");
    key("properties");
    out_ += '{';
    for (const Field& field : shape.fields) {
      key(field.name);
      append(field.shape(), &field, depth + 1);
    }
    out_ += '}';
    std::string required;
    for (const Field& field : shape.fields) {
      if (!field.required) continue;
      if (!required.empty()) required += ',';
      write_value(field.name, required);
    }
    if (!required.empty()) member("required", fmt::format("[{}]", required));
    if (unknown_ == Unknown::refused) member("additionalProperties", "false");
  }

  void append_notes(const Shape& shape, const Field& field) {
    const FieldNotes& notes = field.notes;
    if (!notes.title.empty()) member("title", json_quote(notes.title));
    if (!notes.description.empty()) member("description", json_quote(notes.description));
    if (!notes.format.empty()) member("format", json_quote(notes.format));
    if (shape.not_negative && notes.minimum.value_or(0) <= 0) {
      member("minimum", "0");
    } else if (notes.minimum) {
      member("minimum", fmt::format("{}", *notes.minimum));
    }
    if (notes.maximum) member("maximum", fmt::format("{}", *notes.maximum));
    const bool list = shape.kind == ShapeKind::list;
    if (notes.length_min) member(list ? "minItems" : "minLength", fmt::format("{}", *notes.length_min));
    if (notes.length_max) member(list ? "maxItems" : "maxLength", fmt::format("{}", *notes.length_max));
    if (!notes.header.empty()) member("x-mcp-header", json_quote(notes.header));
    if (notes.optional && !shape.nullable) member("default", field.initial);
  }

  void key(std::string_view name) {
    if (out_.back() != '{') out_ += ',';
    write_value(name, out_);
    out_ += ':';
  }
  void member(std::string_view name, std::string_view json) {
    key(name);
    out_ += json;
  }

  Unknown unknown_;
  std::string out_;
};

bool is_token(std::string_view name) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [marks](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           marks.find(c) != std::string_view::npos;
  });
}

void check_headers(const Shape& shape, bool reachable, std::set<std::string>& names, std::size_t depth) {
  BERTH_CHECK(depth < nesting_max, "a described struct contains itself or nests too deep for a schema");
  for (const Field& field : shape.fields) {
    const Shape& member = field.shape();
    if (!field.notes.header.empty()) {
      const bool plain = member.kind == ShapeKind::text || member.kind == ShapeKind::integer ||
                         member.kind == ShapeKind::boolean || member.kind == ShapeKind::choice;
      BERTH_CHECK(plain && reachable, "header() is for string, integer and bool members outside of vectors");
      BERTH_CHECK(is_token(field.notes.header), "header() takes a token of RFC 9110: letters, digits, '-'");
      std::string folded = field.notes.header;
      std::ranges::transform(folded, folded.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      });
      BERTH_CHECK(names.insert(folded).second, "two members have the same header() name");
    }
    if (member.kind == ShapeKind::list) {
      check_headers(member.element(), false, names, depth + 1);
    } else {
      check_headers(member, reachable, names, depth + 1);
    }
  }
}

}  // namespace

std::string schema_text(const Shape& shape, Unknown unknown) { return SchemaPrinter(unknown).print(shape); }

void check_headers(const Shape& shape) {
  std::set<std::string> names;
  check_headers(shape, true, names, 0);
}

}  // namespace berth::detail
