#include "task/edge/adoption.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/rendezvous.h"
#include "mcp/session_origin.h"
#include "task/edge/answers.h"
#include "task/edge/forwarding.h"

namespace berth::task::edge {
namespace {

using Standing = SessionRecords::Standing;

/// Each leads to another task, or back to one that has just taken the session over.
constexpr int steps_max = 16;
/// What is remembered is a shortcut: beyond so many entries it is found anew.
constexpr std::size_t remembered_max = 100'000;

TaskIdentity owner_of(const mcp::Handle& handle) {
  return {handle.owner, {}, handle.generation, handle.owner_address};
}

Task<void> refuse_for_now(const Incoming& incoming, std::string_view why) {
  mcp::RpcError error{mcp::code::server_error, std::string(why), {}};
  co_await answer_error(incoming.exchange, 503, incoming.message.id, std::move(error));
}

}  // namespace

struct Adoption::Search {
  const Incoming& incoming;
  const mcp::Handle& handle;
  mcp::SessionOrigin origin;
  std::string token;
  TaskIdentity owner;  ///< who had the session last, as far as is known
  /// Lives that this request has asked in vain, or that stop.
  std::unordered_set<std::uint64_t> passed{};
};

/// Holds others back who look for the same session.
class Adoption::UnderWay {
 public:
  UnderWay(Adoption& adoption, const std::string& session) : adoption_(adoption), session_(session) {
    adoption_.under_way_[session_];
  }
  ~UnderWay() {
    const auto kept = adoption_.under_way_.extract(session_);
    for (const auto& waiting : kept.mapped()) waiting->notify();
  }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;

 private:
  Adoption& adoption_;
  const std::string session_;
};

Adoption::~Adoption() = default;

bool Adoption::is_self(const TaskIdentity& task) const { return is_same_life(task, shared_.world.identity); }

bool Adoption::is_alive(const TaskIdentity& task) const {
  return std::ranges::any_of(shared_.world.peers.sisters(),
                             [&](const TaskIdentity& sister) { return is_same_life(sister, task); });
}

/// True: it has answered, and has the session. `lost_life`: from whom it is to take it over; 0: from nobody.
Task<bool> Adoption::ask(Search& search, TaskIdentity task, std::uint64_t lost_life) {
  RequestContext context = search.incoming.context;
  context.lost_life = lost_life;
  const Forwarded forwarded = co_await hand_to_task(shared_, task, search.incoming, context);
  if (forwarded.end == Forwarded::End::answered) {
    lost_.erase(task.generation);
    if (task.generation == search.handle.generation) co_return true;
    if (moved_.size() >= remembered_max) moved_.clear();
    moved_.insert_or_assign(search.origin.key, std::move(task));
    co_return true;
  }
  shared_.world.log.info("session_not_there",
                         {{"server", shared_.world.server}, {"owner", task.id}, {"reason", forwarded.why}});
  moved_.erase(search.origin.key);
  search.passed.insert(task.generation);
  if (forwarded.end == Forwarded::End::disowned) co_return false;  // it lives, and may take it over yet
  if (lost_.size() >= remembered_max) lost_.clear();
  lost_.insert(task.generation);
  co_return false;
}

/// Who is to take the session over, of the tasks that live and were not asked in vain; this one when it is
/// the first of them, and nobody (an empty id) when there is none.
TaskIdentity Adoption::choose(const Search& search) const {
  std::vector<TaskIdentity> tasks = shared_.world.peers.sisters();
  if (!shared_.draining) tasks.push_back(shared_.world.identity);
  std::erase_if(tasks, [&](const TaskIdentity& task) {
    return search.passed.contains(task.generation) || task.generation == search.owner.generation;
  });
  if (tasks.empty()) return {.id = {}};
  std::vector<std::string> names;
  for (const TaskIdentity& task : tasks) names.push_back(task.id);
  return tasks[rendezvous_order(search.origin.key, names).front()];
}

Task<Adoption::Found> Adoption::find(const Incoming& incoming, const mcp::Handle& handle) {
  auto origin = mcp::read_session_origin(handle.local);
  if (!origin) co_return Found{};
  Search search{incoming, handle, *std::move(origin), std::string(incoming.headers.session_id.value_or("")),
                owner_of(handle)};
  const bool is_forwarded = incoming.context.forwarded;
  // The server's one process is here, so that nobody else can have the session.
  const bool is_sole = shared_.is_sole();
  if (const auto moved = moved_.find(search.origin.key); moved != moved_.end() && !is_forwarded)
    search.owner = moved->second;
  for (int step = 0; step < steps_max; ++step) {
    const bool is_own = is_self(search.owner);
    const bool in_vain = search.passed.contains(search.owner.generation) ||
                         (lost_.contains(search.owner.generation) && !is_alive(search.owner));
    if (!is_own && !is_forwarded && !in_vain && !is_sole) {
      const bool answered = co_await ask(search, search.owner, 0);
      if (answered) co_return Found{.answered = true};
    }
    SessionRecords::Succession next = shared_.world.records.look(search.origin.key, search.owner.generation);
    if (next.standing == Standing::open) {
      if (is_own && !shared_.draining) co_return Found{};
      // Only a sister that has asked the owner knows that it is lost.
      if (is_forwarded && !is_sole && search.owner.generation != incoming.context.lost_life) break;
      if (shared_.world.spec.state == model::State::process) co_return Found{};
      const TaskIdentity heir = is_forwarded || is_sole ? shared_.world.identity : choose(search);
      if (is_self(heir) && !shared_.draining) {
        next = shared_.world.records.claim(search.origin.key, search.owner.generation);
      } else if (is_forwarded || heir.id.empty()) {
        break;
      } else {
        const bool answered = co_await ask(search, heir, search.owner.generation);
        if (answered) co_return Found{.answered = true};
        continue;
      }
    }
    if (next.standing == Standing::over) co_return Found{};
    if (next.standing == Standing::unavailable) {
      co_await refuse_for_now(incoming, "The shared volume does not answer; nothing was run, try again.");
      co_return Found{.answered = true};
    }
    if (next.standing != Standing::taken) continue;
    if (is_self(next.heir) && !shared_.draining) co_return co_await adopt(search);
    search.owner = std::move(next.heir);
    // It may have been asked in vain before it took the session over.
    search.passed.erase(search.owner.generation);
  }
  if (is_forwarded && incoming.context.disowned != nullptr) {
    *incoming.context.disowned = true;
  } else {
    co_await refuse_for_now(incoming, "No task can take this session over now; nothing was run, try again.");
  }
  co_return Found{.answered = true};
}

Task<Adoption::Found> Adoption::adopt(const Search& search) {
  const std::string& key = search.origin.key;
  for (auto at = under_way_.find(key); at != under_way_.end(); at = under_way_.find(key)) {
    const auto done = std::make_shared<Signal>(shared_.world.clock.executor());
    at->second.push_back(done);
    co_await done->wait();
  }
  if (auto session = sessions_.find_key(key)) co_return Found{.session = std::move(session)};
  const auto standing = shared_.world.records.look(key, shared_.world.identity.generation).standing;
  if (standing == Standing::over) co_return Found{};
  auto session = co_await begin_anew(search);
  co_return Found{.session = session, .answered = session == nullptr};
}

/// nullptr: refused.
Task<std::shared_ptr<Session>> Adoption::begin_anew(const Search& search) {
  const UnderWay under_way(*this, search.origin.key);
  const Incoming& incoming = search.incoming;
  const TimePoint began = shared_.now();
  auto memory = incoming.memory.sibling(MemoryAccount::Kind::session);
  const std::size_t bytes = session_bytes(search.origin.capabilities, search.origin.client_info);
  const std::string& principal = incoming.context.principal;
  if (!sessions_.make_room(principal) || !sessions_.make_room(memory, bytes, principal)) {
    co_await refuse_for_now(incoming, "This task has no room for the session now; try again.");
    co_return nullptr;
  }
  std::optional<SessionTable::Place> place(std::in_place, sessions_);
  mcp::Caller caller;
  caller.principal = incoming.context.principal;
  caller.session = search.origin.key;
  caller.era = mcp::Era::legacy;
  caller.protocol_version = search.origin.version;
  caller.capabilities = search.origin.capabilities;
  caller.client_info = search.origin.client_info;
  const auto description = co_await shared_.describe(caller);
  if (!description) {
    shared_.world.host.session_closed(caller.session);
    co_await answer_refusal(incoming.exchange, incoming.message.id, refusal_of_host(description.error()));
    co_return nullptr;
  }
  place.reset();
  const auto session =
      sessions_.adopt(std::move(caller), description->capabilities, std::move(memory), search.token);
  session->state.is_lost =
      description->era == mcp::Era::legacy && shared_.world.spec.state != model::State::none;
  sessions_.restore(*session, search.owner.generation);
  ++adopted_;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(shared_.now() - began);
  shared_.world.log.info("session_adopted", {{"server", shared_.world.server},
                                             {"from", search.owner.id},
                                             {"principal", session->caller->principal},
                                             {"ms", took.count()}});
  co_return session;
}

}  // namespace berth::task::edge
