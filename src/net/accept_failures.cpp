#include "net/accept_failures.h"

namespace berth::net {

namespace {
constexpr Duration line_interval = std::chrono::seconds(5);
constexpr Duration accept_rest = std::chrono::milliseconds(100);
}  // namespace

AcceptFailures::AcceptFailures(Clock& clock, Log& log, const Endpoint& listener)
    : clock_(clock), log_(log), listener_(to_string(listener)) {}

Task<void> AcceptFailures::rest(Error error) {
  ++untold_;
  if (const TimePoint now = clock_.now(); now >= next_line_) {
    next_line_ = now + line_interval;
    log_.warning("accept_failed",
                 {{"listener", listener_}, {"problem", error.message()}, {"failures", untold_}});
    untold_ = 0;
  }
  co_await clock_.sleep_for(accept_rest);
}

}  // namespace berth::net
