#include "network/upstream.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace berth::network {

namespace {

constexpr std::size_t idle_connections_max = 512;
/// Shorter than the 75 s after which a task closes idle connections, so that it is we who close.
constexpr Duration idle_max = std::chrono::seconds(60);

}  // namespace

std::unique_ptr<net::Stream> Upstream::take_idle() {
  while (!idle_.empty()) {
    std::unique_ptr<net::Stream> stream = std::move(idle_.back().stream);
    idle_.pop_back();
    if (stream->quiet()) return stream;
  }
  return nullptr;
}

void Upstream::give_back(std::unique_ptr<net::Stream> stream, TimePoint now) {
  if (retired_ || idle_.size() >= idle_connections_max) return;
  idle_.push_back({std::move(stream), now});
}

void Upstream::prune(TimePoint now) {
  std::erase_if(idle_,
                [now](const Idle& idle) { return now - idle.since >= idle_max || !idle.stream->quiet(); });
}

void Upstream::retire() {
  retired_ = true;
  idle_.clear();
}

}  // namespace berth::network
