#include "registry/ignore.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace berth::registry {

namespace {

/// Names that no image should hold unless somebody asks for it.
constexpr std::array<std::string_view, 17> default_names = {
    ".git",   ".hg",        ".svn",     ".berth", ".env*",   "node_modules",     "*.pem",
    ".aws",   ".ssh",       ".npmrc",   ".netrc", ".docker", ".git-credentials", ".DS_Store",
    "id_rsa", "id_ed25519", "*.tfstate"};

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t slash = path.find('/');
    parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

/// The class that `pattern` begins with at '['; false in `is_member` when `c` is not in it. Returns its
/// length, 0 when it is not closed.
std::size_t match_class(std::string_view pattern, char c, bool& is_member) {
  std::size_t at = 1;
  const bool is_negated = at < pattern.size() && pattern[at] == '^';
  if (is_negated) ++at;
  bool found = false;
  for (bool first = true; at < pattern.size() && (first || pattern[at] != ']'); first = false) {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    const char low = pattern[at++];
    char high = low;
    if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
      ++at;
      if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
      high = pattern[at++];
    }
    found = found || (low <= c && c <= high);
  }
  if (at >= pattern.size()) return 0;
  is_member = found != is_negated;
  return at + 1;
}

/// One name against one pattern without slashes. Goes back to the last star alone, so it is linear in
/// practice and never worse than the product of the lengths.
bool matches_name(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_name = 0;
  while (n < name.size() || p < pattern.size()) {
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star = p++;
        star_name = n;
        continue;
      }
      if (n < name.size()) {
        bool is_member = false;
        std::size_t length = 1;
        if (pattern[p] == '?') {
          is_member = true;
        } else if (pattern[p] == '[') {
          length = match_class(pattern.substr(p), name[n], is_member);
        } else {
          if (pattern[p] == '\\' && p + 1 < pattern.size()) length = 2;
          is_member = pattern[p + length - 1] == name[n];
        }
        if (is_member) {
          p += length;
          ++n;
          continue;
        }
      }
    }
    if (star == std::string_view::npos || star_name >= name.size()) return false;
    p = star + 1;
    n = ++star_name;
  }
  return true;
}

enum class Reach : std::uint8_t { path_or_above, path_alone };

/// Whether `pattern` matches `path` or, if asked, a folder above it. Keeps for each part of the pattern where
/// in the path it may have ended, so that any number of "**" costs no more than the product of the lengths.
bool matches(std::span<const std::string> pattern, std::span<const std::string> path, Reach reach) {
  std::vector<bool> ends(path.size() + 1);
  ends[0] = true;
  for (std::size_t part = 0; part < pattern.size(); ++part) {
    const auto first = std::ranges::find(ends, true);
    if (first == ends.end()) return false;
    if (pattern[part] == "**") {
      // The last one wants something to match.
      if (part + 1 == pattern.size()) return first != ends.end() - 1;
      std::fill(first, ends.end(), true);
      continue;
    }
    for (std::size_t at = path.size(); at > 0; --at) {
      ends[at] = ends[at - 1] && matches_name(pattern[part], path[at - 1]);
    }
    ends[0] = false;
  }
  return reach == Reach::path_alone ? ends.back() : std::ranges::find(ends, true) != ends.end();
}

bool has_globstar(std::span<const std::string> pattern) {
  return std::ranges::find(pattern, "**") != pattern.end();
}

bool names_something(std::span<const std::string> pattern) {
  return pattern.back() != "*" && pattern.back() != "**";
}

/// Whether something below `folder` could match.
bool may_match_below(std::span<const std::string> pattern, std::span<const std::string> folder) {
  if (folder.empty() || pattern.empty()) return true;
  if (pattern.front() == "**") return true;
  if (!matches_name(pattern.front(), folder.front())) return false;
  return may_match_below(pattern.subspan(1), folder.subspan(1));
}

bool is_sound(std::string_view part) {
  for (std::size_t at = 0; at < part.size(); ++at) {
    if (part[at] == '\\' && ++at >= part.size()) return false;
    if (part[at] != '[' || (at > 0 && part[at - 1] == '\\')) continue;
    bool is_member = false;
    const std::size_t length = match_class(part.substr(at), 'x', is_member);
    if (length == 0) return false;
    at += length - 1;
  }
  return true;
}

/// filepath.Clean: no empty parts, no ".", ".." taken back.
std::vector<std::string> clean(std::string_view pattern) {
  std::vector<std::string> parts;
  for (auto& part : split(pattern)) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
      continue;
    }
    const bool is_repeated = part == "**" && !parts.empty() && parts.back() == "**";
    if (!is_repeated) parts.push_back(std::move(part));
  }
  return parts;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace

Result<void> IgnoreRules::add_lines(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (!line.starts_with('#')) {
      if (auto added = add(line); !added) return added;
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return {};
}

Result<void> IgnoreRules::add(std::string_view pattern) {
  std::string_view rest = trim(pattern);
  if (rest.empty()) return {};
  Rule rule;
  if (rest.front() == '!') {
    rule.lets_in = true;
    rest = trim(rest.substr(1));
    if (rest.empty())
      return fail(ErrorCode::invalid_argument, "The ignore pattern '!' says nothing to let in.");
  }
  rule.parts = clean(rest);
  for (const std::string& part : rule.parts) {
    if (is_sound(part)) continue;
    return fail(ErrorCode::invalid_argument,
                fmt::format("The ignore pattern '{}' has an open '[' or ends in '\\'.", trim(pattern)));
  }
  // "." and "/" clean to nothing, and nothing is what docker lets them match.
  if (!rule.parts.empty()) rules_.push_back(std::move(rule));
  return {};
}

bool IgnoreRules::lifts(const Rule& rule, std::span<const std::string> path, std::size_t at) {
  if (!rule.lets_in || !names_something(rule.parts)) return false;
  if (matches(rule.parts, path.first(at + 1), Reach::path_alone)) return true;
  // Something below what a default keeps out has to be named from there, not by a pattern for everywhere.
  if (has_globstar(rule.parts)) return false;
  for (std::size_t end = at + 2; end <= path.size(); ++end) {
    if (matches(rule.parts, path.first(end), Reach::path_alone)) return true;
  }
  return false;
}

bool IgnoreRules::excludes_by_default(std::span<const std::string> path) const {
  if (defaults_ == Defaults::none) return false;
  for (std::size_t at = 0; at < path.size(); ++at) {
    const auto fits = [&](std::string_view name) { return matches_name(name, path[at]); };
    if (std::ranges::none_of(default_names, fits)) continue;
    const auto lets_in = [&](const Rule& rule) { return lifts(rule, path, at); };
    if (std::ranges::none_of(rules_, lets_in)) return true;
  }
  return false;
}

bool IgnoreRules::excludes(std::string_view path) const {
  const auto parts = split(path);
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (!matches(rule->parts, parts, Reach::path_or_above)) continue;
    if (!rule->lets_in) return true;
    break;
  }
  return excludes_by_default(parts);
}

bool IgnoreRules::may_let_in_below(std::string_view folder) const {
  const auto parts = split(folder);
  const bool is_default = excludes_by_default(parts);
  return std::ranges::any_of(rules_, [&](const Rule& rule) {
    if (!rule.lets_in || (is_default && has_globstar(rule.parts))) return false;
    return may_match_below(rule.parts, parts);
  });
}

}  // namespace berth::registry
