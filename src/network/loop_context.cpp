#include "network/loop_context.h"

#include <algorithm>
#include <utility>

#include "base/random.h"
#include "network/session.h"

namespace berth::network {

namespace {

/// How long an answer may take before its client is watched: most take far less.
constexpr Duration watch_tick = std::chrono::milliseconds(25);
constexpr Duration prune_interval = std::chrono::seconds(1);
/// Without anything to watch the timer goes on for a while, so that a steady trickle does not re-arm it each
/// time.
constexpr int idle_ticks_max = 80;
constexpr std::size_t buffer_bytes = 32 * 1024;
constexpr std::size_t buffers_kept_max = 64;

/// splitmix64: trace ids must differ, not be secret.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t value = (state += 0x9E3779B97F4A7C15);
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

}  // namespace

LoopContext::LoopContext(ProxyOptions proxy_options, net::Network& loop_network, Log& loop_log)
    : options(std::move(proxy_options)),
      network(loop_network),
      clock(loop_network.clock()),
      log(loop_log),
      balancer_(options.balancing, options.loop),
      random_(random_u64()),
      timer_(clock.make_timer()) {}

std::shared_ptr<Upstream> LoopContext::pick(TimePoint now, std::span<const std::uint64_t> tried) {
  const auto& targets = balancer_.snapshot().targets;
  tried_.clear();
  for (const std::uint64_t key : tried) {
    const auto found = std::ranges::find(targets, key, &RoutedTarget::key);
    if (found != targets.end()) tried_.push_back(static_cast<std::size_t>(found - targets.begin()));
  }
  if (options.balancing == model::Balancing::least_outstanding_requests) {
    outstanding_.clear();
    for (std::size_t i = 0; i < targets.size(); ++i)
      outstanding_.push_back(upstreams[i]->load().outstanding());
  }
  const auto index = balancer_.pick(now, tried_, outstanding_);
  return index ? upstreams[*index] : nullptr;
}

void LoopContext::adopt(const RoutingTable& table) {
  std::vector<std::shared_ptr<Upstream>> next;
  for (std::size_t i = 0; i < table.snapshot->targets.size(); ++i) {
    const RoutedTarget& target = table.snapshot->targets[i];
    const auto known =
        std::ranges::find(upstreams, target.key, [](const auto& upstream) { return upstream->key(); });
    next.push_back(known != upstreams.end() ? *known : std::make_shared<Upstream>(target, table.loads[i]));
  }
  for (const auto& upstream : upstreams) {
    if (std::ranges::find(next, upstream) != next.end()) continue;
    upstream->retire();
    if (std::ranges::find(table.draining, upstream->key()) != table.draining.end()) next.push_back(upstream);
  }
  const std::lock_guard lock(mutex);
  upstreams = std::move(next);
  balancer_.adopt(table.snapshot);
}

bool LoopContext::end_longest_idle() {
  if (idle.empty()) return false;
  idle.front()->cut();
  return true;
}

TraceId LoopContext::next_trace() {
  TraceId trace;
  trace.time_s = static_cast<std::uint32_t>(to_unix_ms(clock.wall()) / 1000);
  trace.high = next_random(random_);
  trace.low = next_random(random_);
  return trace;
}

void LoopContext::watch_client(Session& session) {
  session.watch_after_ = session.started_ + watch_tick;
  if (session.unwatched_index_) return;  // a request that is sent again is in the list already
  session.unwatched_index_ = unwatched_.size();
  unwatched_.push_back(&session);
  if (!armed_) arm();
}

void LoopContext::unwatch_client(Session& session) {
  if (!session.unwatched_index_) return;
  const std::size_t index = *session.unwatched_index_;
  session.unwatched_index_.reset();
  unwatched_[index] = unwatched_.back();
  unwatched_.pop_back();
  if (index < unwatched_.size()) unwatched_[index]->unwatched_index_ = index;
}

void LoopContext::arm() {
  armed_ = true;
  timer_->arm(clock.now() + watch_tick, [this] { tick(); });
}

void LoopContext::tick() {
  armed_ = false;
  const TimePoint now = clock.now();
  for (std::size_t i = 0; i < unwatched_.size();) {
    Session& session = *unwatched_[i];
    // While its request body is being read, the reader notices.
    if (session.watch_after_ > now || session.uploading_) {
      ++i;
      continue;
    }
    unwatch_client(session);
    session.watch_client();
  }
  if (now - last_prune_ >= prune_interval) {
    last_prune_ = now;
    for (const auto& upstream : upstreams) upstream->prune(now);
  }
  // The loop of a front door that drains ends when nothing is left to do, and this must not keep it.
  if (draining && unwatched_.empty()) return;
  idle_ticks_ = unwatched_.empty() ? idle_ticks_ + 1 : 0;
  if (idle_ticks_ < idle_ticks_max) return arm();
  idle_ticks_ = 0;
}

ByteBuffer LoopContext::take_buffer() {
  if (buffers_.empty()) return ByteBuffer(buffer_bytes);
  ByteBuffer buffer = std::move(buffers_.back());
  buffers_.pop_back();
  buffer.clear();
  return buffer;
}

void LoopContext::give_buffer(ByteBuffer buffer) {
  if (buffer.capacity() != buffer_bytes || buffers_.size() >= buffers_kept_max) return;
  buffers_.push_back(std::move(buffer));
}

}  // namespace berth::network
