#include "cluster/control_api.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <list>
#include <optional>
#include <string_view>

#include "base/log.h"
#include "base/signal.h"
#include "cluster/log_reader.h"
#include "codec/json.h"
#include "model/parse.h"

namespace berth::cluster {

namespace {

constexpr std::size_t body_bytes_max = 64 * 1024;
constexpr std::size_t spec_bytes_max = 4u << 20;
constexpr std::size_t lines_default = 50;
constexpr std::size_t lines_max = 100'000;
constexpr Duration follow_interval = std::chrono::milliseconds(100);

http::Response error_response(int status, std::string_view code, std::string_view message) {
  return http::json_response(
      status, fmt::format(R"({{"error":{},"message":{}}})", json_quote(code), json_quote(message)));
}

http::Response done(int status) { return http::json_response(status, R"({"ok":true})"); }

/// The value of `name` in a query of plain values.
std::optional<std::string_view> parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) == name) return pair.substr(std::min(equals + 1, pair.size()));
  }
  return std::nullopt;
}

std::size_t number_or(std::optional<std::string_view> text, std::size_t otherwise) {
  std::size_t value = otherwise;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

bool is_task_id(std::string_view text) {
  return !text.empty() && text.size() <= 9 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

class ControlApiImpl final : public ControlApi {
 public:
  ControlApiImpl(ControlApiOptions options, cluster::Service& service, Clock& clock)
      : options_(std::move(options)), service_(service), clock_(clock) {}

  Task<void> serve(http::Exchange& exchange) override {
    const std::string_view path = exchange.head().path();
    if (path == "/logs" && exchange.head().method == "GET") return serve_logs(exchange);
    if (path == "/scale" && exchange.head().method == "POST") return serve_scale(exchange);
    if (path == "/down" && exchange.head().method == "POST") return serve_down(exchange);
    if (path == "/differences" && exchange.head().method == "POST") return serve_differences(exchange);
    return answer(exchange, answer_to(exchange.head()));
  }

  void end_streams() override {
    ending_ = true;
    for (Signal* follower : followers_) follower->notify();
  }

 private:
  http::Response answer_to(const http::RequestHead& head) {
    const std::string_view path = head.path();
    const bool known = path == "/status" || path == "/metrics" || path == "/restart" || path == "/logs" ||
                       path == "/scale" || path == "/down" || path == "/differences";
    if (!known) {
      return error_response(404, "not_found",
                            fmt::format("The control API has no {}; it has /status, /scale, /restart, /down, "
                                        "/differences, /logs and /metrics.",
                                        path));
    }
    if (path == "/status" && head.method == "GET")
      return http::json_response(200, to_json(service_.status()));
    if (path == "/metrics" && head.method == "GET") return http::text_response(200, options_.metrics());
    if (path == "/restart" && head.method == "POST") {
      const auto restarted = service_.restart();
      if (restarted) return done(202);
      return error_response(400, to_string(restarted.error().code()), restarted.error().message());
    }
    return error_response(405, "invalid_argument", fmt::format("{} is not for {}.", head.method, path));
  }

  static Task<void> answer(http::Exchange& exchange, http::Response response) {
    // A failure means that the client has gone.
    [[maybe_unused]] const auto sent = co_await exchange.respond(std::move(response));
  }

  Task<void> serve_scale(http::Exchange& exchange) {
    const auto body = co_await exchange.read_body(body_bytes_max);
    http::Response response = scale(body ? std::string_view(*body) : std::string_view());
    co_await answer(exchange, std::move(response));
  }

  http::Response scale(std::string_view body) {
    const auto parsed = json::parse(body);
    const auto count = parsed ? parsed->find("count").as_int() : std::nullopt;
    if (!count || *count < 0) {
      return error_response(400, "invalid_argument", R"(The body must be {"count":N} with N from 0 up.)");
    }
    const auto scaled = service_.scale(static_cast<std::size_t>(*count));
    if (!scaled) return error_response(400, to_string(scaled.error().code()), scaled.error().message());
    return done(200);
  }

  Task<void> serve_differences(http::Exchange& exchange) {
    const auto body = co_await exchange.read_body(spec_bytes_max);
    http::Response response = differences(body ? *body : std::string());
    co_await answer(exchange, std::move(response));
  }

  http::Response differences(const std::string& text) {
    const model::SpecSource source{.text = text,
                                   .file = "the file",
                                   .directory = "/",
                                   .environment = {},
                                   .format = model::SpecSource::Format::berth_yaml};
    const auto spec = model::parse_spec(source);
    if (!spec) return error_response(400, to_string(spec.error().code()), spec.error().message());
    std::string keys;
    for (const std::string& key : service_.differing_keys(*spec))
      keys += (keys.empty() ? "" : ",") + json_quote(key);
    return http::json_response(200, fmt::format(R"({{"keys":[{}]}})", keys));
  }

  Task<void> serve_down(http::Exchange& exchange) {
    http::Response accepted = done(202);
    co_await answer(exchange, std::move(accepted));
    if (options_.down) options_.down();
  }

  Task<void> serve_logs(http::Exchange& exchange) {
    const std::string_view query = exchange.head().query();
    const std::string task(parameter(query, "task").value_or(""));
    const bool follow = parameter(query, "follow").has_value();
    const std::size_t lines = std::min(number_or(parameter(query, "lines"), lines_default), lines_max);
    const bool known =
        task.empty() || (is_task_id(task) && std::filesystem::exists(options_.paths.task_log(task)));
    if (!known) {
      http::Response missing = error_response(
          404, "not_found", fmt::format("There is no log of a task '{}'; see berth status.", task));
      co_await answer(exchange, std::move(missing));
      co_return;
    }
    LogReader reader(options_.paths.logs(), task);
    http::ResponseHead head;
    head.headers.set("Content-Type", "application/x-ndjson");
    auto sent = co_await exchange.begin(std::move(head));
    const std::string last = reader.last_lines(lines);
    if (sent && !last.empty()) sent = co_await exchange.write(last);
    if (sent && follow) co_await follow_logs(exchange, reader);
    [[maybe_unused]] const auto finished = co_await exchange.finish();
  }

  Task<void> follow_logs(http::Exchange& exchange, LogReader& reader) {
    struct Following {
      Following(std::list<Signal*>& f, Signal& w) : followers(f), place(f.insert(f.end(), &w)) {}
      ~Following() { followers.erase(place); }
      std::list<Signal*>& followers;
      std::list<Signal*>::iterator place;
    };
    Signal wake(clock_.executor());
    const Following following(followers_, wake);
    bool gone = false;
    exchange.on_disconnect([&gone, &wake] {
      gone = true;
      wake.notify();
    });
    const auto timer = clock_.make_timer();
    while (!gone && !ending_) {
      const std::string added = reader.added_lines();
      if (!added.empty()) {
        const auto sent = co_await exchange.write(added);
        if (!sent) break;
      }
      timer->arm(clock_.now() + follow_interval, [&wake] { wake.notify(); });
      co_await wake.wait();
    }
    exchange.on_disconnect(nullptr);
  }

  ControlApiOptions options_;
  cluster::Service& service_;
  Clock& clock_;
  std::list<Signal*> followers_;
  bool ending_ = false;
};

}  // namespace

std::unique_ptr<ControlApi> make_control_api(ControlApiOptions options, Service& service, Clock& clock) {
  return std::make_unique<ControlApiImpl>(std::move(options), service, clock);
}

}  // namespace berth::cluster
