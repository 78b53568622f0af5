#include "task/edge/run_again.h"

#include "mcp/message.h"
#include "task/edge/answers.h"

namespace berth::task::edge {
namespace {

using mcp::Message;
using mcp::Repeat;

/// An answer to a question is taken once, whatever arrives; DELETE and GET lead to the same state.
bool is_harmless_twice(const Incoming& incoming) {
  return incoming.message.kind == Message::Kind::response || incoming.exchange.head().method != "POST";
}

}  // namespace

bool is_repeatable(const Shared& shared, mcp::Method method, const std::string& principal,
                   json::Slice params) {
  const Repeat repeat = mcp::repeat_of(method);
  if (repeat != Repeat::as_annotated) return repeat == Repeat::always;
  const auto* const tool = shared.tools.find(principal, params.find("name").as_string().value_or(""));
  return tool != nullptr && tool->is_repeatable;
}

bool is_repeatable_batch(json::Slice batch) {
  bool all = true;
  batch.each_element([&](json::Slice element) {
    const auto message = mcp::read_message(element);
    const bool is_response = message && message->kind == Message::Kind::response;
    all = all && message && (is_response || mcp::repeat_of(message->known) == Repeat::always);
    return all;
  });
  return all;
}

Task<bool> may_run_again(Shared& shared, const Incoming& incoming) {
  if (is_harmless_twice(incoming)) co_return true;
  const mcp::Method method = incoming.message.known;
  // A host of `isolation: service` rests in most tasks; there what is not known counts as no.
  if (mcp::repeat_of(method) == Repeat::as_annotated && !shared.is_sole()) {
    mcp::Caller caller;
    caller.principal = incoming.context.principal;
    const json::Slice capabilities = incoming.parts.client_capabilities;
    if (capabilities.is(json::Kind::object)) caller.capabilities = capabilities.text();
    co_await shared.tools.learn(caller);
  }
  co_return is_repeatable(shared, method, incoming.context.principal, incoming.message.params);
}

Task<void> answer_unknown_end(const Incoming& incoming) {
  co_await answer_error(incoming.exchange, 502, incoming.message.id, mcp::unknown_end(lost_task_sentence));
}

}  // namespace berth::task::edge
