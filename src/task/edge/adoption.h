#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "task/edge/session.h"

namespace berth::task::edge {

struct Incoming;

/// Finds sessions that are not in this task's table: at the task that their id names, at the one that has
/// taken them over since, or here. When the owner of a session is lost (or stops, and the session is unused),
/// rendezvous hashing over the live tasks names the one that takes it over; the claim in the SessionRecords
/// decides where views differ. It begins the session anew with what its id says of its client.
class Adoption {
 public:
  Adoption(Shared& shared, SessionTable& sessions) : shared_(shared), sessions_(sessions) {}
  ~Adoption();

  struct Found {
    std::shared_ptr<Session> session;  ///< here
    bool answered = false;             ///< there, or refused; neither: nobody has it
  };
  /// `handle` is that of the session's id, opened for this caller; its session is not in the table.
  Task<Found> find(const Incoming& incoming, const mcp::Handle& handle);

  std::uint64_t adopted() const { return adopted_; }

 private:
  struct Search;
  class UnderWay;
  bool is_self(const TaskIdentity& task) const;
  bool is_alive(const TaskIdentity& task) const;
  Task<bool> ask(Search& search, TaskIdentity task, std::uint64_t lost_life);
  TaskIdentity choose(const Search& search) const;
  Task<Found> adopt(const Search& search);
  Task<std::shared_ptr<Session>> begin_anew(const Search& search);

  Shared& shared_;
  SessionTable& sessions_;
  std::unordered_map<std::string, TaskIdentity> moved_;  ///< by session: where it was found last
  std::unordered_set<std::uint64_t> lost_;               ///< lives that could not be reached
  /// Sessions that are being taken over, and who waits for them.
  std::map<std::string, std::vector<std::shared_ptr<Signal>>> under_way_;
  std::uint64_t adopted_ = 0;
};

}  // namespace berth::task::edge
