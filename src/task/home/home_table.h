#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "task/homes.h"
#include "task/identity.h"

namespace berth::task {

/// What one task knows of the homes of callers, its own and its sisters'. Pure: it asks and tells nobody.
/// A home with state stays where it is while its task lives; one that is remembered at a task that has gone
/// was lost. Who asks before he claims finds it: of two that ask at the same time the one that rendezvous
/// hashing prefers goes first.
class HomeTable {
 public:
  struct Limits {
    std::size_t homes_max = 10'000;          ///< remembered, here and elsewhere each; the oldest goes
    std::size_t of_principal_max = 256;      ///< of one server and principal here; its oldest idle one goes
    Duration kept = std::chrono::hours(24);  ///< so long a home is remembered that nobody uses
  };
  using Sisters = std::span<const TaskIdentity>;

  explicit HomeTable(TaskIdentity self) : HomeTable(std::move(self), Limits()) {}
  HomeTable(TaskIdentity self, Limits limits) : self_(std::move(self)), limits_(limits) {}

  std::shared_ptr<Home> find(std::string_view key, TimePoint now);
  /// The sister that has the caller's state as far as is known here.
  std::optional<TaskIdentity> known_at(std::string_view key, Sisters sisters) const;
  /// The task that hashing names of those that may be a home: this one, unless it drains, and the sisters but
  /// for `tried` and those that drain. Without any, this one.
  TaskIdentity choose(std::string_view key, Sisters sisters, std::span<const std::string> tried) const;

  /// While it lives, a sister that asks for `key` is told to leave it to this task, if hashing prefers it.
  class Asking {
   public:
    Asking(HomeTable& table, std::string key) : table_(table), at_(table.asking_.insert(std::move(key))) {}
    ~Asking() { table_.asking_.erase(at_); }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;
    /// A sister that hashing prefers has asked meanwhile, and may have claimed since it was asked.
    bool is_outbid() const { return table_.outbids_ != outbids_; }

   private:
    HomeTable& table_;
    std::multiset<std::string, std::less<>>::iterator at_;
    std::uint64_t outbids_ = table_.outbids_;
  };
  struct Answer {
    bool is_here = false;    ///< or will be
    bool had_state = false;  ///< it is not, but state of it is remembered
    bool operator==(const Answer&) const = default;
  };
  /// To the sister `asker`, which is about to claim `key`.
  Answer answer(std::string_view key, const std::string& asker, TimePoint now);

  /// No caller of `server` is at home here any more. Their state is remembered as lost.
  void give_up(std::string_view server, TimePoint now);

  /// The caller is at home here from now on. `had_state`: a sister remembers some.
  std::shared_ptr<Home> claim(const std::string& key, bool had_state, TimePoint now);
  /// The sister `owner` has the caller's state; one that drains had it, or remembers another that had.
  void learn(const std::string& key, const TaskIdentity& owner, Sisters sisters, TimePoint now);
  /// It will go; what is known of those that are no sister any more is forgotten.
  void set_draining(const TaskIdentity& sister, Sisters sisters);

  /// Of this task: its idle homes are given up.
  void drain() { is_draining_ = true; }
  bool is_draining() const { return is_draining_; }
  /// What the sisters have to know when this task goes: every state that is or was in one that goes.
  std::vector<std::string> legacy(Sisters sisters) const;

  std::size_t count(std::string_view server) const;
  HomeLoad load(std::string_view server) const;

 private:
  using ByUse = std::list<std::shared_ptr<Home>>;  ///< of one server and principal; the last one used last
  struct Own {
    std::shared_ptr<Home> home;
    ByUse* by_use;
    ByUse::iterator place;
    TimePoint used;
  };
  struct Remembered {
    TaskIdentity owner;
    std::list<std::string>::iterator age;
    TimePoint heard;
  };
  using Owns = std::map<std::string, Own, std::less<>>;

  static std::pair<std::string, std::uint64_t> life_of(const TaskIdentity& task) {
    return {task.id, task.generation};
  }
  bool prefers_this_task(std::string_view key, const std::string& other) const;
  static bool has_state(const Home& home) { return home.is_kept || home.is_lost; }
  void make_room(std::string_view principal, TimePoint now);
  enum class Age : std::uint8_t { any, past };
  bool forget_idle(std::string_view principal, Age age, TimePoint now);
  void forget(Owns::iterator own);
  void forget_elsewhere(std::string_view key);
  void remember(const std::string& key, const TaskIdentity& owner, TimePoint now);

  TaskIdentity self_;
  Limits limits_;
  Owns own_;
  std::map<std::string, ByUse, std::less<>> by_principal_;  ///< by server and principal
  std::map<std::string, Remembered, std::less<>> elsewhere_;
  std::list<std::string> by_age_;  ///< keys of `elsewhere_`, the one heard of last at the end
  std::multiset<std::string, std::less<>> asking_;
  std::uint64_t outbids_ = 0;  ///< times that a sister was let go first
  std::set<std::pair<std::string, std::uint64_t>> draining_sisters_;
  bool is_draining_ = false;
};

}  // namespace berth::task
