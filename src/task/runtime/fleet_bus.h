#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "task/peers.h"
#include "task/runtime/fleet_interest.h"
#include "task/runtime/member.h"
#include "task/runtime/peer_clients.h"
#include "task/runtime/subscriptions.h"

namespace berth::task {

/// The change bus of a task with sisters: POSTs each change to every one of them at once (/peer/changes), an
/// update of a resource to those alone that have a listener for it. A sister that is slow has a queue of its
/// own, bounded, in which equal changes are one. So are equal changes that come within a moment, from here or
/// elsewhere: processes in several tasks may see the same thing change.
class FleetBus final : public ChangeBus {
 public:
  FleetBus(const TaskIdentity& self, PeerClients& clients, Clock& clock, Log& log);

  void publish(std::string_view server, const mcp::Change& change) override;
  std::shared_ptr<void> subscribe(std::string_view server, std::string principal,
                                  std::function<void(const mcp::Change&)> observer) override;
  void watch(std::string_view server, const std::string& principal, const std::string& uri) override;
  void unwatch(std::string_view server, const std::string& principal, const std::string& uri) override;

  /// The sisters from now on, also when they are the same; what waits for one that has left is dropped.
  void set_peers(const std::vector<Member>& peers);
  /// The body of a sister's POST: its changes go to the observers here. invalid_argument: not such a body.
  Result<void> receive(std::string_view body);
  FleetInterest& interest() { return interest_; }
  /// Told when a sister could not be reached.
  void on_unreachable(std::function<void(const Member&)> callback) { unreachable_ = std::move(callback); }

  /// Is this life of the task with that id among the sisters?
  bool knows(const std::string& id, std::uint64_t generation) const;
  std::vector<TaskIdentity> sisters() const;
  /// As PeerForwarder::losses(). Counts a standstill of this task as soon as it is over.
  std::uint64_t losses() const;
  std::size_t peers() const { return lines_.size(); }
  std::uint64_t dropped() const { return dropped_; }
  /// Await before destruction.
  Task<void> stop();

 private:
  struct Line {
    Member member;
    std::vector<std::string> pending;  ///< changes as JSON, in order
    bool sending = false;
    bool removed = false;
  };
  void deliver(std::string_view server, const mcp::Change& change);
  Task<void> deliver_soon(std::string server, mcp::Change change, std::string text);
  Task<void> send_pending(std::shared_ptr<Line> line);
  Task<Result<void>> post(const Member& member, std::string body);

  PeerClients& clients_;
  Clock& clock_;
  Log& log_;
  Subscriptions subscriptions_;
  FleetInterest interest_;
  std::set<std::string> gathering_;                     ///< changes that are about to be delivered here
  std::map<std::string, std::shared_ptr<Line>> lines_;  ///< by id
  std::function<void(const Member&)> unreachable_;
  std::uint64_t dropped_ = 0;
  std::uint64_t losses_ = 0;
  TimePoint told_at_{};  ///< when set_peers was called last
  TaskScope scope_;
};

}  // namespace berth::task
