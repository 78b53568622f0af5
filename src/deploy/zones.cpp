#include "deploy/zones.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace berth::deploy {
namespace {

constexpr std::array<std::string_view, 6> without_tasks{"use1-az3", "usw1-az2", "apne1-az3",
                                                        "cac1-az3", "cnn1-az3", "cnn1-az4"};

std::string letter_of(const AwsZone& zone) {
  return zone.name.empty() ? "" : zone.name.substr(zone.name.size() - 1);
}

}  // namespace

bool runs_tasks(const AwsZone& zone) {
  return std::ranges::find(without_tasks, zone.id) == without_tasks.end();
}

Result<std::vector<std::string>> choose_zones(const std::vector<AwsZone>& known,
                                              const std::vector<std::string>& wanted) {
  std::vector<std::string> spare;
  for (const AwsZone& zone : known) {
    if (runs_tasks(zone)) spare.push_back(letter_of(zone));
  }
  std::ranges::sort(spare);
  if (spare.size() < wanted.size()) {
    return fail(
        ErrorCode::not_found,
        fmt::format("The region has {} zone{} in which this account can run tasks, and tasks.zones names "
                    "{}; write zones: [{}], or deploy to another region (aws.region).",
                    spare.size(), spare.size() == 1 ? "" : "s", wanted.size(), fmt::join(spare, ", ")));
  }
  std::vector<std::string> out(wanted.size());
  const auto take = [&spare](const std::string& letter) {
    const auto found = std::ranges::find(spare, letter);
    if (found == spare.end()) return false;
    spare.erase(found);
    return true;
  };
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (take(wanted[i])) out[i] = wanted[i];
  }
  for (std::string& letter : out) {
    if (!letter.empty()) continue;
    letter = spare.front();
    spare.erase(spare.begin());
  }
  return out;
}

}  // namespace berth::deploy
