#include "berth/call.h"

#include <fmt/format.h>

#include "base/log.h"

namespace berth {

std::string_view to_string(Action action) {
  switch (action) {
    case Action::accept: return "accept";
    case Action::decline: return "decline";
    case Action::cancel: return "cancel";
  }
  return "cancel";
}

namespace detail {

std::string form_params(std::string_view message, std::string_view schema) {
  return fmt::format(R"({{"message":{},"requestedSchema":{}}})", json_quote(message), schema);
}

Action read_action(json::Slice response) {
  const auto action = response.find("action").as_string().value_or("cancel");
  if (action == "accept") return Action::accept;
  return action == "decline" ? Action::decline : Action::cancel;
}

bool declares(std::string_view capabilities, Capability capability) {
  const auto declared = json::Slice::trusted(capabilities);
  if (!declared.is(json::Kind::object)) return false;
  switch (capability) {
    case Capability::sampling: return declared.find("sampling").is(json::Kind::object);
    case Capability::roots: return declared.find("roots").is(json::Kind::object);
    case Capability::url: return declared.find("elicitation").find("url").is(json::Kind::object);
    case Capability::form: break;
  }
  const auto elicitation = declared.find("elicitation");
  if (!elicitation.is(json::Kind::object)) return false;
  return elicitation.find("form").is(json::Kind::object) || !elicitation.find("url").exists();
}

std::string required_capabilities(const std::vector<Capability>& missing) {
  bool form = false;
  bool url = false;
  bool sampling = false;
  bool roots = false;
  for (const Capability capability : missing) {
    form = form || capability == Capability::form;
    url = url || capability == Capability::url;
    sampling = sampling || capability == Capability::sampling;
    roots = roots || capability == Capability::roots;
  }
  std::vector<std::string> parts;
  if (form || url) {
    const std::string_view modes = form && url ? R"("form":{},"url":{})" : url ? R"("url":{})" : "";
    parts.push_back(fmt::format(R"("elicitation":{{{}}})", modes));
  }
  if (sampling) parts.emplace_back(R"("sampling":{})");
  if (roots) parts.emplace_back(R"("roots":{})");
  return fmt::format("{{{}}}", fmt::join(parts, ","));
}

}  // namespace detail

Ask::Ask(Capability capability, std::string method, std::string params, Key key)
    : raw_{.capability = capability,
           .key = std::move(key.name),
           .method = std::move(method),
           .params = std::move(params)} {}

ElicitForm::ElicitForm(std::string_view message, std::string schema, Key key)
    : Ask(Capability::form, "elicitation/create", detail::form_params(message, schema), std::move(key)) {}

Elicited<Json> ElicitForm::read(json::Slice response) {
  Elicited<Json> answer;
  answer.action = detail::read_action(response);
  const auto content = response.find("content");
  answer.value.text = content.is(json::Kind::object) ? std::string(content.text()) : std::string("{}");
  return answer;
}

ElicitUrl::ElicitUrl(std::string_view message, std::string_view url, Key key)
    : Ask(Capability::url, "elicitation/create",
          fmt::format(R"({{"mode":"url","message":{},"url":{}}})", json_quote(message), json_quote(url)),
          std::move(key)) {}

Sample::Sample(std::string_view prompt, std::size_t tokens_max, Key key)
    : Ask(Capability::sampling, "sampling/createMessage",
          fmt::format(
              R"({{"messages":[{{"role":"user","content":{{"type":"text","text":{}}}}}],"maxTokens":{}}})",
              json_quote(prompt), tokens_max),
          std::move(key)) {}

Sample::Sample(Json params, Key key)
    : Ask(Capability::sampling, "sampling/createMessage", std::move(params.text), std::move(key)) {}

Sampled Sample::read(json::Slice response) {
  Sampled answer;
  answer.model = response.find("model").as_string().value_or("");
  answer.stop_reason = response.find("stopReason").as_string().value_or("");
  const auto content = response.find("content");
  answer.content.text = content ? std::string(content.text()) : std::string("null");
  const auto add_text = [&answer](json::Slice block) {
    answer.text += block.find("text").as_string().value_or("");
    return true;
  };
  if (content.is(json::Kind::array)) {
    content.each_element(add_text);
  } else if (content.is(json::Kind::object)) {
    add_text(content);
  }
  return answer;
}

ListRoots::ListRoots(Key key) : Ask(Capability::roots, "roots/list", "{}", std::move(key)) {}

std::vector<Root> ListRoots::read(json::Slice response) {
  std::vector<Root> roots;
  const auto list = response.find("roots");
  if (!list.is(json::Kind::array)) return roots;
  list.each_element([&roots](json::Slice root) {
    if (!root.is(json::Kind::object)) return true;
    roots.push_back({.uri = root.find("uri").as_string().value_or(""),
                     .name = root.find("name").as_string().value_or("")});
    return true;
  });
  return roots;
}

bool Call::client_can(Capability capability) const {
  return detail::declares(link_.caller().capabilities, capability);
}

void Call::progress(double done, std::optional<double> total, std::string_view message) {
  if (!link_.wants_progress()) return;
  std::string params = fmt::format(R"({{"progress":{})", done);
  if (total) params += fmt::format(R"(,"total":{})", *total);
  if (!message.empty()) {
    params += R"(,"message":)";
    params += json_quote(message);
  }
  params += '}';
  link_.progress(done, std::move(params));
}

void Call::log(LoggingLevel level, std::string_view message, std::string_view logger) {
  if (!link_.wants_log(level)) return;
  std::string params = fmt::format(R"({{"level":"{}")", mcp::to_string(level));
  if (!logger.empty()) {
    params += R"(,"logger":)";
    params += json_quote(logger);
  }
  params += R"(,"data":)";
  params += json_quote(message);
  params += '}';
  link_.log(std::move(params));
}

Task<std::vector<Json>> Call::ask(std::vector<Ask> asks) {
  std::vector<detail::RawAsk> raw;
  for (const Ask& one : asks) raw.push_back(one.raw());
  std::vector<std::string> texts = co_await link_.ask(std::move(raw));
  std::vector<Json> answers;
  for (std::string& text : texts) answers.push_back({.text = std::move(text)});
  co_return answers;
}

Task<Action> Call::elicit_url(std::string message, std::string url, Key key) {
  auto answers = co_await ask(ElicitUrl(message, url, std::move(key)));
  co_return std::get<0>(answers);
}

Task<Sampled> Call::sample(std::string prompt, std::size_t tokens_max, Key key) {
  auto answers = co_await ask(Sample(prompt, tokens_max, std::move(key)));
  co_return std::get<0>(std::move(answers));
}

Task<std::vector<Root>> Call::list_roots(Key key) {
  auto answers = co_await ask(ListRoots(std::move(key)));
  co_return std::get<0>(std::move(answers));
}

}  // namespace berth
