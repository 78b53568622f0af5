#pragma once

#include <boost/json.hpp>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Puts fragments of infra/ together as text, so that comments and order stay as a person wrote them.
///
/// A fragment is a CloudFormation template in YAML with three additions:
/// - `Key: !Berth name` is a place that the code fills; the line is left out when there is nothing to fill
///   in.
/// - `# berth: if name` and `# berth: if not name` before a key, a list entry or a section say when it is
///   there.
/// - `# berth: each name` repeats what follows for each entry of a list, with {words} replaced.
namespace berth::deploy {

/// One turn of a repetition: words to replace, and fillings that hold for this turn alone.
struct Turn {
  std::map<std::string, std::string> words;  ///< {"{zone}", "A"}
  std::map<std::string, boost::json::value> fillings;
};

/// What fragments are filled with. Every name that a fragment uses must be here: a missing one is a mistake
/// of the program.
struct Fillings {
  std::map<std::string, boost::json::value> values;  ///< null: leave the line out
  std::map<std::string, bool> conditions;
  std::map<std::string, std::vector<Turn>> repetitions;
};

struct Fragment {
  std::string_view name;  ///< "network.yaml"
  std::string_view text;
};

/// The fragments that are part of the program, all of infra/*.yaml.
const std::vector<Fragment>& all_fragments();

/// `names` in this order as one template: sections joined, each part under the name of its file and with the
/// comment at its head.
std::string compose(const std::vector<std::string>& names, const std::string& description,
                    const Fillings& fillings);

/// One fragment with its additions worked out.
std::string fill(std::string_view text, const Fillings& fillings);

/// YAML of a value, as it follows "Key:" at `indent`: a blank and a scalar or short intrinsic function, or
/// further lines.
std::string to_yaml(const boost::json::value& value, std::size_t indent);

/// YAML of CloudFormation as JSON: short tags such as !Ref become {"Ref": …}, and texts that are JSON
/// themselves lose their white space.
Result<boost::json::value> yaml_to_json(const std::string& yaml);

}  // namespace berth::deploy
