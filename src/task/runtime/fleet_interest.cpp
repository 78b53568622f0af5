#include "task/runtime/fleet_interest.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "codec/json.h"

namespace berth::task {

namespace {

using namespace std::chrono_literals;

constexpr Duration interest_timeout = 2s;
constexpr Duration retry_pause_min = 200ms;
constexpr Duration retry_pause_max = 5s;
/// Of one message, far below what a sister reads; one interest alone may have more.
constexpr std::size_t batch_bytes = 64 * 1024;
/// Of one sister; the updates of further ones do not reach her.
constexpr std::size_t interests_max = 100'000;

std::string write_interest(const Interest& interest) {
  return fmt::format("[{},{},{}]", json_quote(interest.server), json_quote(interest.uri),
                     json_quote(interest.principal));
}

std::optional<Interest> read_interest(json::Slice array) {
  std::vector<std::string> parts;
  for (json::Elements each(array); each.next();) {
    auto part = each.value().as_string();
    if (!part) return std::nullopt;
    parts.push_back(*std::move(part));
  }
  if (parts.size() != 3) return std::nullopt;
  return Interest{std::move(parts[0]), std::move(parts[1]), std::move(parts[2])};
}

std::set<Interest> read_interests(json::Slice list) {
  std::set<Interest> read;
  for (json::Elements each(list); each.next();) {
    if (auto interest = read_interest(each.value())) read.insert(*std::move(interest));
  }
  return read;
}

}  // namespace

FleetInterest::FleetInterest(const TaskIdentity& self, PeerClients& clients, Clock& clock, Log& log)
    : self_(self), clients_(clients), clock_(clock), log_(log), scope_(clock.executor()) {}

void FleetInterest::on_elsewhere(std::function<void(const Interest&, bool watched)> callback) {
  on_elsewhere_ = std::move(callback);
}

void FleetInterest::watch(Interest interest) {
  const auto [at, is_new] = own_.try_emplace(std::move(interest), 0);
  if (++at->second == 1) note(at->first, true);
}

void FleetInterest::unwatch(const Interest& interest) {
  const auto at = own_.find(interest);
  if (at == own_.end() || --at->second > 0) return;
  own_.erase(at);
  note(interest, false);
}

void FleetInterest::note(const Interest& interest, bool watched) {
  for (const auto& [id, line] : lines_) {
    line->untold.insert_or_assign(interest, watched);
    tell(line);
  }
}

bool FleetInterest::is_for(const std::string& sister, std::string_view server,
                           const mcp::Change& change) const {
  const auto line = lines_.find(sister);
  if (line == lines_.end() || !line->second->has_told) return true;
  const std::set<Interest>& watched = line->second->watched;
  Interest wanted{std::string(server), change.uri, change.principal};
  if (!change.principal.empty()) return watched.contains(wanted);
  const auto first = watched.lower_bound(wanted);
  return first != watched.end() && first->server == server && first->uri == change.uri;
}

void FleetInterest::set_peers(const std::vector<Member>& peers) {
  std::map<std::string, std::shared_ptr<Line>> next;
  for (const Member& peer : peers) {
    const auto known = lines_.find(peer.id);
    const bool is_same = known != lines_.end() && known->second->member.generation == peer.generation;
    auto line = is_same ? known->second : std::make_shared<Line>();
    line->member = peer;
    next.emplace(peer.id, std::move(line));
  }
  const auto before = std::exchange(lines_, std::move(next));
  for (const auto& [id, line] : before) {
    const auto kept = lines_.find(id);
    if (kept != lines_.end() && kept->second == line) continue;
    line->removed = true;
    forget(*line);
  }
  for (const auto& [id, line] : lines_) {
    if (line->has_news()) tell(line);
  }
}

void FleetInterest::tell(const std::shared_ptr<Line>& line) {
  if (!std::exchange(line->sending, true)) scope_.spawn(send(line));
}

Task<void> FleetInterest::send(std::shared_ptr<Line> line) {
  Duration pause = retry_pause_min;
  while (line->has_news() && !line->removed) {
    const bool whole = std::exchange(line->tells_whole, false);
    const bool asks = std::exchange(line->asks, false);
    if (whole) {
      line->untold.clear();
      for (const auto& [interest, count] : own_) line->untold.emplace(interest, true);
    }
    std::map<Interest, bool> batch;
    std::string begin;
    std::string end;
    while (!line->untold.empty() && begin.size() + end.size() < batch_bytes) {
      const auto at = batch.insert(line->untold.extract(line->untold.begin())).position;
      std::string& list = at->second ? begin : end;
      list += (list.empty() ? "" : ",") + write_interest(at->first);
    }
    std::string body =
        fmt::format(R"({{"id":{},"generation":"{}","whole":{},"asks":{},"begin":[{}],"end":[{}]}})",
                    json_quote(self_.id), write_generation(self_.generation), whole, asks, begin, end);
    const auto posted = co_await post(line->member, std::move(body));
    if (posted) {
      pause = retry_pause_min;
      continue;
    }
    log_.debug("interest_not_told", {{"peer", line->member.id}, {"problem", posted.error().message()}});
    line->tells_whole = line->tells_whole || whole;
    line->asks = line->asks || asks;
    line->untold.merge(batch);  // what was noted meanwhile is newer
    co_await clock_.sleep_for(pause);
    pause = std::min(pause * 2, retry_pause_max);
  }
  line->sending = false;
}

Task<Result<void>> FleetInterest::post(const Member& member, std::string body) {
  const auto client = clients_.at(member.address);
  if (!client) co_return Failure(client.error());
  http::ClientRequest request;
  request.method = "POST";
  request.target = "/peer/interest";
  request.headers.add("Content-Type", "application/json");
  request.body = std::move(body);
  request.deadline = clock_.now() + interest_timeout;
  const auto answer = co_await (*client)->fetch(std::move(request), 4096);
  if (!answer) co_return Failure(answer.error());
  // An older program does not know the message, and needs it not: it is told of every update.
  if (answer->status < 300 || answer->status == 404) co_return Result<void>();
  co_return fail(ErrorCode::unavailable, fmt::format("Task '{}' answered {}.", member.id, answer->status));
}

Result<void> FleetInterest::receive(std::string_view body) {
  const auto parsed = json::parse(body);
  if (!parsed) return Failure(parsed.error());
  const auto id = parsed->find("id").as_string();
  const auto generation = read_generation(parsed->find("generation").as_string().value_or(""));
  if (!id || !generation)
    return fail(ErrorCode::invalid_argument, "The body needs the members id and generation.");
  const auto at = lines_.find(*id);
  // Once it is known here, it is asked.
  if (at == lines_.end() || at->second->member.generation != *generation) return {};
  const std::shared_ptr<Line> line = at->second;
  const std::set<Interest> begun = read_interests(parsed->find("begin"));
  std::set<Interest> ended = read_interests(parsed->find("end"));
  if (parsed->find("whole").as_bool().value_or(false)) {
    ended = line->watched;
    for (const Interest& interest : begun) ended.erase(interest);
    line->has_told = true;
  }
  for (const Interest& interest : begun) set_watched(*line, interest, true);
  for (const Interest& interest : ended) set_watched(*line, interest, false);
  if (parsed->find("asks").as_bool().value_or(false)) {
    line->tells_whole = true;
    tell(line);
  }
  return {};
}

void FleetInterest::set_watched(Line& line, const Interest& interest, bool watched) {
  if (watched) {
    if (line.watched.size() >= interests_max || !line.watched.insert(interest).second) return;
    if (++elsewhere_[interest] == 1 && on_elsewhere_) on_elsewhere_(interest, true);
    return;
  }
  if (line.watched.erase(interest) == 0) return;
  const auto at = elsewhere_.find(interest);
  if (--at->second > 0) return;
  elsewhere_.erase(at);
  if (on_elsewhere_) on_elsewhere_(interest, false);
}

void FleetInterest::forget(Line& line) {
  const std::set<Interest> watched = line.watched;
  for (const Interest& interest : watched) set_watched(line, interest, false);
}

Task<void> FleetInterest::stop() {
  set_peers({});
  scope_.cancel();
  co_await scope_.join();
}

}  // namespace berth::task
