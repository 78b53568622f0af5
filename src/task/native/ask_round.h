#pragma once

#include <optional>
#include <string>
#include <vector>

#include "berth/call.h"
#include "codec/json.h"
#include "mcp/core.h"

namespace berth::task {

/// What one handler has asked and what has been answered, across the rounds of a call. Pure: responses in,
/// what is still missing out (MCP 2026-07-28, basic/utilities/mrtr).
class AskRound {
 public:
  /// Takes the asks of a new round; those without a key are numbered through all rounds ("elicitation-1").
  void begin(std::vector<detail::RawAsk> asks);

  /// Takes from `responses` (an object by key) what fits an open ask; the rest is ignored. A client edge
  /// hands a legacy client's JSON-RPC error over as {"error":…}: a form is cancelled by it, anything else
  /// refused.
  void take(json::Slice responses);
  /// Why the client refused one of the asks, in a sentence; empty: it did not.
  const std::string& refusal() const { return refusal_; }

  bool complete() const;
  /// The asks still without an answer, for input_required.
  std::vector<mcp::InputRequest> missing() const;
  /// The answers in the order asked. Only when complete; empties the round.
  std::vector<std::string> answers();

  /// What of `asks` the client cannot do.
  static std::vector<Capability> undeclared(const std::vector<detail::RawAsk>& asks,
                                            std::string_view capabilities);

 private:
  struct Open {
    detail::RawAsk ask;
    std::optional<std::string> answer;
  };
  std::string unique_key(const detail::RawAsk& ask);

  std::vector<Open> open_;
  std::size_t asked_ = 0;
  std::string refusal_;
};

/// Whether `response` is an answer to `ask`: its shape, the action, and for accepted forms the content.
bool response_fits(const detail::RawAsk& ask, json::Slice response);

/// Whether a form's content has what its schema (an object of primitive properties) requires, with the
/// right types.
bool content_fits(json::Slice schema, json::Slice content);

}  // namespace berth::task
