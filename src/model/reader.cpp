#include "model/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "model/inherited.h"
#include "model/nearest_name.h"
#include "model/shell_words.h"
#include "model/spec.h"
#include "model/units.h"

namespace berth::model {
namespace {

/// The value as the user wrote it, for a message.
std::string shown(const YamlNode& node) {
  constexpr std::size_t shown_bytes_max = 60;
  switch (node.kind) {
    case YamlNode::Kind::null: return "empty";
    case YamlNode::Kind::sequence: return "a list";
    case YamlNode::Kind::map: return "a block of keys";
    case YamlNode::Kind::scalar: break;
  }
  if (node.text.size() <= shown_bytes_max) return fmt::format("\"{}\"", node.text);
  std::size_t cut = shown_bytes_max;
  while (cut > 0 && (static_cast<unsigned char>(node.text[cut]) & 0xc0) == 0x80) --cut;
  return fmt::format("\"{}…\"", node.text.substr(0, cut));
}

/// Words that other tools use for what has another name here.
constexpr std::pair<std::string_view, std::string_view> synonyms[] = {{"environment", "env"},
                                                                      {"directory", "cwd"},
                                                                      {"workdir", "cwd"},
                                                                      {"working_dir", "cwd"},
                                                                      {"dir", "cwd"},
                                                                      {"cmd", "command"},
                                                                      {"run", "command"},
                                                                      {"entrypoint", "command"},
                                                                      {"arguments", "args"},
                                                                      {"mcpServers", "servers"},
                                                                      {"endpoint", "url"},
                                                                      {"port", "http_port"},
                                                                      {"host", "address"},
                                                                      {"bind", "address"},
                                                                      {"replicas", "count"},
                                                                      {"instances", "count"},
                                                                      {"desired_count", "count"},
                                                                      {"mem", "memory"},
                                                                      {"ram", "memory"},
                                                                      {"cert", "certificate_file"},
                                                                      {"certificate", "certificate_file"},
                                                                      {"tls", "https"},
                                                                      {"lb", "balancing"},
                                                                      {"principal", "name"},
                                                                      {"secret", "env"},
                                                                      {"service", "name"},
                                                                      {"scale", "tasks"},
                                                                      {"healthcheck", "health_check"},
                                                                      {"cert", "certificate"},
                                                                      {"zone_id", "hosted_zone"},
                                                                      {"route53", "hosted_zone"},
                                                                      {"zone", "hosted_zone"},
                                                                      {"subnets", "private_subnets"},
                                                                      {"nat", "egress"},
                                                                      {"kms", "kms_key"},
                                                                      {"boundary", "permissions_boundary"},
                                                                      {"arch", "architecture"},
                                                                      {"cpu_architecture", "architecture"},
                                                                      {"fargate_spot", "spot"},
                                                                      {"retention", "days"},
                                                                      {"schedule", "hours"},
                                                                      {"autoscaling", "scaling"},
                                                                      {"start", "from"},
                                                                      {"end", "to"},
                                                                      {"until", "to"},
                                                                      {"tz", "timezone"},
                                                                      {"allowed_cidrs", "allow"},
                                                                      {"policies", "permissions"},
                                                                      {"xray", "traces"}};

/// What may be written for an amount, with an example.
std::string wanted(const Field& field) {
  switch (field.kind) {
    case FieldKind::count:
    case FieldKind::port: return fmt::format("a whole number from {:.0f} to {:.0f}", field.min, field.max);
    case FieldKind::number: return fmt::format("a number from {} to {}", field.min, field.max);
    case FieldKind::bytes:
      return fmt::format("a size from {} to {}, such as 512MB",
                         format_bytes(static_cast<std::uint64_t>(field.min)),
                         format_bytes(static_cast<std::uint64_t>(field.max)));
    default:
      return fmt::format("a duration from {} to {}, such as 30s or 1m30s",
                         format_duration(Milliseconds(static_cast<std::int64_t>(field.min))),
                         format_duration(Milliseconds(static_cast<std::int64_t>(field.max))));
  }
}

Result<double> parse_amount(FieldKind kind, const std::string& text) {
  if (kind == FieldKind::number) return parse_number(text);
  if (kind == FieldKind::duration) {
    Result<Milliseconds> parsed = parse_duration(text);
    if (!parsed) return Failure(parsed.error());
    return static_cast<double>(parsed->count());
  }
  Result<std::uint64_t> parsed = kind == FieldKind::bytes ? parse_bytes(text) : parse_count(text);
  if (!parsed) return Failure(parsed.error());
  return static_cast<double>(*parsed);
}

void store_amount(FieldKind kind, void* target, double amount) {
  auto whole = static_cast<std::uint64_t>(amount);
  switch (kind) {
    case FieldKind::number: *static_cast<double*>(target) = amount; break;
    case FieldKind::duration:
      *static_cast<Milliseconds*>(target) = Milliseconds(static_cast<std::int64_t>(amount));
      break;
    case FieldKind::port:
      *static_cast<std::optional<std::uint16_t>*>(target) = static_cast<std::uint16_t>(whole);
      break;
    default: *static_cast<std::uint64_t*>(target) = whole; break;
  }
}

bool is_variable_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// What stands right of `=`: in quotes as it is (\n as a line break in double ones), else up to ` #`.
std::string env_file_value(std::string_view text) {
  const char quote = text.empty() ? '\0' : text.front();
  const std::size_t end = quote == '"' || quote == '\'' ? text.find(quote, 1) : std::string_view::npos;
  if (end == std::string_view::npos) return std::string(without_blanks(text.substr(0, text.find(" #"))));
  std::string out(text.substr(1, end - 1));
  for (std::size_t at = 0; quote == '"' && (at = out.find("\\n", at)) != std::string::npos; ++at)
    out.replace(at, 2, "\n");
  return out;
}

/// NAME=value lines as editors read them: blank lines, comments and `export` are allowed, and what is no such
/// line is passed over.
std::vector<std::pair<std::string, std::string>> parse_env_file(std::string_view text) {
  constexpr std::string_view keyword = "export ";
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = without_blanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with(keyword)) line = without_blanks(line.substr(keyword.size()));
    const std::size_t equals = std::min(line.find('='), line.size());
    const std::string_view name = without_blanks(line.substr(0, equals));
    if (equals == line.size() || !is_variable_name(name) || line.contains('\0')) continue;
    out.emplace_back(name, env_file_value(without_blanks(line.substr(equals + 1))));
  }
  return out;
}

}  // namespace

std::string join_path(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

void Reader::problem(const YamlNode& where, std::string text) {
  problems_.push_back({where.line, where.column, std::move(text)});
}

void Reader::problem_at(const std::string& path, std::string text) {
  auto place = places_.find(path);
  if (place == places_.end()) {
    problems_.push_back({0, 0, std::move(text)});
  } else {
    problems_.push_back({place->second.line, place->second.column, std::move(text)});
  }
}

std::vector<Problem> Reader::take_problems_after(std::size_t count) {
  std::vector<Problem> out(problems_.begin() + static_cast<std::ptrdiff_t>(count), problems_.end());
  problems_.resize(count);
  return out;
}

std::vector<Problem> Reader::take_problems() {
  auto before = [](const Problem& a, const Problem& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  };
  std::ranges::stable_sort(problems_, before);
  return std::move(problems_);
}

std::vector<std::string> Reader::keys() const {
  std::vector<std::string> out;
  for (const auto& [path, place] : places_) out.push_back(path);
  return out;
}

std::string Reader::resolve(const std::string& path) const {
  std::filesystem::path whole = std::filesystem::path(source_.directory) / path;
  std::string normal = whole.lexically_normal().string();
  if (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

void Reader::unknown_key(const YamlNode& key, std::span<const Field> fields, const std::string& path) {
  std::vector<std::string_view> names;
  for (const Field& field : fields) names.push_back(field.key);
  std::optional<std::string> meant = nearest_name(key.text, names);
  for (const auto& [word, name] : synonyms) {
    if (key.text == word && std::ranges::find(names, name) != names.end()) meant = std::string(name);
  }
  std::string where = path.empty() ? "this file" : path;
  if (meant) {
    problem(key, fmt::format("{} is not a key of {}; did you mean \"{}\"?", shown(key), where, *meant));
  } else {
    problem(key, fmt::format("{} is not a key of {}; the keys are {}.", shown(key), where,
                             fmt::join(names, ", ")));
  }
}

void Reader::read_block(const YamlNode& node, std::span<const Field> fields, void* block,
                        const std::string& path, const ByHand& by_hand) {
  std::string name = path.empty() ? "the file" : path;
  if (node.kind != YamlNode::Kind::map) {
    std::string example = path.empty() ? fmt::format("{}: …", fields.front().key)
                                       : fmt::format("{}: {{{}: …}}", name, fields.front().key);
    problem(node,
            fmt::format("{} is {}, but it takes keys; write for example {}.", name, shown(node), example));
    return;
  }
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const YamlNode& key = node.keys[i];
    auto field = std::ranges::find(fields, key.text, &Field::key);
    if (field == fields.end()) {
      unknown_key(key, fields, path);
      continue;
    }
    std::string inner = join_path(path, key.text);
    auto [place, first] = places_.try_emplace(inner, Place{key.line, key.column});
    if (!first) {
      problem(key,
              fmt::format("{} is given twice, first on line {}; remove one.", inner, place->second.line));
      continue;
    }
    if (by_hand && by_hand(*field, node.items[i], inner)) continue;
    read_value(*field, node.items[i], block, inner);
  }
}

void Reader::read_value(const Field& field, const YamlNode& value, void* block, const std::string& path) {
  void* target = field.locate(block);
  switch (field.kind) {
    case FieldKind::text: {
      std::optional<std::string> text = read_text(value, path);
      if (text) *static_cast<std::string*>(target) = std::move(*text);
      return;
    }
    case FieldKind::flag: return read_flag(value, *static_cast<bool*>(target), path);
    case FieldKind::choice: return read_choice(field, value, target, path);
    case FieldKind::table:
      *static_cast<std::map<std::string, std::string>*>(target) = read_table(value, path, field.literal);
      return;
    case FieldKind::texts: {
      std::optional<std::vector<std::string>> texts = read_texts(value, path);
      if (!texts) return;
      auto size = static_cast<double>(texts->size());
      if (size < field.min || size > field.max) {
        return problem(value, fmt::format("{} has {} entries; it takes from {:.0f} to {:.0f}.", path, size,
                                          field.min, field.max));
      }
      *static_cast<std::vector<std::string>*>(target) = std::move(*texts);
      return;
    }
    case FieldKind::block: return read_block(value, field.fields, target, path);
    case FieldKind::list: return read_list(field, value, target, path);
    case FieldKind::argv:
    case FieldKind::blocks: return;
    default: return read_amount(field, value, target, path);
  }
}

void Reader::read_list(const Field& field, const YamlNode& value, void* list, const std::string& path) {
  if (value.kind != YamlNode::Kind::sequence) {
    return problem(value, fmt::format("{} is {}, but it takes a list; write {}: [{{{}: …}}].", path,
                                      shown(value), path, field.fields.front().key));
  }
  auto size = static_cast<double>(value.items.size());
  if (field.max > 0 && size > field.max) {
    return problem(value, fmt::format("{} has {} entries; at most {:.0f} are read.", path, size, field.max));
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    read_block(value.items[i], field.fields, field.list->append(list), fmt::format("{}[{}]", path, i));
  }
}

std::optional<std::string> Reader::read_text(const YamlNode& value, const std::string& path) {
  if (value.kind == YamlNode::Kind::scalar && !value.text.empty()) {
    if (value.text.find('\0') == std::string::npos) return value.text;
    problem(value, fmt::format("{} holds a NUL byte, which no text may; remove it.", path));
    return std::nullopt;
  }
  std::string is = value.kind == YamlNode::Kind::scalar ? "empty" : shown(value);
  problem(value, fmt::format("{} is {}, but it takes a text; write one or remove the key.", path, is));
  return std::nullopt;
}

std::optional<std::vector<std::string>> Reader::read_texts(const YamlNode& value, const std::string& path) {
  if (value.kind != YamlNode::Kind::sequence) {
    std::string example = value.kind == YamlNode::Kind::scalar ? value.text : "one, two";
    problem(value,
            fmt::format("{} is {}, but it takes a list; write {}: [{}].", path, shown(value), path, example));
    return std::nullopt;
  }
  std::vector<std::string> out;
  bool good = true;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const YamlNode& item = value.items[i];
    bool text = item.kind == YamlNode::Kind::scalar && item.text.find('\0') == std::string::npos;
    if (!text)
      problem(item,
              fmt::format("{}[{}] is {}, but it takes a text; put it in quotes.", path, i, shown(item)));
    good = good && text;
    out.push_back(item.text);
  }
  if (!good) return std::nullopt;
  return out;
}

std::optional<std::vector<std::string>> Reader::read_argv(const YamlNode& value, const std::string& path) {
  if (value.kind == YamlNode::Kind::sequence) {
    std::optional<std::vector<std::string>> words = read_texts(value, path);
    if (words && (words->empty() || words->front().empty())) {
      problem(
          value,
          fmt::format("{} has no first word, which names the program; write for example [node, server.js].",
                      path));
      return std::nullopt;
    }
    return words;
  }
  std::optional<std::string> line = read_text(value, path);
  if (!line) return std::nullopt;
  Result<std::vector<std::string>> words = split_shell_words(*line);
  if (!words) {
    problem(value,
            fmt::format("{} {}; quote it, or write the words as a list, or ask for a shell: [sh, -c, \"…\"].",
                        path, words.error().message()));
    return std::nullopt;
  }
  return std::move(*words);
}

std::map<std::string, std::string> Reader::read_table(const YamlNode& value, const std::string& path,
                                                      bool literal) {
  std::map<std::string, std::string> out;
  if (value.kind != YamlNode::Kind::map) {
    problem(value, fmt::format("{} is {}, but it takes NAME: value pairs.", path, shown(value)));
    return out;
  }
  for (std::size_t i = 0; i < value.keys.size(); ++i) {
    const YamlNode& key = value.keys[i];
    const YamlNode& item = value.items[i];
    std::string inner = join_path(path, key.text);
    if (out.contains(key.text)) {
      problem(key, fmt::format("{} is given twice; remove one.", inner));
      continue;
    }
    places_.try_emplace(inner, Place{key.line, key.column});
    if (item.kind == YamlNode::Kind::map || item.kind == YamlNode::Kind::sequence) {
      problem(item, fmt::format("{} is {}, but it takes a text.", inner, shown(item)));
    } else if (item.text.find('\0') != std::string::npos) {
      problem(item, fmt::format("{} holds a NUL byte, which no text may; remove it.", inner));
    }
    out[key.text] = literal ? item.text : substitute(item, item.text, inner);
  }
  return out;
}

std::map<std::string, std::string> Reader::read_inherited(const std::vector<std::string>& patterns,
                                                          const std::string& path) {
  std::map<std::string, std::string> out;
  for (const std::string& pattern : patterns) {
    const std::string_view name(pattern.data(), pattern.size() - (pattern.ends_with('*') ? 1 : 0));
    if (!is_variable_name(name)) {
      problem_at(path, fmt::format("{} holds \"{}\"; write names of variables, or their beginnings with a "
                                   "star at the end: [GITHUB_TOKEN, AWS_*].",
                                   path, pattern));
    }
    if (source_.keep_variables) continue;
    for (const auto& variable : source_.environment) {
      if (names_variable(pattern, variable.first)) out.insert(variable);
    }
  }
  return out;
}

void Reader::read_flag(const YamlNode& value, bool& into, const std::string& path) {
  bool plain = value.kind == YamlNode::Kind::scalar && !value.quoted;
  if (plain && (value.text == "true" || value.text == "false")) {
    into = value.text == "true";
    return;
  }
  problem(value, fmt::format("{} is {}; write true or false.", path, shown(value)));
}

void Reader::read_amount(const Field& field, const YamlNode& value, void* target, const std::string& path) {
  if (value.kind != YamlNode::Kind::scalar) {
    return problem(value, fmt::format("{} is {}; write {}.", path, shown(value), wanted(field)));
  }
  Result<double> amount = parse_amount(field.kind, value.text);
  if (!amount) {
    std::string hint = wanted(field);
    if (amount.error().message() == "has no unit") hint = fmt::format("{}s or {}ms", value.text, value.text);
    return problem(value, fmt::format("{} is {}, which {}; write {}.", path, shown(value),
                                      amount.error().message(), hint));
  }
  if (*amount < field.min || *amount > field.max) {
    return problem(
        value, fmt::format("{} is {}, which is out of range; write {}.", path, shown(value), wanted(field)));
  }
  store_amount(field.kind, target, *amount);
}

void Reader::read_choice(const Field& field, const YamlNode& value, void* target, const std::string& path) {
  auto chosen = std::ranges::find(field.choices, value.text);
  if (value.kind == YamlNode::Kind::scalar && chosen != field.choices.end()) {
    if (target != nullptr)
      *static_cast<std::uint8_t*>(target) = static_cast<std::uint8_t>(chosen - field.choices.begin());
    return;
  }
  std::optional<std::string> meant = nearest_name(value.text, field.choices);
  if (meant) return problem(value, fmt::format("{} is {}; did you mean \"{}\"?", path, shown(value), *meant));
  problem(value, fmt::format("{} is {}; write {}.", path, shown(value), fmt::join(field.choices, " or ")));
}

std::string Reader::substitute(const YamlNode& value, const std::string& text, const std::string& path) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::string_view rest = std::string_view(text).substr(at);
    if (rest.starts_with("$${")) {
      out += source_.keep_variables ? "$${" : "${";
      at += 3;
      continue;
    }
    if (!rest.starts_with("${")) {
      out += text[at++];
      continue;
    }
    std::size_t end = rest.find('}');
    if (end == std::string_view::npos) {
      problem(
          value,
          fmt::format(
              "{} has a ${{ that is never closed; write ${{NAME}}, or $${{ for the characters themselves.",
              path));
      return out;
    }
    out += variable(value, rest.substr(2, end - 2), path);
    at += end + 1;
  }
  return out;
}

std::string input_variable(std::string_view id) {
  std::string name(id);
  for (char& c : name) {
    if (!is_variable_name(std::string_view(&c, 1)) && (c < '0' || c > '9')) c = '_';
  }
  return is_variable_name(name) ? name : "_" + name;
}

std::string Reader::input(const YamlNode& value, const std::string& id, const std::string& path) {
  const std::string name = input_variable(id);
  const auto set = source_.environment.find(name);
  const bool is_set = set != source_.environment.end() && !set->second.empty();
  const auto otherwise = input_defaults_.find(id);
  if (!is_set && otherwise != input_defaults_.end()) return otherwise->second;
  if (source_.keep_variables) {
    kept_.insert(name);
    return fmt::format("${{{}}}", name);
  }
  if (is_set) return set->second;
  problem(value, fmt::format("{} asks for the input \"{}\", and nobody can be asked here; export {}=… before "
                             "starting berth, or give the input a default.",
                             path, id, name));
  return {};
}

std::map<std::string, std::string> Reader::read_env_file(const YamlNode& value, const std::string& path) {
  std::map<std::string, std::string> out;
  const std::optional<std::string> written = read_text(value, path);
  if (!written || !source_.read_file) return out;
  std::string name = *written;
  constexpr std::string_view workspace = "${workspaceFolder}";
  // The folder is needed here and now, also where variables are kept for another machine.
  if (name.starts_with(workspace)) name.replace(0, workspace.size(), source_.directory);
  const Result<std::string> text = source_.read_file(resolve(substitute(value, name, path)));
  if (!text) {
    problem(value, fmt::format("{} cannot be read: {}", path, text.error().message()));
    return out;
  }
  for (auto& [variable, content] : parse_env_file(*text)) {
    if (source_.keep_variables) {
      kept_.insert(variable);
      content = fmt::format("${{{}}}", variable);
    }
    out[variable] = std::move(content);
  }
  return out;
}

std::string Reader::variable(const YamlNode& value, std::string_view expression, const std::string& path) {
  std::size_t dash = expression.find(":-");
  std::string_view name = expression.substr(0, dash);
  bool of_the_machine = name == "workspaceFolder" || name == "userHome";
  if (name == "workspaceFolder" && !source_.keep_variables) return source_.directory;
  if (name == "workspaceFolderBasename") return std::filesystem::path(source_.directory).filename().string();
  if (name == "pathSeparator" || name == "/") return "/";
  if (name.starts_with("input:")) return input(value, std::string(name.substr(6)), path);
  if (name == "userHome") name = "HOME";
  if (name.starts_with("env:")) name.remove_prefix(4);
  if (!is_variable_name(name)) {
    problem(value,
            fmt::format(
                "{} refers to ${{{}}}, which is no environment variable; write ${{NAME}}, or $${{ for the "
                "characters themselves.",
                path, expression));
    return {};
  }
  auto found = source_.environment.find(std::string(name));
  if (source_.keep_variables) {
    bool wanted_there = dash == std::string_view::npos || found != source_.environment.end();
    if (wanted_there && !of_the_machine) kept_.emplace(name);
    return fmt::format("${{{}}}", expression);
  }
  if (found != source_.environment.end() && (!found->second.empty() || dash == std::string_view::npos))
    return found->second;
  if (dash != std::string_view::npos) return std::string(expression.substr(dash + 2));
  problem(value,
          fmt::format(
              "{} refers to ${{{}}}, which is not set; export {}=… before starting berth, or give a default: "
              "${{{}:-…}}.",
              path, name, name, name));
  return {};
}

}  // namespace berth::model
