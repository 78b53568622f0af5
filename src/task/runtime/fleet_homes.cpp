#include "task/runtime/fleet_homes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "codec/json.h"
#include "task/runtime/member.h"

namespace berth::task {

namespace {

using namespace std::chrono_literals;

/// A sister that does not answer by then is taken to have nothing: whoever waits is a client.
constexpr Duration question_timeout = 1s;
constexpr Duration telling_timeout = 2s;
constexpr std::size_t place_bytes_max = 4096;
/// Homes of which a slow sister has not heard yet; it asks for those it misses.
constexpr std::size_t untold_max = 10'000;
/// Keys in one message, each of a few hundred bytes.
constexpr std::size_t told_at_once = 200;

}  // namespace

/// One question to all sisters. Shared, because who waits for its end may be cancelled.
struct FleetHomes::Inquiry {
  Inquiry(std::string the_key, Executor executor) : key(std::move(the_key)), over(executor) {}
  const std::string key;
  std::size_t open = 0;  ///< questions without an answer yet
  std::optional<TaskIdentity> holder;
  bool had_state = false;
  std::set<std::string> asked{};  ///< ids
  /// A sister that lives has not answered, or knows of one that has the state and was not asked.
  bool is_open_where = false;
  Signal over;
};

FleetHomes::FleetHomes(const TaskIdentity& self, const PeerForwarder& peers, PeerClients& clients,
                       Clock& clock, Log& log)
    : self_(self),
      peers_(peers),
      clients_(clients),
      clock_(clock),
      log_(log),
      table_(self),
      telling_(clock.executor()),
      asking_(clock.executor()) {}

Task<Homes::Place> FleetHomes::settle(std::string key, From from, std::span<const std::string> tried) {
  if (tried.empty()) {
    auto home = table_.find(key, clock_.now());
    if (home) co_return Place{std::move(home), std::nullopt};
    const auto sisters = peers_.sisters();
    if (auto owner = table_.known_at(key, sisters)) {
      if (from == From::sister) co_return Place{};
      co_return Place{nullptr, std::move(owner)};
    }
    TaskIdentity chosen = table_.choose(key, sisters, tried);
    if (from == From::client && chosen.id != self_.id) co_return Place{nullptr, std::move(chosen)};
  }
  if (from == From::sister && table_.is_draining()) co_return Place{};
  const HomeTable::Asking asking(table_, key);
  const auto inquiry = co_await ask(key, tried);
  auto home = table_.find(key, clock_.now());
  if (home) co_return Place{std::move(home), std::nullopt};
  const auto sisters = peers_.sisters();
  if (inquiry->holder) {
    table_.learn(key, *inquiry->holder, sisters, clock_.now());
    if (from == From::sister) co_return Place{};
    co_return Place{nullptr, inquiry->holder};
  }
  if (from == From::client) {
    TaskIdentity chosen = table_.choose(key, sisters, tried);
    if (chosen.id != self_.id) co_return Place{nullptr, std::move(chosen)};
  }
  co_return Place{table_.claim(key, inquiry->had_state, clock_.now()), std::nullopt};
}

Task<Homes::Place> FleetHomes::settle_sole(std::string key, From from, std::span<const std::string> tried) {
  if (auto home = table_.find(key, clock_.now())) co_return Place{std::move(home), std::nullopt};
  if (has_met_ && !has_met_()) co_return Place{};
  if (tried.empty() && from == From::client) {
    const auto sisters = peers_.sisters();
    auto owner = table_.known_at(key, sisters);
    if (!owner) owner = table_.choose(key, sisters, tried);
    if (owner->id != self_.id) co_return Place{nullptr, std::move(owner)};
  }
  // Whoever goes first has asked everybody after the last that was let go first.
  bool is_outbid = true;
  while (is_outbid) {
    const HomeTable::Asking asking(table_, key);
    const auto inquiry = co_await ask(key, {});
    auto home = table_.find(key, clock_.now());
    if (home) co_return Place{std::move(home), std::nullopt};
    const auto sisters = peers_.sisters();
    if (inquiry->holder) {
      table_.learn(key, *inquiry->holder, sisters, clock_.now());
      co_return from == From::sister ? Place{} : Place{nullptr, inquiry->holder};
    }
    if (inquiry->is_open_where) co_return Place{};
    TaskIdentity chosen = from == From::client ? table_.choose(key, sisters, tried) : self_;
    if (chosen.id != self_.id) co_return Place{nullptr, std::move(chosen)};
    if (table_.is_draining()) co_return Place{};
    is_outbid = asking.is_outbid();
  }
  co_return Place{table_.claim(key, false, clock_.now()), std::nullopt};
}

Task<std::shared_ptr<Home>> FleetHomes::claim(std::string key) {
  const auto inquiry = co_await ask(key, {});
  co_return table_.claim(key, inquiry->had_state || inquiry->holder, clock_.now());
}

Task<std::shared_ptr<FleetHomes::Inquiry>> FleetHomes::ask(std::string key,
                                                           std::span<const std::string> tried) {
  auto inquiry = std::make_shared<Inquiry>(key, clock_.executor());
  for (TaskIdentity& sister : peers_.sisters()) {
    if (std::ranges::find(tried, sister.id) != tried.end()) continue;
    ++inquiry->open;
    inquiry->asked.insert(sister.id);
    asking_.spawn(ask_one(inquiry, std::move(sister)));
  }
  while (inquiry->open > 0 && !inquiry->holder) co_await inquiry->over.wait();
  co_return inquiry;
}

Task<void> FleetHomes::ask_one(std::shared_ptr<Inquiry> inquiry, TaskIdentity sister) {
  std::string body = fmt::format(R"({{"key":{},"from":{}}})", json_quote(inquiry->key), json_quote(self_.id));
  http::Delivery delivery;
  const auto answer = co_await post(sister, "/peer/home", std::move(body), &delivery);
  --inquiry->open;
  // Where a connection is refused nobody is any more, though the fleet has not missed him yet.
  if (!answer && (delivery.timed_out || delivery.handed_over)) inquiry->is_open_where = true;
  const auto parsed = answer ? json::parse(answer->body) : Result<json::Slice>(Failure(answer.error()));
  if (parsed && parsed->find("here").as_bool().value_or(false)) inquiry->holder = sister;
  const std::string at = parsed ? parsed->find("at").as_string().value_or("") : std::string();
  if (!at.empty() && at != self_.id && !inquiry->asked.contains(at)) inquiry->is_open_where = true;
  if (parsed && parsed->find("had").as_bool().value_or(false)) inquiry->had_state = true;
  inquiry->over.notify();
}

Task<Result<http::Response>> FleetHomes::post(const TaskIdentity& sister, std::string target,
                                              std::string body, http::Delivery* delivery) {
  const auto client = clients_.at(sister.peer_address);
  if (!client) co_return Failure(client.error());
  http::ClientRequest request;
  request.method = "POST";
  request.deadline = clock_.now() + (target == "/peer/home" ? question_timeout : telling_timeout);
  request.target = std::move(target);
  request.headers.add("Content-Type", "application/json");
  request.body = std::move(body);
  request.delivery = delivery;
  co_return co_await (*client)->fetch(std::move(request), place_bytes_max);
}

Result<std::string> FleetHomes::receive_question(std::string_view body) {
  const auto parsed = json::parse(body);
  if (!parsed) return Failure(parsed.error());
  const auto key = parsed->find("key").as_string();
  const auto from = parsed->find("from").as_string();
  if (!key || !from) return fail(ErrorCode::invalid_argument, "The body needs the members key and from.");
  const auto answer = table_.answer(*key, *from, clock_.now());
  const auto owner = table_.known_at(*key, peers_.sisters());
  return fmt::format(R"({{"here":{},"had":{},"at":{}}})", answer.is_here, answer.had_state,
                     json_quote(owner ? owner->id : ""));
}

std::string FleetHomes::write_homes(const std::vector<std::string>& keys) const {
  std::string body =
      fmt::format(R"({{"id":{},"address":{},"generation":"{}","draining":{},"keys":[)", json_quote(self_.id),
                  json_quote(self_.peer_address), write_generation(self_.generation), table_.is_draining());
  for (const std::string& key : keys) body += (body.ends_with('[') ? "" : ",") + json_quote(key);
  return body + "]}";
}

Result<void> FleetHomes::receive_homes(std::string_view body) {
  const auto parsed = json::parse(body);
  if (!parsed) return Failure(parsed.error());
  TaskIdentity from;
  from.id = parsed->find("id").as_string().value_or("");
  from.peer_address = parsed->find("address").as_string().value_or("");
  const auto generation = read_generation(parsed->find("generation").as_string().value_or(""));
  const auto keys = parsed->find("keys");
  if (from.id.empty() || !generation || !keys.is(json::Kind::array))
    return fail(ErrorCode::invalid_argument, "The body needs the members id, generation and keys.");
  from.generation = *generation;
  const auto sisters = peers_.sisters();
  if (parsed->find("draining").as_bool().value_or(false)) table_.set_draining(from, sisters);
  keys.each_element([&](json::Slice element) {
    if (const auto key = element.as_string()) table_.learn(*key, from, sisters, clock_.now());
    return true;
  });
  return {};
}

void FleetHomes::keep(Home& home) {
  if (std::exchange(home.is_kept, true)) return;
  for (const TaskIdentity& sister : peers_.sisters()) tell(sister, {home.key});
}

void FleetHomes::tell(const TaskIdentity& sister, const std::vector<std::string>& keys) {
  const auto [at, is_new] = lines_.try_emplace(sister.id, std::make_shared<Line>());
  const std::shared_ptr<Line>& line = at->second;
  const std::size_t room = untold_max - std::min(untold_max, line->pending.size());
  line->pending.insert(line->pending.end(), keys.begin(),
                       keys.begin() + static_cast<std::ptrdiff_t>(std::min(room, keys.size())));
  if (is_new) telling_.spawn(send_pending(sister, line));
}

Task<void> FleetHomes::send_pending(TaskIdentity sister, std::shared_ptr<Line> line) {
  do {  // that this task drains is worth saying without any home
    const auto count = static_cast<std::ptrdiff_t>(std::min(told_at_once, line->pending.size()));
    const std::vector<std::string> batch(line->pending.begin(), line->pending.begin() + count);
    line->pending.erase(line->pending.begin(), line->pending.begin() + count);
    std::string body = write_homes(batch);
    const auto told = co_await post(sister, "/peer/homes", std::move(body));
    // It asks before it makes a home of its own.
    if (!told) log_.debug("homes_not_told", {{"peer", sister.id}, {"problem", told.error().message()}});
  } while (!line->pending.empty());
  lines_.erase(sister.id);
}

Task<void> FleetHomes::drain() {
  table_.drain();
  const auto sisters = peers_.sisters();
  const std::vector<std::string> keys = table_.legacy(sisters);
  for (const TaskIdentity& sister : sisters) tell(sister, keys);
  co_await telling_.join();
}

Task<void> FleetHomes::stop() {
  telling_.cancel();
  asking_.cancel();
  co_await telling_.join();
  co_await asking_.join();
}

}  // namespace berth::task
