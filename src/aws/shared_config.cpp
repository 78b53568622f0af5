#include "aws/shared_config.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::aws {

namespace {

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::string_view without_comment(std::string_view value) {
  for (std::size_t at = 1; at < value.size(); ++at) {
    const bool is_behind_space = value[at - 1] == ' ' || value[at - 1] == '\t';
    if (is_behind_space && (value[at] == '#' || value[at] == ';')) return trim(value.substr(0, at));
  }
  return value;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char byte) {
    return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
  });
  return out;
}

/// The name behind "profile" or "sso-session"; empty when the header is another.
std::string name_behind(std::string_view header, std::string_view kind) {
  if (!header.starts_with(kind) || header.size() <= kind.size()) return {};
  const std::string_view rest = header.substr(kind.size());
  if (rest.front() != ' ' && rest.front() != '\t') return {};
  return std::string(trim(rest));
}

/// Empty for a file that is not there.
Result<std::map<std::string, Section>> load_ini(const std::string& path, bool& exists) {
  auto content = read_small_file(path);
  if (!content && content.error().code() == ErrorCode::not_found) return std::map<std::string, Section>();
  if (!content) return Failure(content.error());
  exists = true;
  return parse_ini(*content, path);
}

}  // namespace

std::string setting(const Section& section, const std::string& name) {
  const auto at = section.find(name);
  return at == section.end() ? std::string() : at->second;
}

Result<std::map<std::string, Section>> parse_ini(std::string_view text, const std::string& path) {
  std::map<std::string, Section> sections;
  Section* current = nullptr;
  int line_number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    if (content.front() == '[') {
      const std::size_t close = content.find(']');
      if (close == std::string_view::npos) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} line {}: the section's bracket is not closed.", path, line_number));
      }
      current = &sections[std::string(trim(content.substr(1, close - 1)))];
      continue;
    }
    // The settings of one service below "services" or "s3 =".
    if (line.front() == ' ' || line.front() == '\t') continue;
    const std::size_t equals = content.find('=');
    if (equals == std::string_view::npos || current == nullptr) {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("{} line {} is no setting of a section; write [profile NAME] and then NAME = VALUE.",
                      path, line_number));
    }
    (*current)[lower(trim(content.substr(0, equals)))] = without_comment(trim(content.substr(equals + 1)));
  }
  return sections;
}

Result<SharedConfig> SharedConfig::load(const Environment& environment) {
  SharedConfig all;
  const auto path_of = [&environment](const char* name, const char* fallback) {
    const std::string given = variable(environment, name);
    return expand_home(environment, given.empty() ? fallback : given);
  };
  all.config_path_ = path_of("AWS_CONFIG_FILE", "~/.aws/config");
  all.credentials_path_ = path_of("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
  auto config = load_ini(all.config_path_, all.has_files_);
  if (!config) return Failure(config.error());
  for (auto& [header, section] : *config) {
    const std::string session = name_behind(header, "sso-session");
    const std::string profile = header == "default" ? header : name_behind(header, "profile");
    if (!session.empty())
      all.sso_sessions_[session] = std::move(section);
    else if (!profile.empty())
      all.profiles_[profile].merge(section);
  }
  auto credentials = load_ini(all.credentials_path_, all.has_files_);
  if (!credentials) return Failure(credentials.error());
  for (const auto& [header, section] : *credentials) {
    Section& profile = all.profiles_[header];
    for (const auto& [name, value] : section) profile[name] = value;
  }
  return all;
}

const Section* SharedConfig::profile(const std::string& name) const {
  const auto at = profiles_.find(name);
  return at == profiles_.end() ? nullptr : &at->second;
}

const Section* SharedConfig::sso_session(const std::string& name) const {
  const auto at = sso_sessions_.find(name);
  return at == sso_sessions_.end() ? nullptr : &at->second;
}

std::vector<std::string> SharedConfig::profile_names() const {
  std::vector<std::string> names;
  for (const auto& [name, section] : profiles_) names.push_back(name);
  return names;
}

std::string SharedConfig::places() const { return config_path_ + " and " + credentials_path_; }

}  // namespace berth::aws
