#include "task/native/stdio_server.h"

#include <fmt/format.h>

#include <array>
#include <set>

#include "base/random.h"
#include "berth/server.h"
#include "mcp/classify.h"
#include "mcp/legacy.h"
#include "mcp/modern.h"
#include "task/native/native_host.h"
#include "task/native/registry.h"
#include "task/native/stdio_call.h"

namespace berth::task {

namespace {

/// Messages the client may leave unread before nothing more is read from it.
constexpr std::size_t unread_messages_max = 1'024;
constexpr std::size_t stdio_calls_max = 1'024;
constexpr std::size_t watched_max = 1'024;

class Front final : public StdioServer, public ChangeSink {
 public:
  Front(Server& server, net::Stream& input, net::Stream& output, Clock& clock, Log& log,
        const model::ServerSpec& spec, Duration grace)
      : registry_(server.registry()),
        input_(input),
        output_(output),
        clock_(clock),
        message_bytes_max_(spec.message_bytes_max),
        grace_(grace),
        host_(make_native_host(server, *this, identity_, clock, log, spec)),
        calls_world_{
            .host = *host_,
            .server_info = registry_.server_info(),
            .send = [this](std::string message) { send(std::move(message)); },
            .ask = [this](const std::string& id, const mcp::InputRequest& request) { ask(id, request); },
            .ended = [this](const std::string& id) { retire(id); }},
        outbox_(clock.executor()),
        changed_(clock.executor()),
        scope_(clock.executor()) {}

  Task<Result<void>> serve() override {
    scope_.spawn(write_messages());
    const Result<void> read = co_await read_messages();
    const auto timer = clock_.make_timer();
    const TimePoint deadline = clock_.now() + grace_;
    timer->arm(deadline, [this] { changed_.notify(); });
    while (busy() && !broken_ && clock_.now() < deadline) co_await changed_.wait();
    calls_.clear();
    ended_.clear();
    for (const auto& [id, filter] : listens_) send(mcp::listen_complete(id));
    co_await host_->drain(clock_.now());
    send({});
    while (!written_ && !broken_ && clock_.now() < deadline) co_await changed_.wait();
    scope_.cancel();
    co_await scope_.join();
    co_return broken_ ? Result<void>(Failure(*broken_)) : read;
  }

  void stop() override {
    stopping_ = true;
    input_.close();
  }

  void on_change(const mcp::Change& change) override {
    if (legacy_) {
      const bool wanted = change.kind != mcp::Change::Kind::resource_updated || watched_.contains(change.uri);
      if (wanted) send(mcp::legacy_notification(change));
    }
    for (const auto& [id, filter] : listens_) {
      if (filter.wants(change)) send(mcp::listen_notification(change, id));
    }
  }

 private:
  /// Calls the client still waits for; those that wait for the client can no longer be answered.
  bool busy() const {
    std::set<std::string_view> asking;
    for (const auto& [question, asked] : questions_) asking.insert(asked.first);
    return calls_.size() > asking.size();
  }

  Task<Result<void>> read_messages() {
    std::string buffer;
    std::array<char, 16 * 1024> chunk{};
    while (!stopping_ && !broken_) {
      const auto count = co_await input_.read_some(chunk);
      if (stopping_ || broken_ || (count && *count == 0)) break;
      if (!count) co_return Failure(count.error().within("reading stdin"));
      buffer.append(chunk.data(), *count);
      std::size_t start = 0;
      for (std::size_t end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n', start)) {
        take_line(std::string_view(buffer).substr(start, end - start));
        ended_.clear();
        start = end + 1;
      }
      buffer.erase(0, start);
      if (buffer.size() > message_bytes_max_) {
        co_return fail(ErrorCode::resource_exhausted,
                       fmt::format("The client sent a message of more than {} bytes.", message_bytes_max_));
      }
      while (outbox_.size() > unread_messages_max && !broken_) co_await changed_.wait();
    }
    take_line(buffer);
    co_return Result<void>{};
  }

  Task<void> write_messages() {
    while (true) {
      const std::string message = co_await outbox_.pop();
      if (message.empty()) break;
      const auto written = co_await output_.write(message, "\n");
      if (!written) {
        broken_ = written.error().within("writing stdout");
        input_.close();
      }
      changed_.notify();
      if (!written) co_return;
    }
    written_ = true;
    changed_.notify();
  }

  void send(std::string message) { outbox_.push(std::move(message)); }
  void refuse(std::string_view id, const mcp::RpcError& error) { send(mcp::write_error(id, error)); }
  void refuse(std::string_view id, int code, std::string message) {
    refuse(id, mcp::RpcError{.code = code, .message = std::move(message), .data = {}});
  }

  void take_line(std::string_view line) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
    const auto value = json::parse(line);
    if (!value) return refuse({}, mcp::parse_error(value.error()));
    const auto message = mcp::read_message(*value);
    if (!message) return refuse(message.error().id, message.error().error);
    switch (message->kind) {
      case mcp::Message::Kind::request: return take_request(*message);
      case mcp::Message::Kind::notification: return take_notification(*message);
      case mcp::Message::Kind::response: return take_response(*message);
    }
  }

  void take_request(const mcp::Message& message) {
    const std::string id(message.id);
    if (calls_.contains(id) || listens_.contains(id)) {
      return refuse(id, mcp::code::invalid_request, "A request with this id is still under way.");
    }
    const auto parts = mcp::split_params(message.params);
    const auto era = mcp::classify(message, parts, {});
    if (!era) return refuse(id, era.error().error);
    if (*era == mcp::Era::legacy) return take_legacy(message);
    // On stdio there are no headers; the ladder sees those that an HTTP client would have sent.
    const std::string version = parts.protocol_version.as_string().value_or("");
    const std::string name = (parts.name.exists() ? parts.name : parts.uri).as_string().value_or("");
    const std::string encoded = mcp::encode_header_value(name);
    mcp::McpHeaders headers;
    headers.protocol_version = version;
    headers.method = message.method;
    headers.name = encoded;
    const auto request = mcp::read_modern_request(message, parts, headers);
    if (!request) return refuse(id, request.error().error);
    take_modern(message, *request);
  }

  void take_modern(const mcp::Message& message, const mcp::ModernRequest& request) {
    if (message.known == mcp::Method::discover) {
      return send(mcp::write_result(message.id, mcp::discover_result(describe())));
    }
    if (message.known == mcp::Method::listen) return listen(message);
    mcp::Caller caller{.principal = "local"};
    caller.capabilities = request.capabilities;
    caller.client_info = request.client_info;
    start(std::move(caller), message, std::nullopt);
  }

  void listen(const mcp::Message& message) {
    const auto asked = mcp::read_listen_filter(message.params, watched_max);
    if (!asked) return refuse(message.id, asked.error());
    const auto filter = mcp::honoured(*asked, registry_.capabilities());
    send(mcp::listen_acknowledged(filter, message.id));
    listens_.emplace(std::string(message.id), filter);
  }

  void take_legacy(const mcp::Message& message) {
    using mcp::Method;
    switch (message.known) {
      case Method::initialize: return initialize(message);
      case Method::ping: return send(mcp::write_result(message.id, "{}"));
      case Method::logging_set_level: return set_level(message);
      case Method::resources_subscribe:
      case Method::resources_unsubscribe: return watch(message);
      case Method::discover:
      case Method::listen:
        return refuse(
            message.id, mcp::code::method_not_found,
            fmt::format("Method not found: {} needs the _meta of revision 2026-07-28.", message.method));
      default: break;
    }
    start(legacy_caller_, message, log_level_);
  }

  void initialize(const mcp::Message& message) {
    const auto request = mcp::read_initialize(message.params);
    if (!request) return refuse(message.id, request.error());
    legacy_ = true;
    legacy_caller_.protocol_version = request->version;
    legacy_caller_.capabilities = request->capabilities;
    legacy_caller_.client_info = request->client_info;
    send(mcp::write_result(message.id, mcp::initialize_result(request->version, describe(), "server")));
  }

  void set_level(const mcp::Message& message) {
    const auto level = mcp::parse_logging_level(message.params.find("level").as_string().value_or(""));
    if (!level) {
      return refuse(
          message.id, mcp::code::invalid_params,
          "logging/setLevel needs params.level: debug, info, notice, warning, error, critical, alert or "
          "emergency.");
    }
    log_level_ = *level;
    send(mcp::write_result(message.id, "{}"));
  }

  void watch(const mcp::Message& message) {
    const auto uri = message.params.find("uri").as_string();
    if (!uri || watched_.size() >= watched_max) {
      return refuse(
          message.id, mcp::code::invalid_params,
          fmt::format("{} needs params.uri, and at most {} are watched.", message.method, watched_max));
    }
    if (message.known == mcp::Method::resources_subscribe) {
      watched_.insert(*uri);
    } else {
      watched_.erase(*uri);
    }
    send(mcp::write_result(message.id, "{}"));
  }

  void start(mcp::Caller caller, const mcp::Message& message, std::optional<mcp::LoggingLevel> level) {
    if (calls_.size() >= stdio_calls_max) {
      return refuse(message.id, mcp::code::server_error,
                    fmt::format("{} calls are under way.", stdio_calls_max));
    }
    auto call = std::make_unique<StdioCall>(calls_world_, std::move(caller), message, level);
    StdioCall& started = *call;
    calls_.emplace(std::string(message.id), std::move(call));
    started.start();
  }

  void take_notification(const mcp::Message& message) {
    if (message.known == mcp::Method::roots_list_changed) {
      return host_->notify(legacy_caller_, message.method, message.params.text());
    }
    if (message.known != mcp::Method::cancelled) return;
    const std::string id(message.params.find("requestId").text());
    listens_.erase(id);
    retire(id);
  }

  void ask(const std::string& id, const mcp::InputRequest& request) {
    const std::string question = json_quote(fmt::format("berth-{}", ++last_question_));
    questions_[question] = {id, request.key};
    const std::string params =
        mcp::legacy_input_params(request, legacy_caller_.protocol_version, random_hex(16));
    send(mcp::write_request(question, request.method, params));
  }

  void take_response(const mcp::Message& message) {
    const auto question = questions_.find(std::string(message.id));
    if (question == questions_.end()) return;
    const auto [id, key] = std::move(question->second);
    questions_.erase(question);
    const auto call = calls_.find(id);
    if (call == calls_.end()) return;
    std::string response = message.error.exists() ? fmt::format(R"({{"error":{}}})", message.error.text())
                                                  : std::string(message.result.text());
    call->second->answer(key, std::move(response));
  }

  /// The call may be on the stack below: it is destroyed after the line that is being taken.
  void retire(const std::string& id) {
    const auto place = calls_.find(id);
    if (place == calls_.end()) return;
    std::erase_if(questions_, [&id](const auto& item) { return item.second.first == id; });
    ended_.push_back(std::move(place->second));
    calls_.erase(place);
    changed_.notify();
  }

  mcp::ServerDescription describe() const {
    mcp::ServerDescription description;
    description.era = mcp::Era::modern;
    description.capabilities = registry_.capabilities();
    description.server_info = registry_.server_info();
    description.instructions = registry_.instructions;
    return description;
  }

  detail::Registry& registry_;
  net::Stream& input_;
  net::Stream& output_;
  Clock& clock_;
  const std::size_t message_bytes_max_;
  const Duration grace_;
  const TaskIdentity identity_{.id = "stdio", .zone = "", .generation = 0, .peer_address = ""};
  std::unique_ptr<ServerHost> host_;
  StdioCallWorld calls_world_;
  bool legacy_ = false;
  bool stopping_ = false;
  bool written_ = false;
  std::optional<Error> broken_;
  mcp::Caller legacy_caller_{.principal = "local", .session = "stdio", .era = mcp::Era::legacy};
  /// What is logged before the client says; servers decide (2025-11-25, server/utilities/logging).
  mcp::LoggingLevel log_level_ = mcp::LoggingLevel::info;
  std::set<std::string> watched_;
  std::map<std::string, mcp::ListenFilter> listens_;
  std::map<std::string, std::unique_ptr<StdioCall>> calls_;
  std::vector<std::unique_ptr<StdioCall>> ended_;
  std::map<std::string, std::pair<std::string, std::string>> questions_;  ///< id → call and key
  std::uint64_t last_question_ = 0;
  Queue<std::string> outbox_;
  Signal changed_;
  TaskScope scope_;
};

}  // namespace

std::unique_ptr<StdioServer> make_stdio_server(Server& server, net::Stream& input, net::Stream& output,
                                               Clock& clock, Log& log, const model::ServerSpec& spec,
                                               Duration grace) {
  return std::make_unique<Front>(server, input, output, clock, log, spec, grace);
}

}  // namespace berth::task
