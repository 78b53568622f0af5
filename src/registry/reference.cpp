#include "registry/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ip_address.h"

namespace berth::registry {

namespace {

constexpr std::size_t repository_bytes_max = 255;
constexpr std::size_t tag_bytes_max = 128;
constexpr std::string_view docker_hub = "docker.io";

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

Failure refuse(std::string_view text, std::string_view why) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("The image reference '{}' {}; write it as [registry[:port]/]repository[:tag] or "
                          "repository@sha256:….",
                          text, why));
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` between slashes, as the distribution specification has it.
bool is_repository_component(std::string_view part) {
  if (part.empty() || !is_lower_alnum(part.front()) || !is_lower_alnum(part.back())) return false;
  for (std::size_t at = 0; at < part.size();) {
    if (is_lower_alnum(part[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < part.size() && !is_lower_alnum(part[end])) ++end;
    const std::string_view separator = part.substr(at, end - at);
    const bool is_dashes = separator.find_first_not_of('-') == std::string_view::npos;
    if (!is_dashes && separator != "." && separator != "_" && separator != "__") return false;
    at = end;
  }
  return true;
}

bool is_repository(std::string_view repository) {
  if (repository.empty() || repository.size() > repository_bytes_max) return false;
  while (true) {
    const std::size_t slash = repository.find('/');
    if (!is_repository_component(repository.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    repository.remove_prefix(slash + 1);
  }
}

bool is_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > tag_bytes_max || tag.front() == '.' || tag.front() == '-') return false;
  return std::ranges::all_of(
      tag, [](char c) { return is_lower_alnum(c) || is_upper(c) || c == '_' || c == '.' || c == '-'; });
}

/// Splits "host:port" or "[v6]:port"; the port is empty when there is none.
std::pair<std::string_view, std::string_view> split_port(std::string_view registry) {
  const std::size_t bracket = registry.find(']');
  const std::size_t colon = registry.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return {registry, {}};
  return {registry.substr(0, colon), registry.substr(colon + 1)};
}

bool is_registry(std::string_view registry) {
  const auto [host, port] = split_port(registry);
  if (host.empty() || (host.size() < registry.size() && port.empty())) return false;
  if (!port.empty()) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || end != port.data() + port.size() || number == 0 || number > 65535)
      return false;
  }
  if (host.front() == '[') return host.back() == ']';
  if (host.find("..") != std::string_view::npos || host.starts_with('.') || host.ends_with('.')) return false;
  return std::ranges::all_of(host,
                             [](char c) { return is_lower_alnum(c) || is_upper(c) || c == '.' || c == '-'; });
}

/// Whether the first component of a reference names a registry, by the rule of docker: it has a dot or a
/// port, or is localhost.
bool names_registry(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos;
}

}  // namespace

bool is_digest(std::string_view text) {
  if (!text.starts_with("sha256:") || text.size() != 7 + 64) return false;
  return std::ranges::all_of(text.substr(7),
                             [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<Reference> parse_reference(std::string_view text) {
  if (text.empty()) return refuse(text, "is empty");
  if (text.find("://") != std::string_view::npos) return refuse(text, "has a scheme in it");
  Reference reference;
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    reference.digest = rest.substr(at + 1);
    if (!is_digest(reference.digest))
      return refuse(text, "has no digest of the form sha256:<64 digits> behind @");
    rest = rest.substr(0, at);
  }
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos && names_registry(rest.substr(0, slash))) {
    reference.registry = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
    if (!is_registry(reference.registry)) return refuse(text, "names no valid registry");
  }
  if (reference.registry.empty() || reference.registry == "index.docker.io") reference.registry = docker_hub;
  const std::size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos) {
    reference.tag = rest.substr(colon + 1);
    if (!is_tag(reference.tag)) {
      return refuse(text, "has no valid tag (letters, digits, '_', '.', '-', at most 128) behind its colon");
    }
    rest = rest.substr(0, colon);
  }
  reference.repository = rest;
  if (reference.registry == docker_hub && rest.find('/') == std::string_view::npos && !rest.empty()) {
    reference.repository = "library/" + reference.repository;
  }
  if (std::ranges::any_of(rest, is_upper)) return refuse(text, "has capital letters in its repository");
  if (!is_repository(reference.repository)) return refuse(text, "names no valid repository");
  // A digest says exactly which image; a tag beside it is decoration.
  if (!reference.digest.empty()) reference.tag.clear();
  if (reference.digest.empty() && reference.tag.empty()) reference.tag = "latest";
  return reference;
}

std::string to_string(const Reference& reference) {
  std::string out = reference.registry + "/" + reference.repository;
  if (!reference.tag.empty()) out += ":" + reference.tag;
  if (!reference.digest.empty()) out += "@" + reference.digest;
  return out;
}

bool is_loopback_registry(std::string_view registry) {
  const std::string_view host = split_port(registry).first;
  return host == "localhost" || host == "[::1]" || (is_ipv4_address(host) && is_loopback_address(host));
}

std::string api_url(std::string_view registry) {
  if (registry == docker_hub) return "https://registry-1.docker.io";
  return std::string(is_loopback_registry(registry) ? "http://" : "https://") + std::string(registry);
}

const std::string& manifest_name(const Reference& reference) {
  return reference.digest.empty() ? reference.tag : reference.digest;
}

}  // namespace berth::registry
