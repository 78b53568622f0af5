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
  std::string_view name = trim(rest);
  const bool is_quoted =
      name.size() >= 2 && (name.front() == '"' || name.front() == '\'') && name.front() == name.back();
  if (is_quoted) name = name.substr(1, name.size() - 2);
  return std::string(name);
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
  std::string above;  ///< the setting that indented lines belong to, with a dot; empty when it has a value
  int line_number = 0;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
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
      above.clear();
      continue;
    }
    const bool is_indented = line.front() == ' ' || line.front() == '\t';
    const std::size_t equals = content.find('=');
    // An indented line below a value goes on with it, in settings that hold nothing for us.
    if (is_indented && (above.empty() || equals == std::string_view::npos)) continue;
    if (equals == std::string_view::npos || current == nullptr) {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("{} line {} is no setting of a section; write [profile NAME] and then NAME = VALUE.",
                      path, line_number));
    }
    const std::string name = lower(trim(content.substr(0, equals)));
    const std::string_view value = without_comment(trim(content.substr(equals + 1)));
    (*current)[is_indented ? above + name : name] = value;
    if (!is_indented) above = value.empty() ? name + "." : std::string();
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
    const std::string services = name_behind(header, "services");
    const std::string profile = header == "default" ? header : name_behind(header, "profile");
    if (!session.empty())
      all.sso_sessions_[session] = std::move(section);
    else if (!services.empty())
      all.services_[services] = std::move(section);
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

const Section* SharedConfig::services(const std::string& name) const {
  const auto at = services_.find(name);
  return at == services_.end() ? nullptr : &at->second;
}

std::vector<std::string> SharedConfig::profile_names() const {
  std::vector<std::string> names;
  for (const auto& [name, section] : profiles_) names.push_back(name);
  return names;
}

std::string SharedConfig::places() const { return config_path_ + " and " + credentials_path_; }

Environment with_profile_settings(Environment environment, const SharedConfig& config,
                                  const std::string& profile) {
  const Section* const section = config.profile(profile);
  if (section == nullptr) return environment;
  const auto add = [&environment](const std::string& name, const std::string& value) {
    if (!value.empty()) environment.emplace(name, value);
  };
  const bool is_given = !variable(environment, "AWS_ENDPOINT_URL").empty();
  const Section* const services = config.services(setting(*section, "services"));
  for (const auto& [name, value] : services != nullptr && !is_given ? *services : Section()) {
    constexpr std::string_view ending = ".endpoint_url";
    if (!name.ends_with(ending)) continue;
    std::string upper = name.substr(0, name.size() - ending.size());
    std::ranges::transform(upper, upper.begin(), [](char byte) {
      return byte >= 'a' && byte <= 'z' ? static_cast<char>(byte - 'a' + 'A') : byte;
    });
    add("AWS_ENDPOINT_URL_" + upper, value);
  }
  for (const auto& [name, as] : {std::pair{"endpoint_url", "AWS_ENDPOINT_URL"},
                                 {"ignore_configured_endpoint_urls", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"},
                                 {"use_fips_endpoint", "AWS_USE_FIPS_ENDPOINT"},
                                 {"use_dualstack_endpoint", "AWS_USE_DUALSTACK_ENDPOINT"},
                                 {"ca_bundle", "AWS_CA_BUNDLE"},
                                 {"max_attempts", "AWS_MAX_ATTEMPTS"}}) {
    add(as, setting(*section, name));
  }
  return environment;
}

}  // namespace berth::aws
