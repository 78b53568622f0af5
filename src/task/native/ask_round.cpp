#include "task/native/ask_round.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::task {

namespace {

bool type_fits(std::string_view type, json::Slice value) {
  if (type == "string") return value.is(json::Kind::string);
  if (type == "boolean") return value.is(json::Kind::boolean);
  if (type == "integer") return value.as_int().has_value();
  if (type == "number") return value.is(json::Kind::number);
  if (type == "array") return value.is(json::Kind::array);
  if (type == "object") return value.is(json::Kind::object);
  return true;
}

/// Whether `value` is among the strings of `choices`; true when there are none.
bool chosen_fits(json::Slice choices, json::Slice value) {
  if (!choices.is(json::Kind::array)) return true;
  bool found = false;
  const auto wanted = value.as_string();
  choices.each_element([&](json::Slice choice) {
    found = choice.as_string() == wanted;
    return !found;
  });
  return found;
}

std::string_view key_stem(std::string_view method) {
  if (method.starts_with("sampling/")) return "sampling";
  return method.starts_with("roots/") ? "roots" : "elicitation";
}

}  // namespace

bool content_fits(json::Slice schema, json::Slice content) {
  if (!content.is(json::Kind::object)) return false;
  bool fits = true;
  const auto required = schema.find("required");
  if (required.is(json::Kind::array)) {
    required.each_element([&](json::Slice name) {
      fits = content.find(name.as_string().value_or("")).exists();
      return fits;
    });
  }
  const auto properties = schema.find("properties");
  if (!fits || !properties.is(json::Kind::object)) return fits;
  properties.each_member([&](std::string_view name, json::Slice property) {
    const auto value = content.find(name);
    if (!value.exists()) return true;
    fits = type_fits(property.find("type").as_string().value_or(""), value) &&
           chosen_fits(property.find("enum"), value);
    return fits;
  });
  return fits;
}

bool response_fits(const detail::RawAsk& ask, json::Slice response) {
  if (!response.is(json::Kind::object)) return false;
  switch (ask.capability) {
    case Capability::sampling: return response.find("content").exists();
    case Capability::roots: return response.find("roots").is(json::Kind::array);
    case Capability::form:
    case Capability::url: break;
  }
  const auto action = response.find("action").as_string().value_or("");
  if (action == "decline" || action == "cancel") return true;
  if (action != "accept") return false;
  if (ask.capability == Capability::url) return true;
  const auto content = response.find("content");
  if (ask.fits != nullptr) return ask.fits(content);
  return content_fits(json::Slice::trusted(ask.params).find("requestedSchema"), content);
}

std::string AskRound::unique_key(const detail::RawAsk& ask) {
  ++asked_;
  const std::string wanted = ask.key.empty() ? fmt::format("{}-{}", key_stem(ask.method), asked_) : ask.key;
  std::string key = wanted;
  const auto taken = [&key](const Open& open) { return open.ask.key == key; };
  for (int suffix = 2; std::ranges::any_of(open_, taken); ++suffix)
    key = fmt::format("{}-{}", wanted, suffix);
  return key;
}

void AskRound::begin(std::vector<detail::RawAsk> asks) {
  open_.clear();
  refusal_.clear();
  for (detail::RawAsk& ask : asks) {
    ask.key = unique_key(ask);
    open_.push_back({.ask = std::move(ask), .answer = std::nullopt});
  }
}

void AskRound::take(json::Slice responses) {
  if (!responses.is(json::Kind::object)) return;
  for (Open& open : open_) {
    if (open.answer) continue;
    const auto response = responses.find(open.ask.key);
    const auto error = response.find("error");
    if (error.is(json::Kind::object)) {
      if (open.ask.method == "elicitation/create") {
        open.answer = R"({"action":"cancel"})";
      } else {
        refusal_ = fmt::format("The client refused {}: {}", open.ask.method,
                               error.find("message").as_string().value_or("it gave no reason"));
      }
    } else if (response.exists() && response_fits(open.ask, response))
      open.answer = std::string(response.text());
  }
}

bool AskRound::complete() const {
  return std::ranges::all_of(open_, [](const Open& open) { return open.answer.has_value(); });
}

std::vector<mcp::InputRequest> AskRound::missing() const {
  std::vector<mcp::InputRequest> requests;
  for (const Open& open : open_) {
    if (open.answer) continue;
    requests.push_back({.key = open.ask.key, .method = open.ask.method, .params = open.ask.params});
  }
  return requests;
}

std::vector<std::string> AskRound::answers() {
  std::vector<std::string> texts;
  for (Open& open : open_) texts.push_back(std::move(open.answer).value_or("{}"));
  open_.clear();
  return texts;
}

std::vector<Capability> AskRound::undeclared(const std::vector<detail::RawAsk>& asks,
                                             std::string_view capabilities) {
  std::vector<Capability> missing;
  for (const detail::RawAsk& ask : asks) {
    if (!detail::declares(capabilities, ask.capability)) missing.push_back(ask.capability);
  }
  return missing;
}

}  // namespace berth::task
