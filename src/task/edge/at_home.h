#pragma once

#include <memory>
#include <string>

#include "mcp/core.h"
#include "task/edge/modern_edge.h"

namespace berth::task::edge {

/// Where a modern request runs: in this task, for the caller's `home` if it has one, unless it was answered
/// already, by the task that is the caller's home or because that task is slow or was lost.
struct Whereabouts {
  bool is_answered = false;
  std::shared_ptr<Home> home;
};

/// Whether the server may keep something for callers of that era in its process: it is spoken to in the
/// session era. Those of the modern one then have homes.
bool keeps_state(const Shared& shared, mcp::Era of_caller);
inline bool has_homes(const Shared& shared) { return keeps_state(shared, mcp::Era::modern); }
/// Whether what a server keeps for its caller makes a difference to such a request.
bool uses_state(mcp::Method method);
/// Before a call: its caller's state is lost if the process has ended that had it.
void look_for_loss(KeptState& state, const ServerHost& host);
/// After a call that `process` ran: it was still to be read when its process ended, and has run in another.
void note_process(KeptState& state, const ServerHost& host, std::uint64_t process);
/// The caller is being told of its loss.
void note_told(Shared& shared, KeptState& state, std::string_view principal);

/// The caller's home if it is known to be here.
std::shared_ptr<Home> home_here(const Shared& shared, const RequestContext& context);
/// Brings a request, whose caller's home is not known to be here, to it; it may be made here.
Task<Whereabouts> find_home(Shared& shared, const Incoming& incoming);

/// A call in its caller's home (null: the server has none): what was lost before it, or under it, is told.
class AtHome {
 public:
  AtHome(Shared& shared, const Incoming& incoming, std::shared_ptr<Home> home);
  ~AtHome();
  AtHome(const AtHome&) = delete;
  AtHome& operator=(const AtHome&) = delete;

  /// Why the call is not run, once after a loss of state that callers build on.
  std::optional<mcp::RpcError> refuse();
  /// What was lost is worth a line to a client that takes log messages.
  std::optional<mcp::Notification> warning() const;
  /// Notes which process ran it. The first result after a loss says so.
  void end(mcp::Outcome& outcome);

 private:
  void tell();

  Shared& shared_;
  const Incoming& incoming_;
  std::shared_ptr<Home> home_;
  bool uses_state_ = false;  ///< a list, say, is the same whatever was lost
};

}  // namespace berth::task::edge
