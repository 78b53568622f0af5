#include "model/aws_names.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "model/nearest_name.h"
#include "model/units.h"

namespace berth::model {
namespace {

constexpr std::array<std::string_view, 33> regions{
    "us-east-1",      "us-east-2",      "us-west-1",      "us-west-2",      "ca-central-1",
    "ca-west-1",      "mx-central-1",   "sa-east-1",      "eu-central-1",   "eu-central-2",
    "eu-west-1",      "eu-west-2",      "eu-west-3",      "eu-north-1",     "eu-south-1",
    "eu-south-2",     "il-central-1",   "me-central-1",   "me-south-1",     "af-south-1",
    "ap-east-1",      "ap-south-1",     "ap-south-2",     "ap-northeast-1", "ap-northeast-2",
    "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4",
    "ap-southeast-5", "us-gov-east-1",  "us-gov-west-1"};
constexpr std::array<std::string_view, 17> places{"us",      "ca",      "mx",      "sa",   "eu",     "il",
                                                  "me",      "af",      "ap",      "cn",   "us-gov", "us-iso",
                                                  "us-isob", "us-isof", "eu-isoe", "eusc", "eusc-de"};
constexpr std::array<std::string_view, 9> directions{
    "north", "south", "east", "west", "central", "northeast", "southeast", "northwest", "southwest"};
constexpr std::array<std::string_view, 7> days{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_lower_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || is_digit(c); }

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> out;
  for (;;) {
    std::size_t end = text.find(by);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

std::string lower_without_blanks(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == ' ') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return out;
}

std::optional<std::size_t> day_number(std::string_view text) {
  for (std::size_t i = 0; i < days.size(); ++i) {
    if (text == days[i]) return i;
  }
  return std::nullopt;
}

/// A region that is newer than the list still has the shape PLACE-DIRECTION-DIGIT.
bool has_region_shape(std::string_view text) {
  std::size_t last = text.rfind('-');
  if (last == std::string_view::npos || last + 2 != text.size() || !is_digit(text.back())) return false;
  std::size_t middle = text.rfind('-', last - 1);
  if (last == 0 || middle == std::string_view::npos) return false;
  return std::ranges::find(places, text.substr(0, middle)) != places.end() &&
         std::ranges::find(directions, text.substr(middle + 1, last - middle - 1)) != directions.end();
}

}  // namespace

std::string region_problem(std::string_view text) {
  if (has_region_shape(text)) return {};
  std::string plain = lower_without_blanks(text);
  bool zone =
      !plain.empty() && is_letter(plain.back()) && has_region_shape(plain.substr(0, plain.size() - 1));
  if (zone) return fmt::format("is a zone; write its region, {}", plain.substr(0, plain.size() - 1));
  std::optional<std::string> meant = nearest_name(text, regions);
  if (meant) return fmt::format("is no region; did you mean \"{}\"?", *meant);
  return "is no region; write one such as eu-central-1 or us-east-1";
}

std::string account_problem(std::string_view text) {
  if (text.size() == 12 && std::ranges::all_of(text, is_digit)) return {};
  return "is no account; write its 12 digits";
}

std::string_view arn_part(std::string_view arn, std::size_t index) {
  for (std::size_t i = 0; i < index; ++i) {
    std::size_t colon = arn.find(':');
    if (colon == std::string_view::npos) return {};
    arn.remove_prefix(colon + 1);
  }
  return index == 5 ? arn : arn.substr(0, arn.find(':'));
}

std::string arn_problem(std::string_view text, std::string_view service, std::string_view resource) {
  std::string example = fmt::format("arn:aws:{}:{}:123456789012:{}…", service,
                                    service == "iam" ? "" : "eu-central-1", resource);
  if (!text.starts_with("arn:")) return fmt::format("is no ARN; write {}", example);
  if (arn_part(text, 2) != service) return fmt::format("is no ARN of {}; write {}", service, example);
  std::string_view rest = arn_part(text, 5);
  bool clean = std::ranges::none_of(text, [](char c) { return c <= 0x20 || c == 0x7f; });
  bool whole = arn_part(text, 1).starts_with("aws") && clean && rest.starts_with(resource) &&
               rest.size() > resource.size() && account_problem(arn_part(text, 4)).empty() &&
               (service == "iam" || region_problem(arn_part(text, 3)).empty());
  return whole ? std::string() : fmt::format("is not a whole ARN; write {}", example);
}

std::string cidr_problem(std::string_view text, unsigned prefix_min, unsigned prefix_max) {
  std::size_t slash = text.find('/');
  std::string address(text.substr(0, slash));
  in_addr parsed{};
  if (slash == std::string_view::npos || inet_pton(AF_INET, address.c_str(), &parsed) != 1)
    return fmt::format("is no CIDR block; write one such as 10.20.0.0/{}", std::max(prefix_min, 16u));
  Result<std::uint64_t> prefix = parse_count(text.substr(slash + 1));
  if (!prefix || *prefix < prefix_min || *prefix > prefix_max) {
    return fmt::format("has a prefix that is not from /{} to /{}", prefix_min, prefix_max);
  }
  std::uint32_t bits = ntohl(parsed.s_addr);
  std::uint32_t mask = *prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - *prefix);
  if ((bits & ~mask) == 0) return {};
  bits &= mask;
  return fmt::format("has an address inside its block; write {}.{}.{}.{}/{}", bits >> 24, (bits >> 16) & 255,
                     (bits >> 8) & 255, bits & 255, *prefix);
}

std::string domain_problem(std::string_view text) {
  constexpr std::size_t name_bytes_max = 253, label_bytes_max = 63;
  if (text.contains("://")) return "has a scheme; write the name alone, such as mcp.example.com";
  if (std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; }))
    return fmt::format("has capital letters; write {}", lower_without_blanks(text));
  if (text.ends_with('.')) return fmt::format("ends in a dot; write {}", text.substr(0, text.size() - 1));
  std::vector<std::string_view> labels = split(text, '.');
  bool good = text.size() <= name_bytes_max && labels.size() >= 2;
  for (std::string_view label : labels) {
    good = good && !label.empty() && label.size() <= label_bytes_max && label.front() != '-' &&
           label.back() != '-' &&
           std::ranges::all_of(label, [](char c) { return is_lower_alphanumeric(c) || c == '-'; });
  }
  return good ? std::string() : "is no domain name; write one such as mcp.example.com";
}

std::string action_problem(std::string_view text) {
  if (text == "*") return "allows everything; name the actions, such as dynamodb:GetItem";
  std::size_t colon = text.find(':');
  bool good = colon != std::string_view::npos && colon > 0 && colon + 1 < text.size();
  if (good) {
    good = std::ranges::all_of(text.substr(0, colon),
                               [](char c) { return is_lower_alphanumeric(c) || c == '-'; }) &&
           std::ranges::all_of(text.substr(colon + 1), [](char c) {
             return is_letter(c) || is_digit(c) || c == '*' || c == '?' || c == '-' || c == '_';
           });
  }
  return good ? std::string() : "is no action of IAM; write SERVICE:Action, such as dynamodb:GetItem";
}

std::string id_problem(std::string_view text, std::string_view prefix) {
  bool good = text.starts_with(prefix) && text.size() >= prefix.size() + 8 &&
              text.size() <= prefix.size() + 17 &&
              std::ranges::all_of(text.substr(prefix.size()),
                                  [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
  return good ? std::string() : fmt::format("is no id; write one such as {}0a1b2c3d4e5f60718", prefix);
}

int minutes_of_day(std::string_view text) {
  std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon > 2 || text.size() != colon + 3) return -1;
  Result<std::uint64_t> hours = parse_count(text.substr(0, colon));
  Result<std::uint64_t> minutes = parse_count(text.substr(colon + 1));
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return -1;
  return static_cast<int>(*hours * 60 + *minutes);
}

std::string days_of_week(std::string_view text) {
  std::string plain = lower_without_blanks(text);
  std::string out;
  for (std::string_view part : split(plain, ',')) {
    std::vector<std::string_view> ends = split(part, '-');
    if (ends.size() > 2) return {};
    std::string canonical;
    std::size_t before = 0;
    for (std::string_view end : ends) {
      // "monday" is as good as "mon".
      constexpr std::array<std::string_view, 7> whole{"monday", "tuesday",  "wednesday", "thursday",
                                                      "friday", "saturday", "sunday"};
      std::optional<std::size_t> day = day_number(end);
      for (std::size_t i = 0; i < whole.size(); ++i) {
        if (end == whole[i]) day = i;
      }
      if (!day || (!canonical.empty() && *day <= before)) return {};
      before = *day;
      canonical += canonical.empty() ? "" : "-";
      canonical += days[*day];
    }
    out += out.empty() ? "" : ",";
    out += canonical;
  }
  return out;
}

}  // namespace berth::model
