#include "task/runtime/fleet_bus.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace berth::task {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t pending_max = 256;
/// Sisters tell of the same event at nearly the same time.
constexpr Duration gathering_time = 50ms;
constexpr std::size_t gathering_max = 1024;
constexpr Duration post_timeout = 2s;
constexpr int post_attempts_max = 3;
constexpr Duration attempt_pause = 200ms;
/// The fleet is looked at every second; sisters give a task up after 10 s.
constexpr Duration standstill_min = 5s;

constexpr mcp::Change::Kind kinds[] = {mcp::Change::Kind::tools_list, mcp::Change::Kind::prompts_list,
                                       mcp::Change::Kind::resources_list,
                                       mcp::Change::Kind::resource_updated};

std::string to_json(std::string_view server, const mcp::Change& change) {
  return R"({"server":)" + json_quote(server) + R"(,"method":)" +
         json_quote(mcp::notification_method(change.kind)) + R"(,"uri":)" + json_quote(change.uri) +
         R"(,"principal":)" + json_quote(change.principal) + "}";
}

std::optional<mcp::Change> parse_change(json::Slice object) {
  const auto method = object.find("method").as_string();
  if (!method) return std::nullopt;
  for (const auto kind : kinds) {
    if (mcp::notification_method(kind) != *method) continue;
    mcp::Change change;
    change.kind = kind;
    change.uri = object.find("uri").as_string().value_or("");
    change.principal = object.find("principal").as_string().value_or("");
    return change;
  }
  return std::nullopt;
}

}  // namespace

FleetBus::FleetBus(const TaskIdentity& self, PeerClients& clients, Clock& clock, Log& log)
    : clients_(clients),
      clock_(clock),
      log_(log),
      interest_(self, clients, clock, log),
      scope_(clock.executor()) {}

void FleetBus::watch(std::string_view server, const std::string& principal, const std::string& uri) {
  interest_.watch({std::string(server), uri, principal});
}

void FleetBus::unwatch(std::string_view server, const std::string& principal, const std::string& uri) {
  interest_.unwatch({std::string(server), uri, principal});
}

/// To the observers here: at once where nobody else can tell of the same.
void FleetBus::deliver(std::string_view server, const mcp::Change& change) {
  const bool is_told_here_alone = lines_.empty() || change.kind == mcp::Change::Kind::message;
  if (is_told_here_alone || gathering_.size() >= gathering_max) return subscriptions_.deliver(server, change);
  std::string text = to_json(server, change);
  if (!gathering_.insert(text).second) return;
  scope_.spawn(deliver_soon(std::string(server), change, std::move(text)));
}

Task<void> FleetBus::deliver_soon(std::string server, mcp::Change change, std::string text) {
  co_await clock_.sleep_for(gathering_time);
  gathering_.erase(text);
  subscriptions_.deliver(server, change);
}

void FleetBus::publish(std::string_view server, const mcp::Change& change) {
  deliver(server, change);
  // What a process says outside every call concerns the sessions it serves, which are here.
  if (lines_.empty() || change.kind == mcp::Change::Kind::message) return;
  const std::string text = to_json(server, change);
  const bool is_update = change.kind == mcp::Change::Kind::resource_updated;
  for (const auto& [id, line] : lines_) {
    if (is_update && !interest_.is_for(id, server, change)) continue;
    if (std::ranges::find(line->pending, text) != line->pending.end()) continue;
    if (line->pending.size() >= pending_max) {
      line->pending.erase(line->pending.begin());
      ++dropped_;
    }
    line->pending.push_back(text);
    if (!std::exchange(line->sending, true)) scope_.spawn(send_pending(line));
  }
}

std::shared_ptr<void> FleetBus::subscribe(std::string_view server, std::string principal,
                                          std::function<void(const mcp::Change&)> observer) {
  return subscriptions_.add(server, std::move(principal), std::move(observer));
}

bool FleetBus::knows(const std::string& id, std::uint64_t generation) const {
  const auto line = lines_.find(id);
  return line != lines_.end() && line->second->member.generation == generation;
}

std::vector<TaskIdentity> FleetBus::sisters() const {
  std::vector<TaskIdentity> all;
  for (const auto& [id, line] : lines_) {
    const Member& member = line->member;
    all.push_back({member.id, member.zone, member.generation, member.address});
  }
  return all;
}

std::uint64_t FleetBus::losses() const {
  const bool stood_still = told_at_ != TimePoint{} && clock_.now() - told_at_ > standstill_min;
  return losses_ + (stood_still ? 1 : 0);
}

void FleetBus::set_peers(const std::vector<Member>& peers) {
  bool lost = false;
  std::map<std::string, std::shared_ptr<Line>> next;
  for (const Member& peer : peers) {
    const auto known = lines_.find(peer.id);
    const bool is_same = known != lines_.end() && known->second->member.generation == peer.generation;
    auto line = is_same ? known->second : std::make_shared<Line>();
    line->member = peer;
    next.emplace(peer.id, std::move(line));
  }
  for (const auto& [id, line] : lines_) {
    const auto kept = next.find(id);
    line->removed = kept == next.end() || kept->second != line;
    lost = lost || line->removed;
  }
  // Sisters take this task for lost only after a longer standstill; counted once, as in losses().
  losses_ = std::max(losses(), losses_ + (lost ? 1 : 0));
  told_at_ = clock_.now();
  lines_ = std::move(next);
  interest_.set_peers(peers);
}

Task<void> FleetBus::send_pending(std::shared_ptr<Line> line) {
  while (!line->pending.empty() && !line->removed) {
    const auto batch = std::exchange(line->pending, {});
    std::string body = R"({"changes":[)";
    for (const std::string& change : batch) body += (body.ends_with('[') ? "" : ",") + change;
    body += "]}";
    for (int attempt = 1; attempt <= post_attempts_max && !line->removed; ++attempt) {
      const auto posted = co_await post(line->member, body);
      if (posted) break;
      if (attempt < post_attempts_max) {
        co_await clock_.sleep_for(attempt * attempt_pause);
        continue;
      }
      dropped_ += batch.size();
      log_.warning(
          "changes_not_delivered",
          {{"peer", line->member.id}, {"changes", batch.size()}, {"problem", posted.error().message()}});
      if (unreachable_) unreachable_(line->member);
    }
  }
  line->sending = false;
}

Task<Result<void>> FleetBus::post(const Member& member, std::string body) {
  const auto client = clients_.at(member.address);
  if (!client) co_return Failure(client.error());
  http::ClientRequest request;
  request.method = "POST";
  request.target = "/peer/changes";
  request.headers.add("Content-Type", "application/json");
  request.body = std::move(body);
  request.deadline = clock_.now() + post_timeout;
  const auto answer = co_await (*client)->fetch(std::move(request), 4096);
  if (!answer) co_return Failure(answer.error());
  if (answer->status >= 300) {
    co_return fail(ErrorCode::unavailable,
                   "Task '" + member.id + "' answered " + std::to_string(answer->status) + ".");
  }
  co_return Result<void>();
}

Result<void> FleetBus::receive(std::string_view body) {
  const auto parsed = json::parse(body);
  if (!parsed) return Failure(parsed.error());
  const auto changes = parsed->find("changes");
  if (!changes.is(json::Kind::array)) {
    return fail(ErrorCode::invalid_argument, "The body needs an array 'changes'.");
  }
  changes.each_element([this](json::Slice element) {
    const auto server = element.find("server").as_string();
    const auto change = parse_change(element);
    // A kind that a newer sister knows and we do not concerns nobody here.
    if (server && change) deliver(*server, *change);
    return true;
  });
  return {};
}

Task<void> FleetBus::stop() {
  set_peers({});
  scope_.cancel();
  co_await interest_.stop();
  co_await scope_.join();
}

}  // namespace berth::task
