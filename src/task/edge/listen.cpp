#include "task/edge/listen.h"

#include <fmt/format.h>

#include <algorithm>

#include "task/edge/answers.h"
#include "task/edge/at_home.h"
#include "task/edge/sse_stream.h"

namespace berth::task::edge {
namespace {

/// Resources one listen may subscribe to.
constexpr std::size_t uris_max = 1024;

/// An open listen stream: collects changes until its coroutine sends them. A change that is already waiting
/// is not collected twice, which bounds the collection by the filter.
class ListenRun final : public Waiter {
 public:
  ListenRun(Shared& shared, const mcp::Caller& caller, mcp::ListenFilter filter)
      : shared_(shared),
        caller_(caller),
        filter_(std::move(filter)),
        wake_(shared.world.clock.executor()),
        last_write_(shared.now()) {
    subscription_ = shared.world.bus.subscribe(shared.world.server, caller.principal,
                                               [this](const mcp::Change& change) { on_change(change); });
    for (const std::string& uri : filter_.uris) shared.watch(caller_, uri);
    shared.ticker.add(*this);
  }
  ~ListenRun() {
    for (const std::string& uri : filter_.uris) shared_.unwatch(caller_, uri);
  }

  Task<void> wait() {
    while (changes_.empty() && !gone_ && !ending_ && !silent_) co_await wake_.wait();
  }
  std::vector<mcp::Change> take_changes() { return std::exchange(changes_, {}); }
  bool take_silence() { return std::exchange(silent_, false); }
  bool is_gone() const { return gone_; }
  bool is_ending() const { return ending_; }
  void note_write(TimePoint when) { last_write_ = when; }
  const mcp::ListenFilter& filter() const { return filter_; }

  void leave() {
    gone_ = true;
    wake_.notify();
  }
  void on_tick(TimePoint now) override {
    if (now - last_write_ < shared_.world.limits.keep_alive_interval) return;
    silent_ = true;
    wake_.notify();
  }
  void on_drain() override {
    ending_ = true;
    wake_.notify();
  }
  void on_cut() override { leave(); }

 private:
  void on_change(const mcp::Change& change) {
    if (!filter_.wants(change) || std::find(changes_.begin(), changes_.end(), change) != changes_.end())
      return;
    changes_.push_back(change);
    wake_.notify();
  }

  Shared& shared_;
  const mcp::Caller& caller_;
  mcp::ListenFilter filter_;
  Signal wake_;
  std::vector<mcp::Change> changes_;
  TimePoint last_write_;
  bool gone_ = false;
  bool ending_ = false;
  bool silent_ = false;
  std::shared_ptr<void> subscription_;
};

/// Sends what has come up; false once the client has gone.
Task<bool> send_news(ListenRun& run, SseStream& stream, std::string_view id) {
  const std::vector<mcp::Change> changes = run.take_changes();
  for (const mcp::Change& change : changes) {
    const std::string text = mcp::listen_notification(change, id);
    const bool sent = co_await stream.message(text);
    if (!sent) co_return false;
  }
  if (run.take_silence()) {
    const bool sent = co_await stream.keep_alive();
    if (!sent) co_return false;
  }
  run.note_write(stream.last_write());
  co_return true;
}

Task<void> serve_listen(Shared& shared, const Incoming& incoming, ListenRun& run) {
  SseStream stream(shared, incoming.exchange);
  const std::string_view id = incoming.message.id;
  incoming.exchange.on_disconnect([&run] { run.leave(); });
  bool there = co_await stream.open();
  if (!there) co_return;
  const std::string acknowledged = mcp::listen_acknowledged(run.filter(), id);
  there = co_await stream.message(acknowledged);
  while (there && !run.is_gone() && !run.is_ending()) {
    co_await run.wait();
    if (!run.is_gone()) there = co_await send_news(run, stream, id);
  }
  if (!there || run.is_gone()) co_return;
  const std::string complete = mcp::listen_complete(id);
  there = co_await stream.message(complete);
  if (there) co_await stream.finish();
}

}  // namespace

StreamPlace::StreamPlace(Shared& shared, const std::string& principal)
    : shared_(shared), of_principal_(shared.streams_of.try_emplace(principal).first) {
  ++shared_.counters.listen_streams;
  ++of_principal_->second;
}

StreamPlace::~StreamPlace() {
  --shared_.counters.listen_streams;
  if (--of_principal_->second == 0) shared_.streams_of.erase(of_principal_);
}

Task<std::unique_ptr<StreamPlace>> admit_stream(Shared& shared, const Incoming& incoming) {
  const std::size_t streams_max = shared.world.limits.listen_streams_max;
  const std::size_t share = streams_max - streams_max / 4;
  const auto own = shared.streams_of.find(incoming.context.principal);
  std::string why;
  if (shared.draining) {
    why = "The service is stopping; connect again.";
  } else if (shared.counters.listen_streams >= streams_max) {
    why = fmt::format("This task has {} open streams (limits.listen_streams_max); try again later.",
                      streams_max);
  } else if (own != shared.streams_of.end() && own->second >= share) {
    why = fmt::format("This caller has {} open streams, its share of limits.listen_streams_max; close some.",
                      share);
  } else {
    co_return std::make_unique<StreamPlace>(shared, incoming.context.principal);
  }
  ++shared.counters.refused;
  mcp::RpcError error{mcp::code::server_error, std::move(why), {}};
  co_await answer_error(incoming.exchange, 503, incoming.message.id, std::move(error));
  co_return nullptr;
}

Task<void> listen(Shared& shared, const Incoming& incoming, const mcp::Caller& caller) {
  auto asked = mcp::read_listen_filter(incoming.message.params, uris_max);
  if (!asked) {
    co_await answer_error(incoming.exchange, 400, incoming.message.id, std::move(asked.error()));
    co_return;
  }
  if (!asked->uris.empty()) {
    // A process tells of its own resources; those that a caller has changed are in its home.
    if (!shared.facts.era(caller.era)) co_await shared.learn(caller);
    if (has_homes(shared) && !home_here(shared, incoming.context)) {
      const auto found = co_await find_home(shared, incoming);
      if (found.is_answered) co_return;
    }
  }
  // From here on, not once the server has answered: many may ask at the same time.
  const auto place = co_await admit_stream(shared, incoming);
  if (!place) co_return;
  auto memory = incoming.memory.sibling(MemoryAccount::Kind::session);
  std::size_t bytes = 0;
  for (const std::string& uri : asked->uris) bytes += watch_bytes(uri);
  if (!memory.grow(bytes)) {
    ++shared.counters.refused;
    co_await answer_refusal(incoming.exchange, incoming.message.id, refusal_of_memory(memory));
    co_return;
  }
  const auto description = co_await shared.describe(caller);
  if (!description) {
    co_await answer_refusal(incoming.exchange, incoming.message.id, refusal_of_host(description.error()));
    co_return;
  }
  ListenRun run(shared, caller, mcp::honoured(*asked, description->capabilities));
  co_await serve_listen(shared, incoming, run);
}

}  // namespace berth::task::edge
