#include "task/host/dual_host.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <set>
#include <utility>
#include <variant>

namespace berth::task {

namespace {

class DualHost final : public ServerHost {
 public:
  DualHost(std::string server, std::unique_ptr<ServerHost> first,
           std::function<std::unique_ptr<ServerHost>()> make_legacy, Duration patience, Clock& clock,
           Log& log)
      : server_(std::move(server)),
        first_(std::move(first)),
        make_legacy_(std::move(make_legacy)),
        patience_(patience),
        clock_(clock),
        log_(log),
        scope_(clock.executor()) {}

  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller& caller) override;
  std::unique_ptr<mcp::ActiveCall> start(const mcp::Call& call, mcp::CallObserver& observer) override {
    return host_of(*call.caller).start(call, observer);
  }
  void notify(const mcp::Caller& caller, std::string_view method, std::string_view params) override {
    host_of(caller).notify(caller, method, params);
  }
  void want_level(const mcp::Caller& caller, mcp::LoggingLevel level) override {
    host_of(caller).want_level(caller, level);
  }
  /// A server may offer subscriptions and tell of updates by the modern era's means alone.
  void watch_resource(const mcp::Caller& caller, const std::string& uri) override {
    first_->watch_resource(caller, uri);
    if (&host_of(caller) != first_.get()) legacy_->watch_resource(caller, uri);
  }
  void unwatch_resource(const mcp::Caller& caller, const std::string& uri) override {
    first_->unwatch_resource(caller, uri);
    if (&host_of(caller) != first_.get()) legacy_->unwatch_resource(caller, uri);
  }
  void watch_elsewhere(const std::string& principal, const std::string& uri, bool watched) override {
    if (watched) {
      elsewhere_.emplace(principal, uri);
    } else {
      elsewhere_.erase({principal, uri});
    }
    first_->watch_elsewhere(principal, uri, watched);
    if (legacy_) legacy_->watch_elsewhere(principal, uri, watched);
  }
  Task<std::optional<mcp::RpcError>> watch_refusal(const mcp::Caller& caller, std::string uri) override;
  void session_closed(const std::string& session) override {
    first_->session_closed(session);
    if (legacy_) legacy_->session_closed(session);
  }
  bool runs(std::uint64_t process) const override {
    return (serves_legacy() ? *legacy_ : *first_).runs(process);
  }
  HostHealth health() const override;
  Task<std::size_t> drain(TimePoint deadline) override;

 private:
  enum class Verdict : std::uint8_t { none, speaks, refuses };

  bool serves_legacy() const { return legacy_ && verdict_ == Verdict::speaks; }
  ServerHost& host_of(const mcp::Caller& caller) {
    return caller.era == mcp::Era::legacy && serves_legacy() ? *legacy_ : *first_;
  }
  Task<void> drain_one(std::shared_ptr<ServerHost> host, TimePoint deadline, std::size_t* cut);

  const std::string server_;
  std::unique_ptr<ServerHost> first_;
  std::function<std::unique_ptr<ServerHost>()> make_legacy_;
  const Duration patience_;
  Clock& clock_;
  Log& log_;
  std::shared_ptr<ServerHost> legacy_;
  std::set<std::pair<std::string, std::string>> elsewhere_;  ///< principal and URI of watch_elsewhere()
  Verdict verdict_ = Verdict::none;
  bool draining_ = false;
  TaskScope scope_;
};

Task<Result<mcp::ServerDescription>> DualHost::describe(const mcp::Caller& caller) {
  using namespace asio::experimental::awaitable_operators;
  auto described = co_await first_->describe(caller);
  const bool is_modern = described && described->era == mcp::Era::modern;
  if (caller.era == mcp::Era::modern || !is_modern || verdict_ == Verdict::refuses || draining_)
    co_return described;
  if (!legacy_) {
    legacy_ = make_legacy_();
    for (const auto& [principal, uri] : elsewhere_) legacy_->watch_elsewhere(principal, uri, true);
  }
  // Others that wait for its verdict hold it, too, when it is given up.
  const std::shared_ptr<ServerHost> legacy = legacy_;
  if (verdict_ == Verdict::speaks) co_return co_await legacy->describe(caller);
  auto ended = co_await (legacy->describe(caller) || clock_.sleep_for(patience_));
  const auto* const answer = std::get_if<0>(&ended);
  if (answer != nullptr && *answer) {
    if (verdict_ == Verdict::none) log_.info("server_speaks_both_eras", {{"server", server_}});
    if (verdict_ == Verdict::none) verdict_ = Verdict::speaks;
    co_return *answer;
  }
  if (verdict_ == Verdict::speaks) co_return co_await legacy->describe(caller);
  if (verdict_ == Verdict::none) {
    verdict_ = Verdict::refuses;
    scope_.spawn(drain_one(std::exchange(legacy_, nullptr), clock_.now(), nullptr));
  }
  co_return described;
}

Task<std::optional<mcp::RpcError>> DualHost::watch_refusal(const mcp::Caller& caller, std::string uri) {
  if (&host_of(caller) != first_.get()) {
    auto refusal = co_await legacy_->watch_refusal(caller, uri);
    if (!refusal || refusal->code != mcp::code::method_not_found) co_return refusal;
  }
  co_return co_await first_->watch_refusal(caller, std::move(uri));
}

HostHealth DualHost::health() const {
  HostHealth health = first_->health();
  if (!legacy_) return health;
  const HostHealth legacy = legacy_->health();
  health.processes += legacy.processes;
  health.restarts += legacy.restarts;
  health.oom_kills += legacy.oom_kills;
  if (serves_legacy() && health.ready && !legacy.ready) {
    health.ready = false;
    health.reason = legacy.reason;
    health.refused = legacy.refused;
  }
  return health;
}

Task<void> DualHost::drain_one(std::shared_ptr<ServerHost> host, TimePoint deadline, std::size_t* cut) {
  const std::size_t count = co_await host->drain(deadline);
  if (cut != nullptr) *cut = count;
}

Task<std::size_t> DualHost::drain(TimePoint deadline) {
  draining_ = true;
  std::size_t cut_of_legacy = 0;
  if (legacy_) scope_.spawn(drain_one(legacy_, deadline, &cut_of_legacy));
  const std::size_t cut = co_await first_->drain(deadline);
  co_await scope_.join();
  co_return cut + cut_of_legacy;
}

}  // namespace

std::unique_ptr<ServerHost> make_dual_host(std::string server, std::unique_ptr<ServerHost> first,
                                           std::function<std::unique_ptr<ServerHost>()> make_legacy,
                                           Duration patience, Clock& clock, Log& log) {
  return std::make_unique<DualHost>(std::move(server), std::move(first), std::move(make_legacy), patience,
                                    clock, log);
}

}  // namespace berth::task
