#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What of the environment of `berth up`, or of a container, hosted servers get without being named: what
/// programs and package runners need to work at all behind a proxy, with a private registry or an authority
/// of one's own. Keys of services are not among it; a server's `env` or `inherit` names those.
namespace berth::model {

/// Names and, with a `*` at their end, beginnings of names; by what they are for.
struct InheritedGroup {
  std::string_view purpose;
  std::vector<std::string_view> names;
};
std::span<const InheritedGroup> inherited_groups();

/// Whether `pattern`, a name or a beginning with `*`, stands for `name`.
bool names_variable(std::string_view pattern, std::string_view name);

/// The variables of `environment` that every hosted server gets.
std::map<std::string, std::string> inherited_variables(const std::map<std::string, std::string>& environment);

}  // namespace berth::model
