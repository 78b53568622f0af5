#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "task/homes.h"
#include "task/server_host.h"

namespace berth::task {

/// One hosted server as readiness sees it.
struct WatchedServer {
  std::string name;
  const ServerHost* host = nullptr;
  bool remote = false;                           ///< a `url`: starting the task anew would not mend it
  std::function<HomeLoad()> homes{};             ///< callers whose state is in this task; unset: not known
  std::function<std::uint64_t()> states_lost{};  ///< callers that were told of a loss; unset: not known
  bool answered = false;                         ///< once, since the task began
  TimePoint silent_since = TimePoint::max();     ///< max: it answers
};

/// Whether a task may be sent requests. It may once every server has answered once, or, when `patience` is
/// over or no silent one can be started or reached, if a server answers or every silent one is remote. From
/// then on it may until it drains: a server that fails later fails its own callers alone, and a balancer that
/// took the task out, or ended it, for one server would take the others with it. One of its own servers that
/// is down here for long, while in a sister task all of them answer, is this task's own sickness: then it is
/// not ready until that server answers.
class Readiness {
 public:
  struct Options {
    std::vector<WatchedServer> servers;
    Duration patience{};  ///< the longest start_timeout of the servers
    /// Told, for `berth status`, who does not answer and why, and how often the processes of each server
    /// ended by themselves, how many callers are at home here and who of them holds the load (in calls,
    /// rounded to two digits), how many were told of a loss of their state, and whether the task drains,
    /// whenever that changes; mode 0600. Empty: none.
    std::string file;
    /// Whether all servers answer in a sister task that has the same; null: there are no sisters.
    std::function<bool()> sister_is_whole;
  };
  Readiness(Options options, Clock& clock, Log& log);

  void set_draining() { draining_ = true; }
  /// It drains, and has told its sisters of the callers at home here: the file says so.
  void set_handed_over();
  /// Looks at the servers anew.
  bool look();
  /// At the last look: each server answers that runs here.
  bool is_whole() const;
  /// What /readyz answers after that look. A server's reason may hold what it wrote to stderr, so that it is
  /// shown only where `tells_why`.
  std::string body(bool tells_why) const;

 private:
  bool is_ready() const { return began_serving_ && !draining_ && !sick_; }
  bool is_down_for_long(const WatchedServer& server) const;
  void tell_file();

  Options options_;
  Clock& clock_;
  Log& log_;
  TimePoint began_;
  std::string told_;  ///< what the file holds
  bool began_serving_ = false;
  bool draining_ = false;
  bool handed_over_ = false;
  bool sick_ = false;  ///< a server is down here alone
};

}  // namespace berth::task
