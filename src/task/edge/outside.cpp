#include "task/edge/outside.h"

#include <algorithm>
#include <utility>

namespace berth::task::edge {
namespace {

/// A client opens its stream as soon as it is initialized.
constexpr Duration stream_patience = std::chrono::seconds(5);
constexpr std::size_t waiting_max = 256;
/// Questions outside calls that one client has not answered yet.
constexpr std::size_t unanswered_max = 64;

}  // namespace

OutsideQuestions::OutsideQuestions(Shared& shared, SessionTable& sessions)
    : shared_(shared), sessions_(sessions), timer_(shared.world.clock.make_timer()) {}

OutsideQuestions::~OutsideQuestions() {
  for (const Waiting& waiting : waiting_) waiting.question.answer(nobody_to_ask);
}

void OutsideQuestions::ask(OutsideQuestion question) {
  if (try_to_ask(question)) return;
  if (waiting_.size() >= waiting_max) return question.answer(nobody_to_ask);
  waiting_.push_back({std::move(question), shared_.now() + stream_patience});
  if (waiting_.size() == 1) arm();
}

void OutsideQuestions::look_again() {
  waiting_.remove_if([this](Waiting& waiting) { return try_to_ask(waiting.question); });
}

bool OutsideQuestions::try_to_ask(OutsideQuestion& question) {
  const auto served = sessions_.served(question.is_for);
  std::shared_ptr<Session> asked;
  bool is_ambiguous = false;
  for (const auto& session : served) {
    if (!session->standalone->has_reader()) continue;
    is_ambiguous = asked != nullptr;
    if (is_ambiguous) break;
    asked = session;
  }
  const bool may_come = !shared_.draining && (!served.empty() || sessions_.is_one_coming());
  if (!asked && may_come) return false;
  if (!asked || is_ambiguous || asked->questions.size() >= unanswered_max) {
    question.answer(nobody_to_ask);
  } else {
    asked->ask(shared_, *asked->standalone, question.request, {{}, {}, std::move(question.answer)});
  }
  return true;
}

void OutsideQuestions::arm() {
  timer_->arm(waiting_.front().until, [this] { expire(); });
}

void OutsideQuestions::expire() {
  while (!waiting_.empty() && waiting_.front().until <= shared_.now()) {
    waiting_.front().question.answer(nobody_to_ask);
    waiting_.pop_front();
  }
  if (!waiting_.empty()) arm();
}

}  // namespace berth::task::edge
