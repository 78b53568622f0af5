#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/task.h"
#include "task/identity.h"

namespace berth::task {

/// What is known of the state that a server of the session era keeps for a caller.
struct KeptState {
  std::uint64_t process = 0;  ///< ServerHost's number of the one that ran its last call; 0: none has
  bool is_lost = false;       ///< what it had was lost, and its caller has not been told
};

/// A caller at home in this task: what a server of the session era keeps for it is in a process here.
struct Home : KeptState {
  std::string key;            ///< home_key
  bool is_kept = false;       ///< it may have state, and the sisters know that it is here
  bool is_contested = false;  ///< it is in a sister, too, which hashing prefers
  std::size_t calls = 0;      ///< under way; the home stays here meanwhile
  std::uint64_t calls_begun = 0;
};

/// Who holds the homes of one server in this task, and whose calls they run.
struct HomeLoad {
  std::size_t homes = 0;
  std::uint64_t calls = 0;  ///< of those who are at home here
  std::uint64_t busiest_calls = 0;
  std::string busiest;  ///< the principal of the caller with most calls
  std::size_t holder_homes = 0;
  std::string holder;  ///< the principal with most homes
  bool operator==(const HomeLoad&) const = default;
};

/// Names a caller of a server: `client` is what tells the clients of one principal apart, or empty.
std::string home_key(std::string_view server, std::string_view principal, std::string_view client);
/// Names all callers of a server together, whose one process is in one task (`isolation: service`).
std::string sole_home_key(std::string_view server);

/// Which task has the state of which caller. A caller has one home in the whole service: where its state is
/// already, else the task that rendezvous hashing names. A task that drains is no home any more but for
/// callers with a call under way.
class Homes {
 public:
  virtual ~Homes() = default;

  /// The caller's home if it is here; null: it is elsewhere, or nobody has looked yet. Costs one look-up.
  virtual std::shared_ptr<Home> find(std::string_view key) = 0;

  struct Place {
    std::shared_ptr<Home> here;      ///< null: elsewhere
    std::optional<TaskIdentity> at;  ///< where to; nothing, too: this task may not take the caller
  };
  /// Who asks: a client, or a sister that took this task for the caller's home.
  enum class From : std::uint8_t { client, sister };
  /// Where the caller is at home, which it is from now on. Asks the sisters before it makes one here, so that
  /// a home stays where it is while it has state. `tried`: ids of tasks that did not take the request.
  virtual Task<Place> settle(std::string key, From from, std::span<const std::string> tried) = 0;

  /// The same for a sole_home_key, which is at home in one task at a time: it is not made here while a sister
  /// that lives may have it. A place that names nothing: that is not known now; ask again.
  virtual Task<Place> settle_sole(std::string key, From from, std::span<const std::string> tried) = 0;
  /// The caller is at home here wherever it was: the server's one process is. Asks the sisters what was lost.
  virtual Task<std::shared_ptr<Home>> claim(std::string key) = 0;
  /// Nobody of `server` is at home here any more, and what they had is lost.
  virtual void give_up(std::string_view server) = 0;

  /// The caller may have state here from now on: the sisters are told, so that its loss can be told, too.
  virtual void keep(Home& home) = 0;

  /// How many callers of `server` are at home here.
  virtual std::size_t count(std::string_view server) const = 0;
  virtual HomeLoad load(std::string_view server) const = 0;
};

/// The homes of one task alone: everybody's is here.
std::unique_ptr<Homes> make_local_homes(const TaskIdentity& self, Clock& clock);

}  // namespace berth::task
