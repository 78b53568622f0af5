#include <fmt/format.h>

#include <algorithm>
#include <map>

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

/// "inputs": what an editor asks its user for. Those with a default need no asking.
std::map<std::string, std::string> input_defaults(const YamlNode& root) {
  std::map<std::string, std::string> out;
  const YamlNode* inputs = find(root, "inputs");
  if (inputs == nullptr) return out;
  for (const YamlNode& input : inputs->items) {
    const YamlNode* id = find(input, "id");
    const YamlNode* otherwise = find(input, "default");
    if (id != nullptr && otherwise != nullptr && otherwise->kind == YamlNode::Kind::scalar)
      out[id->text] = otherwise->text;
  }
  return out;
}

/// The servers of a client's file, each read by itself.
class EntryReader {
 public:
  EntryReader(Reader& reader, const SpecSource& source, Spec& spec)
      : reader_(reader), servers_(reader), source_(source), spec_(spec) {}

  void run(const YamlNode& entries) {
    for (std::size_t i = 0; i < entries.keys.size(); ++i) {
      if (is_disabled(entries.items[i]) || !is_wanted(entries.keys[i].text)) continue;
      const std::size_t problems = reader_.problem_count();
      read(entries.keys[i], entries.items[i]);
      std::vector<Problem> found = reader_.take_problems_after(problems);
      bad_.insert(bad_.end(), found.begin(), found.end());
    }
    check_wanted(entries);
    const bool leave_out = source_.leave_out_bad_entries && !spec_.servers.empty();
    for (const Problem& problem : bad_) {
      if (leave_out)
        spec_.notes.push_back("Left out: " + to_string(problem, source_.file));
      else
        reader_.add(problem);
    }
    if (bad_.empty() && spec_.servers.empty() && reader_.problem_count() == 0)
      reader_.problem(entries, "the file names no server that is enabled, so there is nothing to run.");
  }

 private:
  bool is_wanted(const std::string& name) const {
    return source_.only.empty() || std::ranges::find(source_.only, name) != source_.only.end();
  }

  void check_wanted(const YamlNode& entries) {
    for (const std::string& name : source_.only) {
      if (find(entries, name) == nullptr)
        reader_.problem(entries, fmt::format("there is no server \"{}\" to take.", name));
    }
  }

  void read(const YamlNode& key, const YamlNode& item) {
    const std::size_t problems = reader_.problem_count();
    const std::string name = is_service_name(key.text) ? key.text : to_service_name(key.text);
    if (name.empty()) {
      return reader_.problem(
          key, fmt::format("\"{}\" cannot be the name of a server here, because it is part of its URL; use "
                           "letters, digits, hyphens and underscores.",
                           key.text));
    }
    const auto [other, is_new] = names_.try_emplace(name, key.text);
    if (!is_new && other->second == key.text) {
      return reader_.problem(
          key, fmt::format("the server \"{}\" is given twice; give one of them another name.", key.text));
    }
    if (!is_new) {
      return reader_.problem(key, fmt::format("\"{}\" and \"{}\" would both be served at /{}/mcp; give one "
                                              "of them another name.",
                                              other->second, key.text, name));
    }
    ServerSpec server = servers_.read_of_client(item, key.text);
    if (reader_.problem_count() > problems) return;
    server.name = name;
    spec_.servers.push_back(std::move(server));
    if (name != key.text)
      spec_.notes.push_back(fmt::format("The server \"{}\" is {} here and in its URL.", key.text, name));
  }

  Reader& reader_;
  ServerReader servers_;
  const SpecSource& source_;
  Spec& spec_;
  std::map<std::string, std::string> names_;  ///< in URLs → in the file
  std::vector<Problem> bad_;
};

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
    reader.set_input_defaults(input_defaults(*root));
    EntryReader(reader, source, reading.spec).run(*entries);
  }
  reading.problems = reader.take_problems();
  reading.spec.keeps_variables = source.keep_variables;
  collect_variables(reader, reading.spec);
  return reading;
}

}  // namespace berth::model
