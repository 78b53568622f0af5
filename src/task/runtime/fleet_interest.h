#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "mcp/core.h"
#include "task/identity.h"
#include "task/runtime/member.h"
#include "task/runtime/peer_clients.h"

namespace berth::task {

/// A resource that a listener watches.
struct Interest {
  std::string server;
  std::string uri;
  std::string principal;  ///< of the listener
  auto operator<=>(const Interest&) const = default;
};

/// What listeners watch, here and in sister tasks: an update is told to those sisters alone that have a
/// listener for it, and asked of processes in tasks without one. A sister is told with POST /peer/interest
/// {"id":…,"generation":"hexadecimal","whole":BOOL,"asks":BOOL,"begin":[[SERVER,URI,PRINCIPAL]…],"end":[…]},
/// in order and until she has heard it. `whole` is what a newcomer hears, in place of what she knew; `asks`
/// wants the same of her. Nothing is said while nothing changes.
class FleetInterest {
 public:
  /// What is given outlives it.
  FleetInterest(const TaskIdentity& self, PeerClients& clients, Clock& clock, Log& log);

  /// A listener here begins, or ends, to watch.
  void watch(Interest interest);
  void unwatch(const Interest& interest);
  /// Whether the sister has a listener for the change of `server`. What she watches is not known until she
  /// has said so, and never of an older program; then she has.
  bool is_for(const std::string& sister, std::string_view server, const mcp::Change& change) const;

  /// Told when the first sister begins to watch something, and when the last one ends.
  void on_elsewhere(std::function<void(const Interest&, bool watched)> callback);

  /// The sisters from now on, also when they are the same.
  void set_peers(const std::vector<Member>& peers);
  /// The body of a sister's POST. invalid_argument: not such a body.
  Result<void> receive(std::string_view body);
  /// Await before destruction.
  Task<void> stop();

 private:
  struct Line {
    Member member;
    bool tells_whole = true;          ///< she has heard nothing yet
    bool asks = true;                 ///< she is to tell all of hers
    std::map<Interest, bool> untold;  ///< watched, or no more
    bool sending = false;
    bool removed = false;
    bool has_told = false;  ///< what she watches is known
    std::set<Interest> watched;
    bool has_news() const { return tells_whole || asks || !untold.empty(); }
  };
  void note(const Interest& interest, bool watched);
  void tell(const std::shared_ptr<Line>& line);
  Task<void> send(std::shared_ptr<Line> line);
  Task<Result<void>> post(const Member& member, std::string body);
  void set_watched(Line& line, const Interest& interest, bool watched);
  void forget(Line& line);

  const TaskIdentity& self_;
  PeerClients& clients_;
  Clock& clock_;
  Log& log_;
  std::map<Interest, std::size_t> own_;
  std::map<Interest, std::size_t> elsewhere_;           ///< by how many sisters
  std::map<std::string, std::shared_ptr<Line>> lines_;  ///< by id
  std::function<void(const Interest&, bool)> on_elsewhere_;
  TaskScope scope_;
};

}  // namespace berth::task
