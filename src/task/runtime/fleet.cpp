#include "task/runtime/fleet.h"

#include <algorithm>
#include <utility>

namespace berth::task {

namespace {
using namespace std::chrono_literals;
constexpr Duration round_interval = 1s;
constexpr Duration beat_interval = 2s;
constexpr Duration greeting_timeout = 2s;
constexpr std::size_t hello_bytes_max = 256 * 1024;
}  // namespace

Fleet::Fleet(FleetFolder folder, Member self, PeerClients& clients, FleetBus& bus, Clock& clock, Log& log)
    : folder_(std::move(folder)),
      self_(std::move(self)),
      clients_(clients),
      bus_(bus),
      clock_(clock),
      log_(log),
      membership_(self_.id, {}),
      scope_(clock.executor()) {
  bus_.on_unreachable([this](const Member& member) {
    membership_.on_unreachable(member.id, member.generation, clock_.now());
    share_peers();
  });
  scope_.spawn(run());
}

Task<void> Fleet::run() {
  while (true) {
    beat();
    for (const Member& seen : folder_.read()) membership_.on_record(seen, clock_.now());
    auto plan = membership_.plan(clock_.now());
    for (Member& member : plan.greet) {
      if (!has_looked_) ++first_greetings_;
      scope_.spawn(has_looked_ ? greet(std::move(member)) : greet_first(std::move(member)));
    }
    has_looked_ = true;
    for (const std::string& id : plan.forget) folder_.remove(id);
    share_peers();
    co_await clock_.sleep_for(round_interval);
  }
}

void Fleet::beat() {
  if (clock_.now() < next_beat_) return;
  next_beat_ = clock_.now() + beat_interval;
  self_.heartbeat_ms = to_unix_ms(clock_.wall());
  const auto written = folder_.write(self_);
  if (!written && !folder_failed_)
    log_.error("fleet_record_not_written", {{"problem", written.error().message()}});
  folder_failed_ = !written;
}

bool Fleet::has_whole_sister(std::uint64_t whole) const {
  return std::ranges::any_of(membership_.peers(),
                             [whole](const Member& peer) { return peer.whole == whole; });
}

std::string Fleet::hello() const {
  std::string body = R"({"self":)" + to_json(self_) + R"(,"peers":[)";
  bool is_first = true;
  for (const Member& peer : membership_.peers()) {
    if (!std::exchange(is_first, false)) body += ",";
    body += to_json(peer);
  }
  return body + "]}";
}

Result<void> Fleet::learn(std::string_view body) {
  const auto parsed = json::parse(body);
  if (!parsed) return Failure(parsed.error());
  auto from = parse_member(parsed->find("self"));
  if (!from) return Failure(from.error());
  membership_.on_hello(*from, clock_.now());
  const auto peers = parsed->find("peers");
  if (peers.is(json::Kind::array)) {
    peers.each_element([this](json::Slice element) {
      if (const auto member = parse_member(element)) membership_.on_record(*member, clock_.now());
      return true;
    });
  }
  share_peers();
  return {};
}

Result<std::string> Fleet::receive_hello(std::string_view body) {
  auto learned = learn(body);
  if (!learned) return Failure(learned.error());
  return hello();
}

Task<void> Fleet::greet(Member member) {
  const auto client = clients_.at(member.address);
  Result<http::Response> answer = fail(ErrorCode::invalid_argument, "The address is no endpoint.");
  if (client) {
    http::ClientRequest request;
    request.method = "POST";
    request.target = "/peer/hello";
    request.headers.add("Content-Type", "application/json");
    request.body = hello();
    request.deadline = clock_.now() + greeting_timeout;
    answer = co_await (*client)->fetch(std::move(request), hello_bytes_max);
  }
  const bool is_learned = answer && answer->status == 200 && learn(answer->body);
  // Another life of the task, or another task, may have answered there; the one greeted has not.
  const bool is_there = std::ranges::any_of(membership_.peers(), [&](const Member& peer) {
    return peer.id == member.id && peer.generation == member.generation;
  });
  if (is_learned && is_there) co_return;
  membership_.on_unreachable(member.id, member.generation, clock_.now());
  share_peers();
  log_.debug("peer_not_reached",
             {{"peer", member.id}, {"problem", answer ? "no greeting" : answer.error().message()}});
}

Task<void> Fleet::greet_first(Member member) {
  co_await greet(std::move(member));
  --first_greetings_;
}

void Fleet::share_peers() {
  auto peers = membership_.peers();
  const auto is_same = [](const Member& a, const Member& b) {
    return a.id == b.id && a.generation == b.generation && a.address == b.address;
  };
  bus_.set_peers(peers);
  if (std::ranges::equal(peers, shared_, is_same)) return;
  log_.info("fleet_changed", {{"peers", peers.size()}});
  shared_ = std::move(peers);
}

Task<void> Fleet::stop() {
  bus_.on_unreachable(nullptr);
  scope_.cancel();
  co_await scope_.join();
  folder_.remove(self_.id);
}

}  // namespace berth::task
