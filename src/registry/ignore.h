#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace berth::registry {

/// Which files of a folder stay out of its image: the patterns of .dockerignore
/// (https://docs.docker.com/build/concepts/context/#dockerignore-files). `*` and `?` stay within a name, `**`
/// goes over any number of folders, `[a-z]` is a class, `\` takes the next character as it is, `!` lets in
/// again; a pattern that matches a folder matches what is in it; the last pattern that matches decides.
class IgnoreRules {
 public:
  /// With `defaults`, secrets and what is made again stay out at any depth too: .git, .berth, .env*,
  /// node_modules, *.pem, .aws … A "!" pattern lets such a file in only when it names it on purpose
  /// ("!certs/public.pem", "!.aws/config"); "!src" or "!**" does not.
  enum class Defaults : std::uint8_t { none, secrets };
  explicit IgnoreRules(Defaults defaults) : defaults_(defaults) {}

  /// One pattern a line; empty lines and those that begin with # are skipped. invalid_argument names a broken
  /// pattern.
  Result<void> add_lines(std::string_view text);
  Result<void> add(std::string_view pattern);

  /// `path` relative to the folder, with slashes, without a leading one.
  bool excludes(std::string_view path) const;
  /// Whether something below an excluded folder may be let in again, so that it has to be looked into.
  bool may_let_in_below(std::string_view folder) const;

 private:
  struct Rule {
    std::vector<std::string> parts;  ///< by slashes
    bool lets_in = false;
  };
  static bool lifts(const Rule& rule, std::span<const std::string> path, std::size_t at);
  bool excludes_by_default(std::span<const std::string> path) const;

  Defaults defaults_;
  std::vector<Rule> rules_;
};

}  // namespace berth::registry
