#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/secret.h"
#include "base/testing/sim_clock.h"
#include "task/edge/testing/fake_exchange.h"
#include "task/edge/testing/fake_host.h"
#include "task/edge/testing/memory_records.h"
#include "task/endpoint.h"

namespace berth::task::testing {

/// Hands requests straight to the endpoint of another fake task, if it is the life that is meant.
class FakePeers {
 public:
  /// As task `self` sees it.
  std::unique_ptr<PeerForwarder> of(const TaskIdentity& self);

  struct Life {
    Endpoint* endpoint = nullptr;
    TaskIdentity identity;
  };
  std::map<std::string, Life> lives;  ///< by address
  std::vector<TaskIdentity> ghosts;   ///< are gone, and believed to live
  bool are_known = false;             ///< to each other
  std::uint64_t losses = 0;           ///< as every task counts them
  std::size_t forwarded = 0;
  std::optional<Forwarded> fails_with;                    ///< instead of reaching anybody
  std::optional<Forwarded> fails_once_with;               ///< the same for the first request alone
  std::function<void(const TaskIdentity&)> instead_once;  ///< of the first request that reaches a task
};

/// Which task a request goes to, and whose it is.
struct To {
  std::size_t task = 0;
  std::string principal = "alice";
  std::string client{};
  bool is_repeated = false;  ///< a task was lost that may have run it
};

/// The homes of a task: here, but for those that the test puts elsewhere.
class FakeHomes final : public Homes {
 public:
  std::map<std::string, TaskIdentity, std::less<>> elsewhere;  ///< by key; until it was tried
  std::map<std::string, std::shared_ptr<Home>, std::less<>> own;
  std::vector<std::string> kept;
  bool takes_nobody = false;  ///< disowns what sisters bring
  std::vector<std::string> claimed;
  bool is_uncertain = false;  ///< where a server's one process is

  std::shared_ptr<Home> find(std::string_view key) override;
  Task<Place> settle(std::string key, From from, std::span<const std::string> tried) override;
  Task<Place> settle_sole(std::string key, From from, std::span<const std::string> tried) override;
  Task<std::shared_ptr<Home>> claim(std::string key) override;
  void give_up(std::string_view server) override;
  void keep(Home& home) override;
  std::size_t count(std::string_view) const override { return own.size(); }
  HomeLoad load(std::string_view) const override {
    return {.homes = own.size(), .busiest = {}, .holder = {}};
  }
};

/// Tasks of one service on one simulated clock: task 0 is "a", task 1 is "b". Every verb runs the loop until
/// idle.
class Fleet {
 public:
  explicit Fleet(std::size_t tasks = 1);
  ~Fleet();

  using Sent = std::shared_ptr<FakeExchange>;
  using Fields = FakeExchange::Fields;
  using To = berth::task::testing::To;

  Sent send(std::string method, const Fields& fields, std::string body, const To& to = {});
  Sent send_to(std::string target, std::string method, const Fields& fields, std::string body, const To& to);
  /// A modern request with the headers and the envelope that belong to it; `params` without _meta.
  Sent modern(std::string_view method, std::string_view params = "{}", const To& to = {});
  /// As `modern`, with more members in _meta and these client capabilities.
  Sent modern_with(std::string_view method, std::string_view params, std::string_view meta,
                   std::string_view capabilities = "{}", const To& to = {});
  /// A legacy message; `session` empty: no Mcp-Session-Id.
  Sent legacy(std::string_view body, std::string_view session, const To& to = {});
  /// Initializes and returns the session id.
  std::string initialize(std::string_view capabilities = "{}", std::string_view version = "2025-11-25",
                         const To& to = {});
  Sent get(std::string_view session, std::string_view last_event_id = {}, const To& to = {});
  /// Drains task 0; the result comes when it is done.
  std::shared_ptr<std::optional<std::size_t>> drain(Duration within);
  /// Whether tasks know their sisters and leave each other records of their sessions; before any request.
  void know_sisters();

  void run() { clock.run_until_idle(); }
  /// Drops what was sent and answered; the answers are not looked at any more.
  void forget() { sent_.clear(); }

  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  model::LimitsSpec limits;
  model::ServerSpec spec;
  mcp::HandleSealer sealer{Secret(std::string(32, 'k'))};
  FakePeers peers;
  MemoryRecords records;
  MemoryAccount memory{64u << 20};  ///< of all tasks
  struct Node {
    TaskIdentity identity;
    FakeHost host;
    std::unique_ptr<ChangeBus> bus = make_local_change_bus();
    FakeHomes homes;
    std::unique_ptr<PeerForwarder> peers;
    std::unique_ptr<SessionRecords> records;
    std::unique_ptr<Endpoint> endpoint;
  };
  std::vector<std::unique_ptr<Node>> nodes;
  FakeHost& host() { return nodes[0]->host; }
  ChangeBus& bus() { return *nodes[0]->bus; }

  /// Replaces task `index` by a new life of itself: another generation, nothing remembered.
  void restart(std::size_t index);
  /// Ends task `index` without warning; `send` it nothing more.
  void kill(std::size_t index);

 private:
  void boot(Node& node);
  std::vector<Sent> sent_;
  TaskScope scope_{loop.get_executor()};
};

/// The ids of the events of a stream, the priming one too.
std::vector<std::string> event_ids(const Fleet::Sent& sent);
/// The error code in a JSON-RPC answer, 0 when it is a result.
int error_code(std::string_view json);
/// "200 json", "404 -32601", "200 sse" …
std::string summary(const Fleet::Sent& sent);

}  // namespace berth::task::testing
