#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "task/host/stdio_core.h"

namespace berth::task::host {

namespace {

/// How long the first child waits for the probe's verdict before it serves as a legacy one, besides the
/// time that it took to start itself: on a busy machine its sibling may need as long again.
constexpr Duration verdict_grace = std::chrono::milliseconds(300);

/// What a process is taken to hold while none has shown it (one of Node holds 40 to 60 MB), and at least.
constexpr std::uint64_t unknown_size = 48u << 20;
constexpr std::uint64_t smallest_size = 1u << 20;

/// Questions that a server writes at once come in reads that lie so far apart at most.
constexpr Duration ask_gather = std::chrono::milliseconds(10);
constexpr std::size_t descriptions_max = 256;

/// A start that timed out gets more time the next time, up to so many times start_timeout.
constexpr std::size_t start_patience_max = 4;

}  // namespace

SessionLimits StdioHost::session_limits() const {
  SessionLimits limits;
  const std::size_t patience = std::clamp<std::size_t>(policy_.failures(), 1, start_patience_max);
  limits.start_timeout = spec_.start_timeout * static_cast<std::int64_t>(patience);
  limits.call_timeout = spec_.call_timeout;
  limits.input_timeout = spec_.input_timeout;
  // The other calls end some time; who asks is known then.
  limits.ask_hold = spec_.input_timeout;
  limits.ask_gather = ask_gather;
  return limits;
}

void StdioHost::spawn(ChildId id, const PoolKey& key, mcp::Era era) {
  net::ProcessSpec process;
  process.argv = spec_.command;
  process.directory = spec_.directory;
  for (const auto& [name, value] : options_.environment) {
    if (!spec_.environment.contains(name)) process.environment.emplace_back(name, value);
  }
  for (const auto& [name, value] : spec_.environment) process.environment.emplace_back(name, value);
  process.separation = options_.separation;
  auto launched = launcher_.launch(std::move(process));
  const bool is_probe = probe_ == id;
  if (is_probe) probe_started_ = clock_.now();
  if (!launched) {
    if (is_probe) return give_up_probe();
    last_failure_ = fmt::format("The server cannot be started: {}.", launched.error().message());
    cannot_start_ = launched.error().code() == ErrorCode::not_found ||
                    launched.error().code() == ErrorCode::permission_denied;
    log_.error("server_start_failed", {{"server", spec_.name}, {"reason", last_failure_.sentence}});
    return policy_.child_ended(id, PoolPolicy::End::usual, clock_.now());
  }
  cannot_start_ = false;
  if (const std::string problem = (*launched)->separation_problem();
      !problem.empty() && not_separated_.empty()) {
    not_separated_ = problem;
    log_.warning("server_not_separated", {{"server", spec_.name}, {"reason", problem}});
  }
  ChildOptions options;
  options.id = id;
  options.key = key;
  options.era = era;
  options.one_session = spec_.isolation == model::Isolation::session;
  options.limits = session_limits();
  options.message_bytes_max = spec_.message_bytes_max;
  options.server = spec_.name;
  options.account = options_.account;
  options.tells_words = options_.tells_words;
  if (spec_.isolation == model::Isolation::principal) options.principal = key.scope;
  auto child = std::make_shared<Child>(std::move(options), std::move(*launched), *this, clock_, log_);
  children_.emplace(id, child);
  ++*options_.processes;
  scope_.spawn(run_child(std::move(child)));
}

Task<void> StdioHost::run_child(std::shared_ptr<Child> child) { co_await child->run(); }

void StdioHost::on_child_ready(Child& child) {
  if (probe_ == child.id()) return on_verdict(mcp::Era::modern);
  policy_.child_ready(child.id(), clock_.now());
  memory_looked_at_ = TimePoint{};  // now it is known what one holds
  if (child.era() == era_) {
    // Clients make up extensions; what a forgotten set describes is asked again.
    if (descriptions_.size() >= descriptions_max) descriptions_.clear();
    descriptions_[child.key().capabilities] = child.session().description();
    era_recalled_ = false;
  }
  sync_watches(child);
  if (probe_) {
    // Only now does the probe's silence mean something: the same command has had its time to start.
    const Duration start_took = clock_.now() - probe_started_;
    find_child(*probe_)->limit_start(clock_.now() + start_took + spec_.probe_timeout);
    verdict_timer_->arm(clock_.now() + start_took + verdict_grace, [this] {
      policy_.set_open(true);
      decide();
    });
  }
  decide();
}

void StdioHost::on_child_change(Child& child, mcp::Change change) {
  if (narrow_to_scope(change, child.key().scope, spec_.isolation)) sink_.on_change(change);
}

void StdioHost::on_child_watch_answered(Child& child, const std::string& uri,
                                        const std::optional<mcp::RpcError>& refusal) {
  watch_answers_.answer(child.key(), uri, refusal);
}

void StdioHost::on_child_asking(std::string_view method) {
  policy_.set_asking();
  // Many ask for roots as they start, and never again.
  if (method != "roots/list" && !std::exchange(asks_, true)) record_asking();
}

void StdioHost::on_child_question(Child& child, std::string id, mcp::InputRequest request) {
  const std::weak_ptr<Child> asking = children_.at(child.id());
  OutsideQuestion question;
  question.request = std::move(request);
  question.is_for = [this, asking](const mcp::Caller& caller) {
    const auto alive = asking.lock();
    return alive && alive->key() == key_of(caller);
  };
  question.answer = [asking, id = std::move(id)](std::string_view response) {
    if (const auto alive = asking.lock()) alive->session().answer_outside(id, response);
  };
  sink_.on_question(std::move(question));
}

void StdioHost::on_child_settled(Child& child) {
  set_load(child);
  if (child.session().answered() > 0) policy_.child_sound(child.id(), clock_.now());
  if (policy_.waiting() > 0 || child.session().parked() > 0) {
    decide();
  } else {
    arm_timer();
  }
}

void StdioHost::on_child_ended(Child& child) {
  const ChildId id = child.id();
  const bool expected = child.stopping();
  if (!children_.contains(id)) return;
  const auto kept = children_.extract(id);  // until this function returns
  --*options_.processes;
  if (children_.empty()) empty_.notify();
  memory_looked_at_ = TimePoint{};
  if (probe_ == id) return on_probe_ended(child);
  if (spec_.era == model::EraChoice::automatic && child.era() == era_ && child.session().named_modern()) {
    named_modern_ = true;
    policy_.child_ended(id, PoolPolicy::End::usual, clock_.now());
    // The probe will be answered; without one, a modern child is started.
    return probe_ ? decide() : on_verdict(mcp::Era::modern);
  }
  if (era_recalled_ && !expected) {
    policy_.child_ended(id, PoolPolicy::End::usual, clock_.now());
    return doubt_recalled_era();
  }
  if (!expected) {
    ++restarts_;
    last_failure_ = child.epitaph();
    log_.warning("server_ended", {{"server", spec_.name}, {"child", id}, {"reason", last_failure_.whole()}});
  }
  policy_.child_ended(id, child.timed_out() ? PoolPolicy::End::hopeless : PoolPolicy::End::usual,
                      clock_.now());
  decide();
}

// --- Memory

std::optional<MemoryUse> StdioHost::look_at_memory() {
  const std::optional<MemoryUse> use = options_.memory ? options_.memory() : std::nullopt;
  if (!use || use->limit == 0) return std::nullopt;
  if (!first_kills_) first_kills_ = use->kills;
  if (use->kills > *first_kills_) spares_forbidden_ = true;
  return use;
}

std::string StdioHost::explain_kill() {
  const std::optional<MemoryUse> use = look_at_memory();
  if (!use || use->kills <= *first_kills_ + oom_kills_) return {};
  ++oom_kills_;
  return fmt::format(
      "The server was killed by the kernel: the task's {} MB of memory (tasks.memory) are used up.",
      use->limit >> 20);
}

/// How many more processes fit, of the size of those that run, with a tenth left for what they grow by.
std::size_t StdioHost::room() {
  const std::optional<MemoryUse> use = look_at_memory();
  if (!use) return std::numeric_limits<std::size_t>::max();
  const std::uint64_t most = use->limit / 10 * 9;
  const std::uint64_t held = use->used - std::min(use->used, use->own);
  std::uint64_t coming = 0;
  for (const auto& [id, child] : children_) coming += child->session().ready() ? 0 : 1;
  const std::uint64_t size =
      coming == children_.size() ? unknown_size : std::max(held / *options_.processes, smallest_size);
  const std::uint64_t fit = (most - std::min(most, use->used)) / size;
  return fit - std::min(fit, coming);
}

void StdioHost::tell_of_memory(bool suffices) {
  if (suffices == std::exchange(memory_suffices_, suffices) || suffices) return;
  log_.warning("server_waits_for_memory",
               {{"server", spec_.name},
                {"reason",
                 "Calls wait for a process of their own, and tasks.memory has no room for one more; an "
                 "idle one ends first, if there is one."}});
}

// --- Era

void StdioHost::recall() {
  if (!options_.eras) return;
  recall_asking();
  if (era_known_) return;
  const std::optional<mcp::Era> era = options_.eras->recall(spec_, clock_.wall());
  if (!era) return;
  era_ = *era;
  era_known_ = era_recalled_ = true;
}

/// Another task of the folder may have seen it.
void StdioHost::recall_asking() {
  if (!options_.eras || asks_) return;
  asking_looked_at_ = clock_.now();
  asks_ = options_.eras->recalls_asking(spec_);
  if (asks_) policy_.set_asking();
}

void StdioHost::record_asking() {
  if (!options_.eras) return;
  const Result<void> kept = options_.eras->keep_asking(spec_, clock_.wall());
  if (!kept)
    log_.debug("server_asking_not_kept", {{"server", spec_.name}, {"reason", kept.error().message()}});
}

void StdioHost::record_era(std::optional<mcp::Era> era) {
  if (!options_.eras) return;
  const Result<void> kept = options_.eras->keep(spec_, era, clock_.wall());
  if (!kept) log_.debug("server_era_not_kept", {{"server", spec_.name}, {"reason", kept.error().message()}});
}

/// The first process did not come up in the recalled era, so the server is asked after all.
void StdioHost::doubt_recalled_era() {
  record_era(std::nullopt);
  era_known_ = era_recalled_ = false;
  adopt_era(mcp::Era::legacy);
  start_probe();
  decide();
}

void StdioHost::on_probe_ended(const Child& probe) {
  if (named_modern_) return on_verdict(mcp::Era::modern);
  const bool has_answered = !probe.timed_out() && !probe.killed_from_outside();
  if (has_answered) record_era(mcp::Era::legacy);
  if (has_answered || !descriptions_.empty()) return on_verdict(mcp::Era::legacy);
  // Its sibling has not started either, so nothing is known: the next start is asked again.
  give_up_probe();
}

void StdioHost::give_up_probe() {
  probe_.reset();
  policy_.set_open(true);
  decide();
}

void StdioHost::start_probe() {
  policy_.set_open(false);
  probe_ = policy_.reserve_child();
  spawn(*probe_, {}, mcp::Era::modern);
}

void StdioHost::on_verdict(mcp::Era era) {
  const std::optional<ChildId> id = std::exchange(probe_, std::nullopt);
  era_known_ = true;
  era_recalled_ = false;
  verdict_timer_->cancel();
  log_.info("server_era", {{"server", spec_.name}, {"era", era == mcp::Era::modern ? "modern" : "legacy"}});
  if (era == mcp::Era::modern) {
    record_era(era);
    adopt_era(era);
    // The sibling was only asked who it is, so it can serve.
    if (Child* const child = id ? find_child(*id) : nullptr) {
      child->set_key(first_key());
      policy_.add_ready_child(*id, child->key(), clock_.now());
      descriptions_[{}] = child->session().description();
      sync_watches(*child);
    }
  }
  policy_.set_open(true);
  decide();
}

void StdioHost::adopt_era(mcp::Era era) {
  era_ = era;
  descriptions_.clear();
  policy_.replace_pools(first_key());
  watches_.forget_capabilities();
  for (const PoolKey& key : watches_.keys()) policy_.set_watched(key, true);
  for (auto& [id, queued] : queued_) {
    queued.key = queued.waiting->key();
    policy_.wait(id, queued.key, queued.candidate);
  }
}

}  // namespace berth::task::host
