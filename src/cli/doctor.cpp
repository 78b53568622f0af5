#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cli/all_verbs.h"
#include "cli/control.h"
#include "cli/files.h"
#include "cli/service_access.h"
#include "cli/status_view.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "model/addresses.h"

namespace berth::cli {
namespace {

constexpr Duration probe_timeout = std::chrono::seconds(5);
constexpr std::size_t checked_page_bytes_max = 64 * 1024;

/// One link of the chain from the client to the server.
struct Check {
  enum class State : unsigned char { good, bad, skipped };
  std::string name;
  State state = State::good;
  std::string detail;
  std::string remedy;
};

/// Walks the chain from the client's side. A link that is broken ends the walk where the next ones stand on
/// it.
class Doctor {
 public:
  Doctor(Context& context, const Arguments& arguments) : context_(context), arguments_(arguments) {}

  Task<std::vector<Check>> run() {
    Result<SpecLocation> location = find_spec(context_, arguments_.get("file"), Need::service);
    if (!location) {
      bad("spec", location.error().message(), "Write one with `berth init`.");
      co_return std::move(checks_);
    }
    check_spec(*location);
    Result<ServiceAccess> access = co_await find_service(context_, arguments_);
    if (!access) {
      bad("service", access.error().message(), "Start it with `berth up`, or `berth up -d`.");
      co_return std::move(checks_);
    }
    access_ = std::move(*access);
    good("service", fmt::format("{} runs as process {}", access_.status.service, access_.status.pid));
    for (const ServerAddress& server : access_.servers) {
      co_await check_front_door(server);
      break;
    }
    co_await check_tls();
    co_await check_tasks();
    check_key();
    co_await check_servers();
    co_return std::move(checks_);
  }

 private:
  void good(std::string name, std::string detail) {
    checks_.push_back({std::move(name), Check::State::good, std::move(detail), {}});
  }
  void bad(std::string name, std::string detail, std::string remedy) {
    checks_.push_back({std::move(name), Check::State::bad, std::move(detail), std::move(remedy)});
  }
  void skipped(std::string name, std::string detail) {
    checks_.push_back({std::move(name), Check::State::skipped, std::move(detail), {}});
  }

  void check_spec(const SpecLocation& location) {
    if (location.path.empty()) return skipped("spec", "the service was started from another file");
    Result<model::Spec> spec = load_spec(context_, location);
    if (spec) {
      spec_ = std::move(*spec);
      return good("spec", fmt::format("{} is valid", location.shown));
    }
    bad("spec", spec.error().message(), "Repair the lines named; `berth validate` checks again.");
  }

  /// GET of one page; the status and body.
  Task<Result<http::Response>> get(net::Endpoint endpoint, std::string host, std::string target,
                                   std::shared_ptr<net::TlsContext> tls) {
    http::ClientOptions options;
    options.endpoint = std::move(endpoint);
    options.host_header = host;
    options.tls = std::move(tls);
    options.tls_host_name = model::host_of(host);
    std::unique_ptr<http::Client> client = http::make_client(context_.network, options);
    http::ClientRequest request;
    request.target = std::move(target);
    request.deadline = context_.clock.now() + probe_timeout;
    Result<http::Response> response = co_await client->fetch(std::move(request), checked_page_bytes_max);
    co_return response;
  }

  Task<void> check_front_door(const ServerAddress& server) {
    if (server.http.empty()) co_return skipped("front door", "there is no HTTP listener");
    std::string authority = authority_of(server.http);
    Result<net::Endpoint> endpoint = net::parse_endpoint(authority);
    if (!endpoint) co_return bad("front door", endpoint.error().message(), "Check listener.address.");
    Result<http::Response> response = co_await get(*endpoint, authority, "/healthz", nullptr);
    if (!response) {
      bad("front door", fmt::format("{} does not answer: {}", authority, response.error().message()),
          "Something between this program and the port is in the way: a firewall, or another network "
          "namespace.");
      co_return;
    }
    good("front door", fmt::format("http://{} answers", authority));
  }

  Task<void> check_tls() {
    auto secure = std::ranges::find_if(access_.servers,
                                       [](const ServerAddress& server) { return !server.https.empty(); });
    if (secure == access_.servers.end()) co_return skipped("TLS", "there is no HTTPS listener");
    std::string authority = authority_of(secure->https);
    std::string port = authority.substr(authority.rfind(':') + 1);
    std::string host = authority.substr(0, authority.rfind(':'));
    Result<net::Endpoint> endpoint =
        net::parse_endpoint(fmt::format("{}:{}", host == "localhost" ? "127.0.0.1" : host, port));
    const std::string& ca = access_.ca_file;
    Result<std::string> certificate =
        ca.empty() ? Result<std::string>("") : read_file(ca, checked_page_bytes_max);
    if (!certificate)
      co_return bad("TLS", certificate.error().message(), "Restart the service; it makes the CA anew.");
    Result<std::shared_ptr<net::TlsContext>> tls = net::make_tls_client(*certificate);
    if (!endpoint || !tls)
      co_return bad("TLS", "the HTTPS address cannot be used", "Check listener.address.");
    Result<http::Response> response = co_await get(*endpoint, authority, "/healthz", *tls);
    if (!response) {
      bad("TLS", fmt::format("https://{}: {}", authority, response.error().message()),
          fmt::format("Trust the certificate of Berth's CA, {}, or name a certificate that clients trust in "
                      "listener.certificate_file.",
                      ca));
      co_return;
    }
    auto trusted = context_.environment.find("NODE_EXTRA_CA_CERTS");
    bool known = ca.empty() || (trusted != context_.environment.end() && trusted->second == ca);
    good("TLS",
         fmt::format("the certificate of https://{} is valid{}", authority,
                     known ? "" : fmt::format("; clients on Node trust it with NODE_EXTRA_CA_CERTS={}", ca)));
  }

  Task<void> check_tasks() {
    if (access_.status.tasks.empty()) bad("tasks", "no task is there", "`berth logs` says why.");
    for (const cluster::TaskStatus& task : access_.status.tasks) {
      std::string name = fmt::format("task {}", task.id);
      Result<net::Endpoint> endpoint = net::parse_endpoint(task.address);
      if (!endpoint) continue;
      Result<http::Response> lives = co_await get(*endpoint, task.address, "/healthz", nullptr);
      if (!lives || lives->status != 200) {
        std::string last =
            task.last_words.empty() ? "" : fmt::format(" Its last words: {}", task.last_words.back());
        bad(name,
            fmt::format("{} does not answer /healthz.{}{}{}", task.address, task.reason.empty() ? "" : " ",
                        task.reason, last),
            fmt::format("`berth logs --task {}` says what happened.", task.id));
        continue;
      }
      Result<http::Response> ready = co_await get(*endpoint, task.address, "/readyz", nullptr);
      if (!ready || ready->status != 200) {
        std::string why = ready ? ready->body : ready.error().message();
        if (ready && !task.reason.empty()) why = task.reason;
        bad(name, fmt::format("{} lives, but its server does not answer: {}", task.address, why),
            remedy_for(task));
        continue;
      }
      if (task.health != "healthy") {
        bad(name, fmt::format("{} is ready, but the front door holds it for {}", task.address, task.health),
            "Wait for the next health checks; listener.health_check says how often.");
        continue;
      }
      good(name, fmt::format("{} in zone {} is ready and gets requests", task.address, task.zone));
    }
  }

  /// By what the first silent server is: a command can be run by hand, a URL cannot.
  std::string remedy_for(const cluster::TaskStatus& task) const {
    const auto silent = std::ranges::find(task.servers, false, &cluster::ServerState::ready);
    const std::string name = silent != task.servers.end() ? silent->name
                             : spec_.servers.empty()      ? std::string()
                                                          : spec_.servers.front().name;
    return remedy_for(name, fmt::format("`berth logs --task {}` has what it wrote.", task.id));
  }

  std::string remedy_for(const std::string& name, const std::string& where) const {
    const auto server = std::ranges::find(spec_.servers, name, &model::ServerSpec::name);
    if (server != spec_.servers.end() && server->kind == model::ServerSpec::Kind::url) {
      return fmt::format(
          "See whether the upstream of `{}` runs, and whether its `url` and `headers` in the file "
          "are right; Berth goes on asking it.",
          server->name);
    }
    return "Run the server's command by itself to see whether it starts; " + where;
  }

  void check_key() {
    if (access_.keys.empty()) return skipped("key", "no key is asked for (loopback)");
    Result<Secret> key = read_key(access_.keys.front(), context_.environment);
    if (key) return good("key", fmt::format("the key \"{}\" can be read", access_.keys.front().principal));
    bad("key", key.error().message(),
        "Set it in the environment of this program too, or name another with --key.");
  }

  Task<void> check_servers() {
    for (const ServerAddress& server : access_.servers) {
      std::string name = fmt::format("server {}", server.name);
      Result<McpAddress> address = address_of(context_, access_, server, arguments_);
      if (!address) {
        skipped(name, "it cannot be asked without a key");
        continue;
      }
      std::string url = address->url;
      Result<std::unique_ptr<McpClient>> client = make_mcp_client(context_, std::move(*address), Asking::no);
      if (!client) continue;
      McpRequest request;
      request.method = "tools/list";
      request.timeout = std::chrono::seconds(30);
      Result<std::string> result = co_await (*client)->request(std::move(request));
      if (result) {
        good(name, fmt::format("{} lists its tools", url));
      } else {
        bad(name, fmt::format("tools/list at {}: {}", url, result.error().message()),
            remedy_for(server.name, "`berth logs -f` shows what it writes."));
      }
    }
  }

  static std::string authority_of(const std::string& url) {
    std::size_t start = url.find("://") + 3;
    return url.substr(start, url.find('/', start) - start);
  }

  Context& context_;
  const Arguments& arguments_;
  ServiceAccess access_;
  model::Spec spec_;  ///< of the file; empty where it cannot be read
  std::vector<Check> checks_;
};

/// By what the first broken link is about.
ExitCode code_of(const Check& broken) {
  if (broken.name == "spec") return ExitCode::invalid_spec;
  return broken.name == "service" ? ExitCode::not_running : ExitCode::unhealthy;
}

std::string as_json(const std::vector<Check>& checks) {
  constexpr std::string_view names[] = {"ok", "failed", "skipped"};
  std::string out;
  for (const Check& check : checks) {
    out += fmt::format("{}{{\"check\":{},\"state\":{},\"detail\":{},\"remedy\":{}}}", out.empty() ? "" : ",",
                       json_quote(check.name), json_quote(names[static_cast<std::size_t>(check.state)]),
                       json_quote(check.detail), json_quote(check.remedy));
  }
  return pretty_json(fmt::format("[{}]", out)) + "\n";
}

std::string as_text(const std::vector<Check>& checks, std::size_t columns, bool colour) {
  std::vector<std::vector<Cell>> rows;
  for (const Check& check : checks) {
    Cell mark{"✓", Paint::green};
    if (check.state == Check::State::bad) mark = {"✗", Paint::red};
    if (check.state == Check::State::skipped) mark = {"–", Paint::dim};
    rows.push_back({{mark.text + " " + check.name, mark.paint}, {printable(check.detail)}});
  }
  return table(rows, 0, colour, columns);
}

}  // namespace

Task<ExitCode> run_doctor(Context& context, const Arguments& arguments) {
  Doctor doctor(context, arguments);
  std::vector<Check> checks = co_await doctor.run();
  bool colour = context.terminal.colour();
  context.terminal.out(arguments.has("json") ? as_json(checks)
                                             : as_text(checks, context.terminal.columns(), colour));
  auto broken = std::ranges::find(checks, Check::State::bad, &Check::state);
  if (broken == checks.end()) {
    if (!arguments.has("json")) context.terminal.out("\nEvery link holds.\n");
    co_return ExitCode::ok;
  }
  if (!arguments.has("json")) {
    const std::string advice =
        fmt::format("\nThe first broken link is {}: {}\n", broken->name, printable(broken->remedy));
    context.terminal.out(fitted(context.terminal, advice));
  }
  co_return code_of(*broken);
}

}  // namespace berth::cli
