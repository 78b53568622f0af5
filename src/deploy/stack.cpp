#include "deploy/stack.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "storage/files.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t token_digits = 16;
constexpr std::string_view image_parameter = "ImageUri";

/// What does not make a deploy another one: the image is told apart by itself; the number of tasks is given
/// when the service is made and left out from then on, so that an update leaves it to scaling; and the
/// switch for the account is on once the stack is there.
bool is_content(std::string_view parameter) {
  return parameter != image_parameter && parameter != count_parameter && parameter != search_parameter;
}

std::string canonical(const std::string& body) {
  json::error_code error;
  const json::value value = json::parse(body, error);
  return error ? body : json::serialize(value);
}

/// JSON objects are equal whatever the order of their members; CloudFormation keeps the text, but an emulator
/// or a hand may not.
bool same_template(const std::string& a, const std::string& b) {
  json::error_code error_a;
  json::error_code error_b;
  const json::value left = json::parse(a, error_a);
  const json::value right = json::parse(b, error_b);
  return !error_a && !error_b ? left == right : a == b;
}

std::string digest_of(const StackTarget& target) {
  std::string text = canonical(target.body);
  for (const auto& [key, value] : target.parameters) {
    if (is_content(key)) text += fmt::format("\n{}={}", key, value);
  }
  for (const auto& [key, value] : target.tags) text += fmt::format("\n#{}={}", key, value);
  return storage::sha256_hex(text).substr(0, token_digits);
}

}  // namespace

std::string StackState::output(const std::string& key) const {
  const auto found = outputs.find(key);
  return found == outputs.end() ? "" : found->second;
}

bool in_progress(const std::string& status) {
  return status.ends_with("_IN_PROGRESS") && status != "REVIEW_IN_PROGRESS";
}

StackStep next_step(const std::string& status) {
  if (status.empty() || status == "REVIEW_IN_PROGRESS" || status == "DELETE_COMPLETE")
    return StackStep::create;
  if (status == "DELETE_IN_PROGRESS") return StackStep::leave;
  if (in_progress(status)) return StackStep::wait;
  if (status == "UPDATE_ROLLBACK_FAILED") return StackStep::unwind;
  // UPDATE_FAILED is left by an update with rollback disabled; another update is allowed.
  const bool dead = status == "ROLLBACK_COMPLETE" || status == "ROLLBACK_FAILED" ||
                    status == "CREATE_FAILED" || status == "DELETE_FAILED";
  return dead ? StackStep::replace : StackStep::update;
}

StackChange compare(const StackTarget& target, const StackState& state, const std::string& body) {
  if (!same_template(target.body, body) || target.tags != state.tags) return StackChange::more;
  bool image = false;
  for (const auto& [key, value] : target.parameters) {
    const auto found = state.parameters.find(key);
    // The value of a NoEcho parameter is not shown.
    if (found != state.parameters.end() && (found->second == value || found->second == "****")) continue;
    if (key == count_parameter || key == search_parameter) continue;
    if (key != image_parameter) return StackChange::more;
    image = true;
  }
  return image ? StackChange::image : StackChange::none;
}

std::string token_prefix(const StackTarget& target) { return fmt::format("berth-{}-", digest_of(target)); }

std::string token_of(const StackTarget& target) {
  const auto image = target.parameters.find(std::string(image_parameter));
  const std::string digest =
      image == target.parameters.end() ? "none" : storage::sha256_hex(image->second).substr(0, token_digits);
  return token_prefix(target) + digest;
}

Result<std::map<std::string, std::string>> fill_parameters(const json::object& document,
                                                           const std::map<std::string, std::string>& values) {
  std::map<std::string, std::string> out;
  for (const auto& [name, parameter] : aws::object(document, "Parameters")) {
    const auto found = values.find(std::string(name));
    if (found != values.end()) {
      out[std::string(name)] = found->second;
    } else if (!parameter.is_object() || !parameter.get_object().contains("Default")) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("The template's parameter {} has no value: the base stack has no such output.",
                              std::string_view(name)));
    }
  }
  return out;
}

std::string operation_of(ChangeKind kind, const ChangeSet& set) {
  if (kind != ChangeKind::revert) return set.name;
  return fmt::format("{}-{}", set.name, storage::sha256_hex(set.id).substr(0, token_digits));
}

bool makes_service(const ChangeSet& set) {
  return std::ranges::any_of(set.changes, [](const ResourceChange& change) {
    return change.type == "AWS::ECS::Service" && (change.action == "Add" || change.replacement == "True");
  });
}

}  // namespace berth::deploy
