#include "task/edge/sole_home.h"

#include "base/log.h"
#include "task/edge/answers.h"
#include "task/edge/forwarding.h"

namespace berth::task::edge {
namespace {

/// Tasks that a request is taken to in vain before it is asked anew where the process is.
constexpr std::size_t places_max = 4;
constexpr Duration pause = std::chrono::milliseconds(50);
/// Longer than the fleet takes to see that a task is lost.
constexpr Duration patience = std::chrono::seconds(15);
/// What calls get to end where two processes have been found.
constexpr Duration second_process_max = std::chrono::seconds(30);

/// It belongs to what is under way, and lets that end.
bool belongs_to_a_call(const Incoming& incoming) {
  return incoming.message.kind != mcp::Message::Kind::request || incoming.parts.request_state.exists() ||
         incoming.exchange.head().method == "DELETE";
}

Task<void> answer_not_now(const Incoming& incoming, std::string_view why) {
  mcp::RpcError error{mcp::code::server_error, std::string(why), {}};
  co_await answer_error(incoming.exchange, 503, incoming.message.id, std::move(error));
}

}  // namespace

SoleHome::SoleHome(Shared& shared, SessionTable& sessions)
    : shared_(shared), sessions_(sessions), key_(sole_home_key(shared.world.server)) {}

Task<bool> SoleHome::bring(const Incoming& incoming) {
  const RequestContext& context = incoming.context;
  const auto from = context.forwarded ? Homes::From::sister : Homes::From::client;
  RequestContext to_home = context;
  to_home.to_home = true;
  const TimePoint deadline = shared_.now() + patience;
  std::vector<std::string> tried;
  while (true) {
    if (is_leaving_ && belongs_to_a_call(incoming)) co_return false;
    if (!is_leaving_) {
      const auto place = co_await shared_.world.homes.settle_sole(key_, from, tried);
      if (place.here && take(place.here)) co_return false;
      if (!place.here && context.forwarded) {
        *context.disowned = true;
        co_return true;
      }
      if (place.at) {
        const Forwarded forwarded = co_await hand_to_task(shared_, *place.at, incoming, to_home);
        if (forwarded.end == Forwarded::End::answered) co_return true;
        tried.push_back(place.at->id);
        if (tried.size() < places_max) continue;
      }
      tried.clear();
      if (shared_.now() >= deadline || (place.here && shared_.draining)) break;
    }
    co_await shared_.world.clock.sleep_for(pause);
  }
  co_await answer_not_now(incoming,
                          "No task has the server's one process now (isolation: service); nothing was run, "
                          "try again.");
  co_return true;
}

/// False: it is being given away.
bool SoleHome::take(const std::shared_ptr<Home>& home) {
  if (is_leaving_ || (shared_.draining && !home_)) return false;
  if (home_) return true;
  home_ = home;
  ++home_->calls;
  shared_.world.log.info("process_taken", {{"server", shared_.world.server}});
  shared_.world.host.wake();
  tell_sisters();
  return true;
}

void SoleHome::tell_sisters() {
  std::vector<TaskIdentity> sisters = shared_.world.peers.sisters();
  if (home_->is_kept && sisters == told_) return;
  home_->is_kept = false;
  shared_.world.homes.keep(*home_);
  told_ = std::move(sisters);
}

Task<void> SoleHome::settle() {
  if (shared_.draining || is_leaving_) co_return;
  if (!home_) {
    const auto place = co_await shared_.world.homes.settle_sole(key_, Homes::From::client, {});
    if (place.here) take(place.here);
    co_return;
  }
  tell_sisters();
  if (home_->is_contested) co_await hand_over(shared_.now() + second_process_max);
}

Task<void> SoleHome::hand_over(TimePoint deadline) {
  while (is_leaving_) co_await shared_.world.clock.sleep_for(pause);
  if (!home_) co_return;
  is_leaving_ = true;
  shared_.ticker.drain();  // streams would never end
  // A call goes on whose client has left its session's stream.
  while ((admitted_ > 0 || shared_.counters.calls > 0) && shared_.now() < deadline)
    co_await shared_.world.clock.sleep_for(pause);
  co_await shared_.world.host.rest();
  sessions_.release_all();
  --home_->calls;
  home_ = nullptr;
  shared_.world.homes.give_up(shared_.world.server);
  shared_.world.log.info("process_given_up", {{"server", shared_.world.server}});
  is_leaving_ = false;
}

}  // namespace berth::task::edge
