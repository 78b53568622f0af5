#include "task/native/native_host.h"

#include <fmt/format.h>

#include <charconv>
#include <unordered_map>
#include <vector>

#include "base/task.h"
#include "berth/server.h"
#include "mcp/message.h"
#include "task/native/invocation.h"
#include "task/native/registry.h"

namespace berth::task {

namespace {

using mcp::Outcome;

/// Coroutine calls in flight or parked, a task.
constexpr std::size_t calls_max = 8'192;

/// The call of a plain function, which is over before `start` returns.
class DirectCall final : public detail::CallLink {
 public:
  DirectCall(const mcp::Call& call, mcp::CallObserver& observer, const TaskIdentity& identity, Clock& clock)
      : request_(call), observer_(observer), identity_(identity), clock_(clock) {}

  const mcp::Caller& caller() const override { return *request_.caller; }
  detail::Place place() const override { return {.task = identity_.id, .zone = identity_.zone}; }
  Clock& clock() const override { return clock_; }
  bool wants_progress() const override { return request_.wants_progress; }
  bool wants_log(mcp::LoggingLevel level) const override {
    return request_.log_level && level >= *request_.log_level;
  }
  void progress(double done, std::string params) override {
    if (last_progress_ && done <= *last_progress_) return;
    last_progress_ = done;
    observer_.on_notification({.method = "notifications/progress", .params = std::move(params)});
  }
  void log(std::string params) override {
    observer_.on_notification({.method = "notifications/message", .params = std::move(params)});
  }
  // Reached only by awaiting, which a plain function cannot do.
  Task<std::vector<std::string>> ask(std::vector<detail::RawAsk>) override {
    co_return std::vector<std::string>{};
  }

 private:
  const mcp::Call& request_;
  mcp::CallObserver& observer_;
  const TaskIdentity& identity_;
  Clock& clock_;
  std::optional<double> last_progress_;
};

Outcome invalid(std::string message) {
  return Outcome::failure(mcp::code::invalid_params, std::move(message));
}

class NativeHost final : public ServerHost {
 public:
  NativeHost(Server& server, ChangeSink& changes, const TaskIdentity& identity, Clock& clock, Log& log,
             const model::ServerSpec& spec)
      : registry_(server.registry()),
        clock_(clock),
        log_(log),
        world_{.identity = identity,
               .spec = spec,
               .clock = clock,
               .log = log,
               .ended = [this](std::uint64_t id) { retire(id); }},
        ended_(clock.executor()),
        idle_(clock.executor()),
        scope_(clock.executor()) {
    registry_.announce = [&changes](mcp::Change change) { changes.on_change(change); };
  }
  ~NativeHost() override { registry_.announce = nullptr; }

  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller&) override {
    mcp::ServerDescription description;
    description.era = mcp::Era::modern;
    description.capabilities = registry_.capabilities();
    description.server_info = registry_.server_info();
    description.instructions = registry_.instructions;
    co_return description;
  }

  std::unique_ptr<mcp::ActiveCall> start(const mcp::Call& call, mcp::CallObserver& observer) override {
    if (!call.request_state.empty()) return resume(call, observer);
    if (draining_) {
      return refuse(observer, Outcome::failure(mcp::unavailable("The server is stopping; try again.")));
    }
    const auto params = json::Slice::trusted(call.params);
    if (call.params.empty() || params.is(json::Kind::object)) return dispatch(call, params, observer);
    return refuse(observer, invalid("params must be an object."));
  }

  void notify(const mcp::Caller&, std::string_view, std::string_view) override {}
  // Updates go to every listener, here and on other tasks, whoever watches; see Server::resource_updated.
  void watch_resource(const mcp::Caller&, const std::string&) override {}
  void unwatch_resource(const mcp::Caller&, const std::string&) override {}

  void session_closed(const std::string& session) override {
    std::vector<Invocation*> orphans;
    for (const auto& [id, invocation] : live_) {
      const bool parked = invocation->state() == Invocation::State::parked;
      if (parked && invocation->caller().session == session) orphans.push_back(invocation.get());
    }
    for (Invocation* orphan : orphans) orphan->cancel();
  }

  HostHealth health() const override {
    if (draining_) return {.ready = false, .reason = "The server is stopping."};
    return {.ready = true};
  }

  Task<std::size_t> drain(TimePoint deadline) override {
    draining_ = true;
    const auto timer = clock_.make_timer();
    timer->arm(deadline, [this] { idle_.notify(); });
    while (running() > 0 && clock_.now() < deadline) co_await idle_.wait();
    timer->cancel();
    std::vector<Invocation*> rest;
    for (const auto& [id, invocation] : live_) rest.push_back(invocation.get());
    for (Invocation* invocation : rest) invocation->cancel();
    while (unwinding_ > 0) co_await idle_.wait();
    scope_.cancel();
    co_await scope_.join();
    co_return rest.size();
  }

 private:
  std::unique_ptr<mcp::ActiveCall> dispatch(const mcp::Call& call, json::Slice params,
                                            mcp::CallObserver& observer) {
    if (call.method == "tools/call") return call_tool(call, params, observer);
    if (call.method == "resources/read") return read_resource(call, params, observer);
    if (call.method == "prompts/get") return get_prompt(call, params, observer);
    return refuse(observer, answer_list(call, params));
  }

  std::unique_ptr<mcp::ActiveCall> call_tool(const mcp::Call& call, json::Slice params,
                                             mcp::CallObserver& observer) {
    const auto name = params.find("name").as_plain_string();
    if (!name) return refuse(observer, invalid("tools/call needs params.name, the name of a tool."));
    const auto tool = registry_.find_tool(*name);
    if (tool.handler == nullptr) return refuse(observer, invalid(fmt::format("Unknown tool: {}", *name)));
    return invoke(call, tool, {.arguments = params.find("arguments"), .name = *name}, observer);
  }

  std::unique_ptr<mcp::ActiveCall> get_prompt(const mcp::Call& call, json::Slice params,
                                              mcp::CallObserver& observer) {
    const auto name = params.find("name").as_string();
    if (!name) return refuse(observer, invalid("prompts/get needs params.name, the name of a prompt."));
    const auto prompt = registry_.find_prompt(*name);
    if (prompt.handler == nullptr) return refuse(observer, invalid(fmt::format("Unknown prompt: {}", *name)));
    return invoke(call, prompt, {.arguments = params.find("arguments"), .name = *name}, observer);
  }

  std::unique_ptr<mcp::ActiveCall> read_resource(const mcp::Call& call, json::Slice params,
                                                 mcp::CallObserver& observer) {
    const auto uri = params.find("uri").as_string();
    if (!uri) return refuse(observer, invalid("resources/read needs params.uri, the URI of a resource."));
    const auto resource = registry_.find_resource(*uri);
    if (resource.handler == nullptr) return refuse(observer, detail::resource_not_found(*uri));
    const auto variables = json::Slice::trusted(resource.variables);
    return invoke(call, resource, {.arguments = variables, .name = *uri}, observer);
  }

  Outcome answer_list(const mcp::Call& call, json::Slice params) {
    if (call.method == "completion/complete" && registry_.has_completers()) {
      return registry_.complete(params, call.caller->principal);
    }
    const std::string* list = nullptr;
    if (call.method == "tools/list" && !registry_.tools.empty()) list = &registry_.tools_list();
    const bool resources = !registry_.resources.empty() || !registry_.templates.empty();
    if (call.method == "resources/list" && resources) list = &registry_.resources_list();
    if (call.method == "resources/templates/list" && resources) list = &registry_.templates_list();
    if (call.method == "prompts/list" && !registry_.prompts.empty()) list = &registry_.prompts_list();
    if (list == nullptr) {
      return Outcome::failure(mcp::code::method_not_found, fmt::format("Method not found: {}", call.method));
    }
    if (params.find("cursor").exists()) return invalid("Unknown cursor: lists of this server have one page.");
    return Outcome::success(*list);
  }

  std::unique_ptr<mcp::ActiveCall> invoke(const mcp::Call& call, const detail::Registry::Found& found,
                                          const detail::HandlerInput& input, mcp::CallObserver& observer) {
    if (found.handler->answer) return answer(call, *found.handler, input, observer);
    return begin(call, found, input, observer);
  }

  std::unique_ptr<mcp::ActiveCall> answer(const mcp::Call& call, const detail::Handler& handler,
                                          const detail::HandlerInput& input, mcp::CallObserver& observer) {
    DirectCall link(call, observer, world_.identity, clock_);
    Call context(link);
    Outcome outcome;
    try {
      outcome = handler.answer(input, context);
    } catch (const std::exception& error) {
      outcome = threw(call, input, error.what());
    } catch (...) {
      outcome = threw(call, input, "an exception of unknown type");
    }
    return refuse(observer, std::move(outcome));
  }

  std::unique_ptr<mcp::ActiveCall> begin(const mcp::Call& call, const detail::Registry::Found& found,
                                         const detail::HandlerInput& input, mcp::CallObserver& observer) {
    if (live_.size() >= calls_max) {
      const std::string message = fmt::format("The server is busy with {} calls; try again.", live_.size());
      return refuse(observer, Outcome::failure(mcp::code::server_error, message, R"({"retryAfter":1})"));
    }
    const std::uint64_t id = ++last_id_;
    auto invocation = std::make_unique<Invocation>(id, world_, call, observer);
    detail::Begun begun;
    try {
      begun = found.handler->begin(input, invocation->call());
    } catch (const std::exception& error) {
      begun = threw(call, input, error.what());
    } catch (...) {
      begun = threw(call, input, "an exception of unknown type");
    }
    if (auto* const outcome = std::get_if<Outcome>(&begun)) return refuse(observer, std::move(*outcome));
    if (!reaping_) scope_.spawn(reap());
    reaping_ = true;
    Invocation& running = *invocation;
    live_.emplace(id, std::move(invocation));
    return running.run(std::get<Task<Outcome>>(std::move(begun)), found.owner);
  }

  std::unique_ptr<mcp::ActiveCall> resume(const mcp::Call& call, mcp::CallObserver& observer) {
    Invocation* parked = nullptr;
    std::uint64_t id = 0;
    const std::string_view digits = call.request_state.substr(0, call.request_state.find('.'));
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    const auto place = error == std::errc() ? live_.find(id) : live_.end();
    if (place != live_.end()) parked = place->second.get();
    const bool resumes = parked != nullptr && parked->state() == Invocation::State::parked &&
                         parked->key() == call.request_state && parked->method() == call.method;
    if (resumes) return parked->resume(call, observer);
    return refuse(observer, Outcome::failure(mcp::undeliverable_answer()));
  }

  /// Answers at once.
  static std::unique_ptr<mcp::ActiveCall> refuse(mcp::CallObserver& observer, Outcome outcome) {
    observer.on_outcome(std::move(outcome));
    return std::make_unique<mcp::ActiveCall>();
  }

  Outcome threw(const mcp::Call& call, const detail::HandlerInput& input, std::string_view what) {
    log_.warning("handler_threw", {{"method", call.method}, {"name", input.name}, {"what", what}});
    const std::string message = fmt::format("{} failed: {}", input.name, what);
    if (call.method == "tools/call") return detail::finish_tool(ToolResult::error(message));
    return Outcome::failure(mcp::code::internal_error, message);
  }

  std::size_t running() const {
    std::size_t count = 0;
    for (const auto& [id, invocation] : live_) {
      if (invocation->state() == Invocation::State::running) ++count;
    }
    return count;
  }

  /// The invocation may be on the stack below, so it is destroyed later, by the reaper.
  void retire(std::uint64_t id) {
    const auto place = live_.find(id);
    if (place == live_.end()) return;
    ++unwinding_;
    ended_.push(std::move(place->second));
    live_.erase(place);
    idle_.notify();
  }

  Task<void> reap() {
    while (true) {
      std::unique_ptr<Invocation> invocation = co_await ended_.pop();
      co_await invocation->join();
      invocation.reset();
      --unwinding_;
      idle_.notify();
    }
  }

  detail::Registry& registry_;
  Clock& clock_;
  Log& log_;
  InvocationWorld world_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Invocation>> live_;
  std::uint64_t last_id_ = 0;
  std::size_t unwinding_ = 0;  ///< ended, not yet reaped
  bool reaping_ = false;
  bool draining_ = false;
  Queue<std::unique_ptr<Invocation>> ended_;
  Signal idle_;
  TaskScope scope_;
};

}  // namespace

std::unique_ptr<ServerHost> make_native_host(Server& server, ChangeSink& changes,
                                             const TaskIdentity& identity, Clock& clock, Log& log,
                                             const model::ServerSpec& spec) {
  return std::make_unique<NativeHost>(server, changes, identity, clock, log, spec);
}

}  // namespace berth::task
