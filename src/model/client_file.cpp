#include <fmt/format.h>

#include <set>

#include "model/parse.h"
#include "model/server_reader.h"

namespace berth::model {
namespace {

/// The text with comments, tabs and trailing commas as blanks, every other byte in its place: editors allow
/// them in JSON, and
/// what is left is YAML.
class Blanker {
 public:
  explicit Blanker(std::string text) : text_(std::move(text)) {}

  std::string run() {
    if (text_.starts_with("\xef\xbb\xbf")) blank(0, 3);
    while (at_ < text_.size()) step();
    return std::move(text_);
  }

 private:
  void step() {
    char c = text_[at_];
    std::string_view rest = std::string_view(text_).substr(at_);
    if (c == '"') return skip_string();
    if (rest.starts_with("//")) return blank_until(std::min(text_.find('\n', at_), text_.size()));
    if (rest.starts_with("/*")) {
      std::size_t end = text_.find("*/", at_ + 2);
      return blank_until(end == std::string::npos ? text_.size() : end + 2);
    }
    if (c == '\t') text_[at_] = ' ';
    bool blank_byte = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if ((c == '}' || c == ']') && comma_ != std::string::npos) text_[comma_] = ' ';
    if (!blank_byte) comma_ = c == ',' ? at_ : std::string::npos;
    ++at_;
  }

  void skip_string() {
    comma_ = std::string::npos;
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    ++at_;
  }

  void blank_until(std::size_t end) {
    blank(at_, end);
    at_ = end;
  }

  void blank(std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      if (text_[i] != '\n') text_[i] = ' ';
    }
  }

  std::string text_;
  std::size_t at_ = 0;
  std::size_t comma_ = std::string::npos;
};

const YamlNode* find(const YamlNode& node, std::string_view key) {
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    if (node.keys[i].text == key) return &node.items[i];
  }
  return nullptr;
}

bool is_disabled(const YamlNode& node) {
  const YamlNode* disabled = find(node, "disabled");
  return disabled != nullptr && disabled->text == "true";
}

void read_entries(Reader& reader, const YamlNode& entries, Spec& spec) {
  ServerReader servers(reader);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < entries.keys.size(); ++i) {
    const YamlNode& key = entries.keys[i];
    const YamlNode& item = entries.items[i];
    if (is_disabled(item)) continue;
    if (!seen.insert(key.text).second) {
      reader.problem(
          key, fmt::format("the server \"{}\" is given twice; give one of them another name.", key.text));
      continue;
    }
    if (!is_service_name(key.text)) {
      reader.problem(
          key, fmt::format(
                   "\"{}\" cannot be the name of a server here, because it is part of its URL; use letters, "
                   "digits, hyphens and underscores.",
                   key.text));
    }
    ServerSpec server = servers.read_of_client(item, key.text);
    server.name = key.text;
    spec.servers.push_back(std::move(server));
  }
  if (spec.servers.empty())
    reader.problem(entries, "the file names no server that is enabled, so there is nothing to run.");
}

}  // namespace

SpecReading read_client_file(const SpecSource& source) {
  SpecReading reading;
  YamlLimits limits;
  if (source.text.size() > limits.bytes_max) {
    reading.problems.push_back({0, 0,
                                fmt::format("the file has {} bytes, more than the {} that are read.",
                                            source.text.size(), limits.bytes_max)});
    return reading;
  }
  std::expected<YamlNode, Problem> root = parse_yaml(Blanker(source.text).run(), limits);
  if (!root) {
    Problem problem = root.error();
    std::size_t yaml = problem.text.find("YAML");
    if (yaml != std::string::npos) problem.text.replace(yaml, 4, "JSON");
    reading.problems.push_back(std::move(problem));
    return reading;
  }
  Reader reader(source);
  reading.spec.directory = source.directory;
  reading.spec.file = source.file;
  reading.spec.name = default_service_name(source.directory);
  const YamlNode* entries = find(*root, "mcpServers");
  if (entries == nullptr) entries = find(*root, "servers");
  if (entries == nullptr || entries->kind != YamlNode::Kind::map) {
    reader.problem(
        *root,
        "the file has no \"mcpServers\" (nor \"servers\", as VS Code writes it), so it names no server.");
  } else {
    read_entries(reader, *entries, reading.spec);
  }
  reading.problems = reader.take_problems();
  reading.spec.keeps_variables = source.keep_variables;
  collect_variables(reader, reading.spec);
  return reading;
}

}  // namespace berth::model
