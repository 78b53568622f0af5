#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "model/parse.h"

namespace berth::model {

/// One YAML value with the place it stands at (1-based). Aliases are already replaced by what they stand for.
struct YamlNode {
  enum class Kind : std::uint8_t { null, scalar, sequence, map };
  Kind kind = Kind::null;
  bool quoted = false;  ///< a scalar in quotes is text whatever it looks like
  std::size_t line = 0;
  std::size_t column = 0;
  std::string text;             ///< scalar
  std::vector<YamlNode> keys;   ///< map: scalars, in order, repeated ones kept; keys[i] belongs to items[i]
  std::vector<YamlNode> items;  ///< map and sequence
};

struct YamlLimits {
  std::size_t bytes_max = 1u << 20;
  std::size_t depth_max = 32;
  std::size_t nodes_max =
      20'000;  ///< an alias counts as all that it stands for, so that a few lines cannot grow to billions
};

/// The first document of `text`. A further document, a key that is no scalar, bytes that are not UTF-8 and
/// what the limits
/// forbid are problems. An empty text is null.
std::expected<YamlNode, Problem> parse_yaml(std::string_view text, const YamlLimits& limits = {});

}  // namespace berth::model
