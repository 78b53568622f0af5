#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/fields.h"
#include "model/parse.h"
#include "model/yaml.h"

namespace berth::model {

/// Fills blocks from YAML by the field table, and collects what is wrong on the way. Used by read_spec and
/// read_client_file; it knows kinds of values but not what the keys mean.
class Reader {
 public:
  explicit Reader(const SpecSource& source) : source_(source) {}

  /// Reads what no member of the block stands for; returns false for a key it does not know either.
  using ByHand = std::function<bool(const Field& field, const YamlNode& value, const std::string& path)>;

  /// Every key of `node` into `block`. `path` names the block in messages ("listener"; empty for the file).
  void read_block(const YamlNode& node, std::span<const Field> fields, void* block, const std::string& path,
                  const ByHand& by_hand = {});
  void read_value(const Field& field, const YamlNode& value, void* block, const std::string& path);

  std::optional<std::string> read_text(const YamlNode& value, const std::string& path);
  std::optional<std::vector<std::string>> read_texts(const YamlNode& value, const std::string& path);
  /// A command: a list of words, or one line.
  std::optional<std::vector<std::string>> read_argv(const YamlNode& value, const std::string& path);
  /// NAME: value pairs; `literal` leaves ${NAME} in the values as it is.
  std::map<std::string, std::string> read_table(const YamlNode& value, const std::string& path,
                                                bool literal = false);
  /// `text` with ${NAME}, ${NAME:-default} and ${env:NAME} replaced and $${ as ${; says where a name is
  /// missing.
  std::string substitute(const YamlNode& value, const std::string& text, const std::string& path);

  void add(Problem problem) { problems_.push_back(std::move(problem)); }
  void problem(const YamlNode& where, std::string text);
  /// At the key or value last read under `path`; at the file as a whole if there was none.
  void problem_at(const std::string& path, std::string text);
  bool has(const std::string& path) const { return places_.contains(path); }

  /// The paths of all keys met so far, in order.
  std::vector<std::string> keys() const;

  /// The path of a file named in the spec: absolute, or relative to the spec's folder.
  std::string resolve(const std::string& path) const;

  std::vector<Problem> take_problems();
  std::size_t problem_count() const { return problems_.size(); }
  /// The problems after the first `count`, which are forgotten here.
  std::vector<Problem> take_problems_after(std::size_t count);
  /// What ${input:ID} stands for where no variable of that name is set.
  void set_input_defaults(std::map<std::string, std::string> defaults) {
    input_defaults_ = std::move(defaults);
  }
  /// NAME=value lines of the file that `value` names; nothing where SpecSource gives no way to read it.
  std::map<std::string, std::string> read_env_file(const YamlNode& value, const std::string& path);
  /// The variables of the environment that `patterns` name (model/inherited.h): none where variables are kept
  /// for another machine. Says which of them name nothing.
  std::map<std::string, std::string> read_inherited(const std::vector<std::string>& patterns,
                                                    const std::string& path);
  bool keeps_variables() const { return source_.keep_variables; }
  /// What substitute() left in place for another machine (SpecSource::keep_variables).
  const std::set<std::string>& kept_variables() const { return kept_; }

 private:
  struct Place {
    std::size_t line, column;
  };

  void read_flag(const YamlNode& value, bool& into, const std::string& path);
  void read_amount(const Field& field, const YamlNode& value, void* target, const std::string& path);
  void read_choice(const Field& field, const YamlNode& value, void* target, const std::string& path);
  void read_list(const Field& field, const YamlNode& value, void* list, const std::string& path);
  void unknown_key(const YamlNode& key, std::span<const Field> fields, const std::string& path);
  std::string variable(const YamlNode& value, std::string_view expression, const std::string& path);
  std::string input(const YamlNode& value, const std::string& id, const std::string& path);

  const SpecSource& source_;
  std::vector<Problem> problems_;
  std::map<std::string, Place> places_;
  std::set<std::string> kept_;
  std::map<std::string, std::string> input_defaults_;
};

/// Spec::variables of a spec that keeps them: what the reader met, and the keys' environment variables.
void collect_variables(const Reader& reader, Spec& spec);

/// The environment variable that ${input:ID} of a client's file stands for: ID with `_` for what a name of a
/// variable cannot hold.
std::string input_variable(std::string_view id);

/// "server.env" and "PATH" as "server.env.PATH".
std::string join_path(const std::string& path, std::string_view key);

}  // namespace berth::model
