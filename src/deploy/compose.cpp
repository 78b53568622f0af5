#include "deploy/compose.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/check.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;
using Lines = std::vector<std::string>;

constexpr std::string_view directive = "# berth: ";
constexpr std::string_view place = "!Berth ";

Lines split_lines(std::string_view text) {
  Lines out;
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

std::size_t indent_of(std::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); }
bool is_blank(std::string_view line) { return line.find_first_not_of(' ') == std::string_view::npos; }
bool is_comment(std::string_view line) { return line.substr(indent_of(line)).starts_with('#'); }
bool is_directive(std::string_view line) { return line.substr(indent_of(line)).starts_with(directive); }

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

/// A text that YAML reads as the same text without quotes.
bool is_plain(std::string_view text) {
  constexpr std::array<std::string_view, 9> words{"true", "false", "yes", "no", "on",
                                                  "off",  "null",  "y",   "n"};
  if (text.empty() || std::ranges::find(words, text) != words.end()) return false;
  bool letter = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z') || text[0] == '/';
  return letter && text.back() != ':' && !text.contains(": ") && !text.contains(" #") &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view(" -_./:*+@,()").contains(c);
         });
}

std::string scalar(const json::value& value) {
  const json::string* text = value.if_string();
  if (text != nullptr && is_plain(std::string_view(*text))) return std::string(*text);
  if (const double* number = value.if_double()) return fmt::format("{}", *number);  // 70, not 7E1
  return json::serialize(value);
}

/// {"Ref": "X"} as "!Ref X" and the like; nullopt for what has no form on one line.
std::optional<std::string> one_line(const json::value& value) {
  if (const json::array* array = value.if_array()) {
    return array->empty() ? std::optional<std::string>("[]") : std::nullopt;
  }
  const json::object* object = value.if_object();
  if (object == nullptr) return scalar(value);
  if (object->empty()) return "{}";
  if (object->size() != 1) return std::nullopt;
  const auto& [key, inner] = *object->begin();
  if (key == "Ref") return fmt::format("!Ref {}", scalar(inner));
  if (key == "Fn::Sub" && inner.is_string()) return fmt::format("!Sub {}", json::serialize(inner));
  if (key == "Fn::GetAtt") {
    const json::array& parts = inner.as_array();
    return fmt::format("!GetAtt {}.{}", std::string_view(parts[0].as_string()),
                       std::string_view(parts[1].as_string()));
  }
  return std::nullopt;
}

void append_block(std::string& out, const json::value& value, std::size_t indent);

void append_member(std::string& out, std::string_view key, const json::value& value, std::size_t indent) {
  out += fmt::format("{}:{}", key, to_yaml(value, indent));
}

/// The value as lines at `indent`, each ending in a line break.
void append_block(std::string& out, const json::value& value, std::size_t indent) {
  std::string blanks(indent, ' ');
  if (const json::array* array = value.if_array()) {
    for (const json::value& entry : *array) {
      std::optional<std::string> line = one_line(entry);
      if (line) {
        out += fmt::format("{}- {}\n", blanks, *line);
        continue;
      }
      std::string inner;
      append_block(inner, entry, indent + 2);
      inner.replace(indent, 1, "-");
      out += inner;
    }
    return;
  }
  for (const auto& [key, member] : value.as_object()) {
    out += blanks;
    append_member(out, scalar(json::value(key)), member, indent);
  }
}

/// Works out the additions of fragments, line by line.
class Filler {
 public:
  explicit Filler(const Fillings& fillings) : fillings_(fillings) {}

  std::string run(const Lines& lines) {
    process(lines, {});
    return std::move(out_);
  }

 private:
  using Turns = std::vector<const Turn*>;  // innermost last

  void process(const Lines& lines, const Turns& turns) {
    for (std::size_t i = 0; i < lines.size();) {
      if (!is_directive(lines[i])) {
        emit(lines[i++], turns);
        continue;
      }
      std::string text = lines[i].substr(indent_of(lines[i]) + directive.size());
      std::size_t end = end_of_block(lines, i + 1, indent_of(lines[i]));
      Lines block(lines.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                  lines.begin() + static_cast<std::ptrdiff_t>(end));
      i = end;
      // A block that is left out takes the blank line after it along.
      if (!apply(text, block, turns) && i < lines.size() && is_blank(lines[i])) ++i;
    }
  }

  /// One past the key or entry that begins at or after `from`, with all that is indented below it.
  static std::size_t end_of_block(const Lines& lines, std::size_t from, std::size_t indent) {
    std::size_t at = from;
    while (at < lines.size() && is_comment(lines[at])) ++at;
    std::size_t end = std::min(at + 1, lines.size());
    for (std::size_t i = end; i < lines.size(); ++i) {
      if (is_blank(lines[i])) continue;
      if (indent_of(lines[i]) <= indent) break;
      end = i + 1;
    }
    return end;
  }

  /// False when nothing came of it.
  bool apply(std::string_view text, const Lines& block, const Turns& turns) {
    if (text.starts_with("if ")) {
      text.remove_prefix(3);
      bool wanted = !text.starts_with("not ");
      if (!wanted) text.remove_prefix(4);
      auto found = fillings_.conditions.find(std::string(text));
      BERTH_CHECK(found != fillings_.conditions.end(), std::string(text));
      if (found->second != wanted) return false;
      process(block, turns);
      return true;
    }
    BERTH_CHECK(text.starts_with("each "), std::string(text));
    auto found = fillings_.repetitions.find(std::string(text.substr(5)));
    BERTH_CHECK(found != fillings_.repetitions.end(), std::string(text));
    std::size_t first_line = 0;  // comments stand before the first turn alone
    for (const Turn& turn : found->second) {
      Lines replaced(block.begin() + static_cast<std::ptrdiff_t>(first_line), block.end());
      // Turns of several lines stand apart, as resources do.
      if (&turn != &found->second.front() && block.size() > 3) out_ += '\n';
      for (std::string& line : replaced) {
        for (const auto& [word, with] : turn.words) replace_all(line, word, with);
      }
      Turns inner = turns;
      inner.push_back(&turn);
      process(replaced, inner);
      while (first_line < block.size() && is_comment(block[first_line]) && !is_directive(block[first_line]))
        ++first_line;
    }
    return !found->second.empty();
  }

  const json::value& lookup(const std::string& name, const Turns& turns) const {
    for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
      auto found = (*turn)->fillings.find(name);
      if (found != (*turn)->fillings.end()) return found->second;
    }
    auto found = fillings_.values.find(name);
    BERTH_CHECK(found != fillings_.values.end(), name);
    return found->second;
  }

  void emit(const std::string& line, const Turns& turns) {
    std::size_t at = is_comment(line) ? std::string::npos : line.find(place);
    if (at == std::string::npos) {
      out_ += line + "\n";
      return;
    }
    const json::value& value = lookup(line.substr(at + place.size()), turns);
    if (value.is_null()) return;
    std::string head = line.substr(0, at);
    std::size_t indent = indent_of(line);
    if (head.find(':') == std::string::npos) {  // "- !Berth name"
      json::array one{value};
      return append_block(out_, one, indent);
    }
    // What stands in "- Key: …" is indented as far as Key.
    if (line.substr(indent).starts_with("- ")) indent += 2;
    while (head.ends_with(' ')) head.pop_back();
    out_ += head + to_yaml(value, indent);
  }

  const Fillings& fillings_;
  std::string out_;
};

constexpr std::array<std::string_view, 4> sections{"Parameters", "Conditions", "Resources", "Outputs"};

/// A filled fragment, taken apart.
struct Parts {
  Lines intro;  ///< the comment at its head
  std::map<std::string, Lines> sections;
};

Parts take_apart(const std::string& filled) {
  Parts parts;
  Lines* current = &parts.intro;
  for (std::string& line : split_lines(filled)) {
    bool section = !line.empty() && line.back() == ':' && indent_of(line) == 0 && !is_comment(line);
    if (section) {
      current = &parts.sections[line.substr(0, line.size() - 1)];
    } else if (!is_blank(line) || !current->empty()) {
      current->push_back(std::move(line));
    }
  }
  for (auto& [name, lines] : parts.sections) {
    while (!lines.empty() && is_blank(lines.back())) lines.pop_back();
  }
  while (!parts.intro.empty() && is_blank(parts.intro.back())) parts.intro.pop_back();
  return parts;
}

std::string_view text_of_fragment(const std::string& name) {
  auto found = std::ranges::find(all_fragments(), name, &Fragment::name);
  BERTH_CHECK(found != all_fragments().end(), name);
  return found->text;
}

}  // namespace

std::string to_yaml(const json::value& value, std::size_t indent) {
  std::optional<std::string> line = one_line(value);
  if (line) return fmt::format(" {}\n", *line);
  std::string out = "\n";
  append_block(out, value, indent + 2);
  return out;
}

std::string fill(std::string_view text, const Fillings& fillings) {
  return Filler(fillings).run(split_lines(text));
}

std::string compose(const std::vector<std::string>& names, const std::string& description,
                    const Fillings& fillings) {
  std::vector<std::pair<std::string, Parts>> parts;
  for (const std::string& name : names)
    parts.emplace_back(name, take_apart(fill(text_of_fragment(name), fillings)));
  std::string out = fmt::format("AWSTemplateFormatVersion: \"2010-09-09\"\nDescription: {}\n",
                                json::serialize(json::value(description)));
  for (std::string_view section : sections) {
    std::string body;
    for (const auto& [name, part] : parts) {
      auto found = part.sections.find(std::string(section));
      if (found == part.sections.end() || found->second.empty()) continue;
      if (!body.empty()) body += '\n';
      body += fmt::format("  # ---- infra/{} ----\n", name);
      bool main_section = section == "Resources" || !part.sections.contains("Resources");
      if (main_section) {
        for (const std::string& line : part.intro) body += fmt::format("  {}\n", line);
        if (!part.intro.empty()) body += '\n';
      }
      for (const std::string& line : found->second) body += line + "\n";
    }
    if (!body.empty()) out += fmt::format("\n{}:\n{}", section, body);
  }
  return out;
}

}  // namespace berth::deploy
