#include "task/edge/listed_tools.h"

#include "base/clock.h"

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

std::string next_cursor(json::Slice result) {
  const std::string_view cursor = result.find("nextCursor").text();
  return std::string(cursor == "null" ? "" : cursor);
}

bool is_set(json::Slice annotations, std::string_view hint) {
  return annotations.find(hint).as_bool().value_or(false);
}

void read_page(json::Slice result, std::map<std::string, ListedTools::Tool, std::less<>>& tools) {
  for (json::Elements listed(result.find("tools")); listed.next();) {
    const auto name = listed.value().find("name").as_string();
    if (!name) continue;
    ListedTools::Tool tool;
    const json::Slice annotations = listed.value().find("annotations");
    tool.is_repeatable = is_set(annotations, "readOnlyHint") || is_set(annotations, "idempotentHint");
    const json::Slice schema = listed.value().find("inputSchema");
    if (schema.text().find("x-mcp-header") != std::string_view::npos) {
      if (auto params = mcp::read_header_params(schema)) tool.header_params = *std::move(params);
    }
    const bool is_plain = !tool.is_repeatable && tool.header_params.empty();
    if (is_plain) {
      tools.erase(*name);
    } else {
      tools.insert_or_assign(*name, std::move(tool));
    }
  }
}

}  // namespace

bool ListedTools::knows(const std::string& principal) const {
  const auto at = entries_.find(principal);
  return at != entries_.end() && now() < at->second.fresh_until;
}

/// While it lives, others wait. When it ends, also because its client has left, they look again.
class ListedTools::Loading {
 public:
  Loading(ListedTools& owner, const std::string& principal)
      : owner_(owner), at_(owner.loading_.emplace(principal, std::make_shared<Waiting>()).first) {}
  ~Loading() {
    for (Signal* const waiting : *at_->second) waiting->notify();
    owner_.loading_.erase(at_);
  }
  Loading(const Loading&) = delete;
  Loading& operator=(const Loading&) = delete;

 private:
  ListedTools& owner_;
  decltype(loading_)::iterator at_;
};

Task<void> ListedTools::learn(const mcp::Caller& caller) {
  while (!knows(caller.principal)) {
    const auto under_way = loading_.find(caller.principal);
    if (under_way == loading_.end()) {
      const Loading loading(*this, caller.principal);
      co_await load(caller);
      continue;
    }
    const std::shared_ptr<Waiting> waiting = under_way->second;
    Signal loaded(world_.clock.executor());
    const auto place = waiting->insert(waiting->end(), &loaded);
    const auto leave = [&](Signal*) { waiting->erase(place); };
    const std::unique_ptr<Signal, decltype(leave)> registration(&loaded, leave);
    co_await loaded.wait();
  }
}

Task<void> ListedTools::load(const mcp::Caller& caller) {
  std::map<std::string, Tool, std::less<>> tools;
  const TimePoint deadline = now() + load_timeout;
  std::string cursor;
  bool whole = false;
  for (std::size_t page = 0; page < pages_max && !whole; ++page) {
    ListCall list(world_.clock);
    std::string params = cursor.empty() ? "{}" : "{\"cursor\":" + cursor + "}";
    const mcp::Outcome outcome = co_await list.run(world_.host, caller, std::move(params), deadline);
    if (outcome.kind != mcp::Outcome::Kind::result) break;
    const json::Slice result = json::Slice::trusted(outcome.result);
    read_page(result, tools);
    cursor = next_cursor(result);
    whole = cursor.empty();
  }
  Entry& entry = entry_of(caller.principal);
  entry.tools = std::move(tools);
  entry.fresh_until = now() + (whole ? fresh_for : retry_after_failure);
}

ListedTools::Entry& ListedTools::entry_of(const std::string& principal) {
  if (entries_.size() >= principals_max && !entries_.contains(principal)) entries_.clear();
  Entry& entry = entries_[principal];
  if (entry.subscription) return entry;
  entry.subscription =
      world_.bus.subscribe(world_.server, principal, [this, principal](const mcp::Change& change) {
        if (change.kind != mcp::Change::Kind::tools_list) return;
        if (const auto at = entries_.find(principal); at != entries_.end()) at->second.fresh_until = {};
      });
  return entry;
}

void ListedTools::note(const std::string& principal, json::Slice params, json::Slice result) {
  if (knows(principal)) return;
  Entry& entry = entry_of(principal);
  read_page(result, entry.tools);
  const bool is_whole = !params.find("cursor").exists() && next_cursor(result).empty();
  if (is_whole) entry.fresh_until = now() + fresh_for;
}

const ListedTools::Tool* ListedTools::find(const std::string& principal, std::string_view tool) const {
  const auto entry = entries_.find(principal);
  if (entry == entries_.end()) return nullptr;
  const auto at = entry->second.tools.find(tool);
  return at == entry->second.tools.end() ? nullptr : &at->second;
}

}  // namespace berth::task::edge
