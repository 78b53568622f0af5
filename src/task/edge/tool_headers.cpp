#include "task/edge/tool_headers.h"

#include "base/log.h"

namespace berth::task::edge {
namespace {

constexpr Duration load_timeout = std::chrono::seconds(5);
constexpr Duration fresh_for = std::chrono::minutes(5);
constexpr Duration retry_after_failure = std::chrono::seconds(30);
constexpr std::size_t pages_max = 50;
constexpr std::size_t principals_max = 256;

/// One request of ours to the server.
class ListCall final : public mcp::CallObserver {
 public:
  explicit ListCall(Clock& clock) : wake_(clock.executor()), timer_(clock.make_timer()) {}

  Task<mcp::Outcome> run(ServerHost& host, const mcp::Caller& caller, std::string params,
                         TimePoint deadline) {
    const mcp::Call call{.caller = &caller, .method = "tools/list", .params = params};
    timer_->arm(deadline, [this] { on_outcome(mcp::Outcome::failure({})); });
    active_ = host.start(call, *this);
    while (!outcome_) co_await wake_.wait();
    active_.reset();
    co_return *std::move(outcome_);
  }

  void on_notification(mcp::Notification) override {}
  void on_outcome(mcp::Outcome outcome) override {
    if (!outcome_) outcome_ = std::move(outcome);
    wake_.notify();
  }

 private:
  Signal wake_;
  std::unique_ptr<Timer> timer_;
  std::optional<mcp::Outcome> outcome_;
  std::unique_ptr<mcp::ActiveCall> active_;
};

}  // namespace

bool ToolHeaders::knows(const std::string& principal) const {
  const auto at = entries_.find(principal);
  return at != entries_.end() && shared_.now() < at->second.fresh_until;
}

/// While it lives, others wait. When it ends, also because its client has left, they look again.
class ToolHeaders::Loading {
 public:
  Loading(ToolHeaders& owner, const std::string& principal)
      : owner_(owner), at_(owner.loading_.emplace(principal, std::make_shared<Waiting>()).first) {}
  ~Loading() {
    for (Signal* const waiting : *at_->second) waiting->notify();
    owner_.loading_.erase(at_);
  }
  Loading(const Loading&) = delete;
  Loading& operator=(const Loading&) = delete;

 private:
  ToolHeaders& owner_;
  decltype(loading_)::iterator at_;
};

Task<void> ToolHeaders::learn(const mcp::Caller& caller) {
  while (!knows(caller.principal)) {
    const auto under_way = loading_.find(caller.principal);
    if (under_way == loading_.end()) {
      const Loading loading(*this, caller.principal);
      co_await load(caller);
      continue;
    }
    const std::shared_ptr<Waiting> waiting = under_way->second;
    Signal loaded(shared_.world.clock.executor());
    const auto place = waiting->insert(waiting->end(), &loaded);
    const auto leave = [&](Signal*) { waiting->erase(place); };
    const std::unique_ptr<Signal, decltype(leave)> registration(&loaded, leave);
    co_await loaded.wait();
  }
}

Task<void> ToolHeaders::load(const mcp::Caller& caller) {
  Entry entry;
  const TimePoint deadline = shared_.now() + load_timeout;
  std::string cursor;
  bool whole = false;
  for (std::size_t page = 0; page < pages_max && !whole; ++page) {
    ListCall list(shared_.world.clock);
    std::string params = cursor.empty() ? "{}" : "{\"cursor\":" + cursor + "}";
    const mcp::Outcome outcome = co_await list.run(shared_.world.host, caller, std::move(params), deadline);
    if (outcome.kind != mcp::Outcome::Kind::result) break;
    const json::Slice result = json::Slice::trusted(outcome.result);
    read_page(result, entry);
    cursor = result.find("nextCursor").text();
    whole = cursor.empty() || cursor == "null";
  }
  entry.fresh_until = shared_.now() + (whole ? fresh_for : retry_after_failure);
  entry.subscription =
      shared_.world.bus.subscribe(shared_.world.server, caller.principal,
                                  [this, principal = caller.principal](const mcp::Change& change) {
                                    if (change.kind != mcp::Change::Kind::tools_list) return;
                                    if (const auto at = entries_.find(principal); at != entries_.end())
                                      at->second.fresh_until = {};
                                  });
  if (entries_.size() >= principals_max && !entries_.contains(caller.principal)) entries_.clear();
  entries_.insert_or_assign(caller.principal, std::move(entry));
}

void ToolHeaders::read_page(json::Slice result, Entry& entry) const {
  for (json::Elements tools(result.find("tools")); tools.next();) {
    const json::Slice schema = tools.value().find("inputSchema");
    if (schema.text().find("x-mcp-header") == std::string_view::npos) continue;
    auto params = mcp::read_header_params(schema);
    const auto name = tools.value().find("name").as_string();
    if (params && !params->empty() && name) entry.tools.insert_or_assign(*name, *std::move(params));
  }
}

const ToolHeaders::Params* ToolHeaders::find(const std::string& principal, std::string_view tool) const {
  const auto entry = entries_.find(principal);
  if (entry == entries_.end()) return nullptr;
  const auto at = entry->second.tools.find(tool);
  return at == entry->second.tools.end() ? nullptr : &at->second;
}

}  // namespace berth::task::edge
