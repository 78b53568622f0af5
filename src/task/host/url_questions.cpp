#include "task/host/url_questions.h"

#include <fmt/format.h>

#include <utility>

#include "mcp/modern.h"

namespace berth::task::host {

namespace {

constexpr std::size_t held_questions_max = 256;

void refuse_held(UrlSession& session, std::string_view id) {
  std::string answer;
  append_error(answer, id,
               {mcp::code::internal_error,
                "Several calls are under way in this session, so it is not known whom to ask.",
                {}});
  session.post(std::move(answer));
}

}  // namespace

Message UrlQuestions::Held::message() const {
  Message message;
  message.kind = Message::Kind::request;
  message.id = json::Slice::trusted(id);
  message.method = method;
  if (!params.empty()) message.params = json::Slice::trusted(params);
  return message;
}

void UrlQuestions::take(UrlSession& session, const Message& question) {
  if (try_to_ask(session, question)) return;
  if (held_.size() >= held_questions_max) return refuse_held(session, question.id.text());
  held_.push_back({session.weak_from_this(), std::string(question.id.text()), std::string(question.method),
                   std::string(question.params.text()), world_.clock.now() + world_.spec.input_timeout});
  if (held_.size() == 1) arm();
}

/// False: the question has to wait.
bool UrlQuestions::try_to_ask(UrlSession& session, const Message& question) {
  const UrlCalls::Asker asker = world_.calls.ask(session, question);
  if (asker != UrlCalls::Asker::none) return asker == UrlCalls::Asker::found;
  mcp::InputRequest request =
      input_request(fmt::format("outside-{}", next_key_++), question.method, question.params);
  std::string id(question.id.text());
  const std::string undeclared = mcp::missing_capability(request, session.key().capabilities.to_json());
  if (!undeclared.empty()) {
    std::string answer;
    append_undeclared_answer(answer, id, undeclared);
    session.post(std::move(answer));
    return true;
  }
  const auto asking = session.shared_from_this();
  auto answer = [weak = std::weak_ptr(asking), id = std::move(id)](std::string_view response) {
    const auto alive = weak.lock();
    if (!alive) return;
    std::string message;
    append_input_response(message, id, json::Slice::trusted(response));
    alive->post(std::move(message));
  };
  world_.on_outside(asking, std::move(request), std::move(answer));
  return true;
}

void UrlQuestions::look_again() {
  // Whoever is asked may end another call, and lead here again.
  auto waiting = std::exchange(held_, {});
  std::list<Held> kept;
  for (Held& held : waiting) {
    const auto session = held.session.lock();
    if (session && !try_to_ask(*session, held.message())) kept.push_back(std::move(held));
  }
  held_.splice(held_.begin(), kept);
}

void UrlQuestions::arm() {
  timer_->arm(held_.front().deadline, [this] { expire(); });
}

void UrlQuestions::expire() {
  while (!held_.empty() && held_.front().deadline <= world_.clock.now()) {
    if (const auto session = held_.front().session.lock()) refuse_held(*session, held_.front().id);
    held_.pop_front();
  }
  if (!held_.empty()) arm();
}

}  // namespace berth::task::host
