#pragma once

#include <memory>
#include <string>
#include <vector>

#include "task/edge/modern_edge.h"
#include "task/edge/session.h"

namespace berth::task::edge {

/// The one process of a server with `isolation: service`. Every request of every client is brought to the
/// task that has it, and no other task starts one while it lives. It goes over to another task when its own
/// stops or is lost, or when a partition has made two and hashing prefers the other.
class SoleHome {
 public:
  SoleHome(Shared& shared, SessionTable& sessions);

  /// Brings a request to the process. True: it has its answer, or its sister looks on; else it runs here,
  /// while an Admitted lives.
  Task<bool> bring(const Incoming& incoming);

  /// A request, or a stream, that the process stays for.
  class Admitted {
   public:
    explicit Admitted(SoleHome& home) : home_(home) { ++home_.admitted_; }
    ~Admitted() { --home_.admitted_; }
    Admitted(const Admitted&) = delete;
    Admitted& operator=(const Admitted&) = delete;

   private:
    SoleHome& home_;
  };

  /// Takes the process where hashing names this task and nobody has it. Call every second or oftener.
  Task<void> settle();
  /// Ends the process once the calls under way have ended, at `deadline` at the latest. Requests wait
  /// meanwhile, and go to whoever takes it next.
  Task<void> hand_over(TimePoint deadline);

 private:
  bool take(const std::shared_ptr<Home>& home);
  void tell_sisters();

  Shared& shared_;
  SessionTable& sessions_;
  const std::string key_;
  std::shared_ptr<Home> home_;      ///< null: the process is not here
  std::vector<TaskIdentity> told_;  ///< sisters that know
  std::size_t admitted_ = 0;
  bool is_leaving_ = false;
};

}  // namespace berth::task::edge
