#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "task/runtime/member.h"

namespace berth::task {

/// Who belongs to the fleet, decided from what was seen and when; no files, sockets or clocks of its own. A
/// member is first a candidate (its file was read, or a sister told of it), is greeted, and becomes a peer
/// once a greeting was answered or came from it. It stays one while signs of life come: heartbeats are
/// compared only with that member's earlier ones, because clocks differ between machines.
class Membership {
 public:
  struct Limits {
    Duration silence_max = std::chrono::seconds(10);  ///< without a sign of life a peer is dropped
    Duration greet_again = std::chrono::seconds(5);   ///< pause after a greeting that failed
    Duration forget_after = std::chrono::hours(1);    ///< then a silent member's file may be deleted
  };
  Membership(std::string self_id, Limits limits) : self_id_(std::move(self_id)), limits_(limits) {}

  /// A record from the shared volume or from a sister; it may be old.
  void on_record(const Member& seen, TimePoint now);
  /// `from` greeted us, or answered our greeting: it is alive.
  void on_hello(const Member& from, TimePoint now);
  /// Nobody answers at the address of that member's generation.
  void on_unreachable(const std::string& id, std::uint64_t generation, TimePoint now);

  struct Plan {
    std::vector<Member> greet;        ///< each at most once at a time, until on_hello or on_unreachable
    std::vector<std::string> forget;  ///< ids whose files may be deleted
  };
  /// What to do now; call about every second.
  Plan plan(TimePoint now);

  /// Those alive, in order of their ids.
  std::vector<Member> peers() const;

 private:
  struct Entry {
    Member member;
    TimePoint last_sign;
    TimePoint greet_after;
    bool alive = false;
    bool greeting = false;
    bool hopeless = false;  ///< did not answer, and has given no sign of life since
  };

  std::string self_id_;
  Limits limits_;
  std::map<std::string, Entry> entries_;
};

}  // namespace berth::task
