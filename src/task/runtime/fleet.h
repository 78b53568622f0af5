#pragma once

#include <string>
#include <string_view>

#include "base/log.h"
#include "task/runtime/fleet_bus.h"
#include "task/runtime/fleet_folder.h"
#include "task/runtime/membership.h"
#include "task/runtime/peer_clients.h"

namespace berth::task {

/// Keeps Membership fed and does what it decides: writes this task's record, reads the others', greets them
/// and tells the bus who is there. The first round runs at once, then one a second.
class Fleet {
 public:
  /// What is given by reference outlives the fleet.
  Fleet(FleetFolder folder, Member self, PeerClients& clients, FleetBus& bus, Clock& clock, Log& log);

  /// What this task tells its sisters of its servers, see Member::whole.
  void set_whole(std::uint64_t whole) { self_.whole = whole; }
  /// Whether a sister says the same `whole`.
  bool has_whole_sister(std::uint64_t whole) const;
  /// Whether those whose records were there at the first round have been met, or were found not to be there.
  bool has_met() const { return has_looked_ && first_greetings_ == 0; }

  /// The body of a sister's POST /peer/hello: {"self":MEMBER,"peers":[MEMBER…]}. Returns the answer, which
  /// looks the same. invalid_argument: not such a body.
  Result<std::string> receive_hello(std::string_view body);

  /// Leaves: stops the rounds and removes this task's record. Await before destruction.
  Task<void> stop();

 private:
  Task<void> run();
  Task<void> greet(Member member);
  Task<void> greet_first(Member member);
  void beat();
  std::string hello() const;
  Result<void> learn(std::string_view body);
  void share_peers();

  FleetFolder folder_;
  Member self_;
  PeerClients& clients_;
  FleetBus& bus_;
  Clock& clock_;
  Log& log_;
  Membership membership_;
  std::vector<Member> shared_;
  TimePoint next_beat_{};
  bool folder_failed_ = false;
  bool has_looked_ = false;          ///< the first round is over
  std::size_t first_greetings_ = 0;  ///< of that round, under way
  TaskScope scope_;
};

}  // namespace berth::task
