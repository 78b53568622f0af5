#include "task/edge/at_home.h"

#include <utility>
#include <vector>

#include "base/log.h"
#include "mcp/legacy.h"
#include "mcp/message.h"
#include "task/edge/forwarding.h"

namespace berth::task::edge {
namespace {

/// Tasks that a request is taken to before it runs where it arrived.
constexpr std::size_t tries_max = 4;

std::string key_of(const Shared& shared, const RequestContext& context) {
  return home_key(shared.world.server, context.principal, context.client);
}

/// From a sister that takes this task for the caller's home; it looks on where it is not.
Task<Whereabouts> take_in(Shared& shared, const Incoming& incoming, std::string key) {
  auto place = co_await shared.world.homes.settle(std::move(key), Homes::From::sister, {});
  if (!place.here) *incoming.context.disowned = true;
  co_return Whereabouts{place.here == nullptr, std::move(place.here)};
}

}  // namespace

bool keeps_state(const Shared& shared, mcp::Era of_caller) {
  const model::ServerSpec& spec = shared.world.spec;
  return shared.facts.era(of_caller) == mcp::Era::legacy && spec.state != model::State::none &&
         (spec.kind == model::ServerSpec::Kind::command || spec.kind == model::ServerSpec::Kind::url);
}

bool uses_state(mcp::Method method) {
  using mcp::Method;
  return method == Method::tools_call || method == Method::prompts_get || method == Method::resources_read;
}

void look_for_loss(KeptState& state, const ServerHost& host) {
  if (state.process == 0 || host.runs(state.process)) return;
  state.process = 0;
  state.is_lost = true;
}

void note_process(KeptState& state, const ServerHost& host, std::uint64_t process) {
  look_for_loss(state, host);
  state.process = process;
}

void note_told(Shared& shared, KeptState& state, std::string_view principal) {
  state.is_lost = false;
  ++shared.counters.states_lost;
  shared.world.log.warning("state_lost", {{"server", shared.world.server}, {"principal", principal}});
}

std::shared_ptr<Home> home_here(const Shared& shared, const RequestContext& context) {
  return shared.world.homes.find(key_of(shared, context));
}

Task<Whereabouts> find_home(Shared& shared, const Incoming& incoming) {
  Homes& homes = shared.world.homes;
  const RequestContext& context = incoming.context;
  std::string key = key_of(shared, context);
  if (shared.is_sole()) {  // this task has the process, else the request were not here
    auto home = co_await homes.claim(std::move(key));
    co_return Whereabouts{false, std::move(home)};
  }
  if (context.forwarded) co_return co_await take_in(shared, incoming, std::move(key));
  RequestContext to_home = context;
  to_home.to_home = true;
  std::vector<std::string> tried;
  while (tried.size() < tries_max) {
    auto place = co_await homes.settle(key, Homes::From::client, tried);
    if (!place.at) co_return Whereabouts{false, std::move(place.here)};
    const Forwarded forwarded = co_await hand_to_task(shared, *place.at, incoming, to_home);
    if (forwarded.end == Forwarded::End::answered) co_return Whereabouts{true, nullptr};
    tried.push_back(place.at->id);
  }
  // Nobody agrees on where it is at home; it was not run, and is better served here than not at all.
  co_return Whereabouts{};
}

AtHome::AtHome(Shared& shared, const Incoming& incoming, std::shared_ptr<Home> home)
    : shared_(shared), incoming_(incoming), home_(std::move(home)) {
  if (!home_) return;
  ++home_->calls;
  uses_state_ = uses_state(incoming.message.known);
  if (!uses_state_) return;
  ++home_->calls_begun;
  look_for_loss(*home_, shared_.world.host);
  shared_.world.homes.keep(*home_);
}

AtHome::~AtHome() {
  if (home_) --home_->calls;
}

void AtHome::tell() { note_told(shared_, *home_, incoming_.context.principal); }

std::optional<mcp::RpcError> AtHome::refuse() {
  const bool is_refused = uses_state_ && home_->is_lost && shared_.world.spec.state == model::State::process;
  if (!is_refused) return std::nullopt;
  tell();
  return mcp::state_lost();
}

std::optional<mcp::Notification> AtHome::warning() const {
  if (!uses_state_ || !home_->is_lost) return std::nullopt;
  return mcp::Notification{"notifications/message", mcp::notice_params(mcp::lost_state_notice)};
}

void AtHome::end(mcp::Outcome& outcome) {
  if (!uses_state_ || !home_ || outcome.process == 0) return;
  note_process(*home_, shared_.world.host, outcome.process);
  if (outcome.kind == mcp::Outcome::Kind::error && outcome.error == mcp::state_lost()) {
    home_->process = 0;
    return tell();
  }
  if (!home_->is_lost || outcome.kind != mcp::Outcome::Kind::result) return;
  outcome.result = mcp::with_notice(outcome.result, mcp::lost_state_notice);
  tell();
}

}  // namespace berth::task::edge
