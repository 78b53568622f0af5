#include <fmt/format.h>

#include <array>

#include "base/random.h"
#include "cli/all_verbs.h"
#include "cli/connection.h"
#include "cli/control.h"
#include "cli/service_access.h"
#include "cli/text.h"
#include "model/nearest_name.h"

namespace berth::cli {
namespace {

constexpr std::array<std::string_view, 4> clients{"claude", "cursor", "vscode", "json"};

std::string claude_lines(const std::vector<Connection>& connections) {
  std::string out;
  for (const Connection& connection : connections) out += claude_line(connection) + "\n";
  return out;
}

std::string indented(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(text.find('\n', at), text.size());
    out += "  " + text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out;
}

/// For one client, whose name is drawn here.
std::vector<Connection> connections_of(const ServiceAccess& access, bool https) {
  std::vector<Connection> out;
  for (const ServerAddress& server : access.servers) {
    const bool secure = https && !server.https.empty();
    Connection connection{
        .name = server.name, .url = secure ? server.https : server.for_clients(), .key = {}};
    connection.client = random_hex(client_bytes);
    if (!access.keys.empty()) connection.key = access.keys.front();
    out.push_back(std::move(connection));
  }
  return out;
}

/// A client each has a name of its own, and so a home.
std::string all_clients(const ServiceAccess& access, bool https, bool colour) {
  auto title = [&](std::string_view text) { return paint(Paint::bold, text, colour) + "\n"; };
  const auto anew = [&] { return connections_of(access, https); };
  return title("Claude Code") + indented(claude_lines(anew())) + "\n" + title("Cursor, in .cursor/mcp.json") +
         indented(cursor_file(anew())) + "\n" + title("VS Code, in .vscode/mcp.json") +
         indented(vscode_file(anew())) + "\n" + title("Others, in .mcp.json") +
         indented(generic_file(anew()));
}

std::string text_for(const std::string& client, const std::vector<Connection>& connections) {
  if (client == "claude") return claude_lines(connections);
  if (client == "cursor") return cursor_file(connections);
  return client == "vscode" ? vscode_file(connections) : generic_file(connections);
}

}  // namespace

Task<ExitCode> run_connect(Context& context, const Arguments& arguments) {
  std::optional<std::string> client = arguments.get("client");
  if (client && std::ranges::find(clients, *client) == clients.end()) {
    std::optional<std::string> meant = model::nearest_name(*client, clients);
    context.terminal.err(fmt::format("berth connect: there is no client \"{}\"; {}\n", printable(*client),
                                     meant ? fmt::format("did you mean {}?", *meant)
                                           : fmt::format("the clients are {}.", fmt::join(clients, ", "))));
    co_return ExitCode::usage;
  }
  Result<ServiceAccess> access = co_await find_service(context, arguments);
  if (!access) co_return report(context, "connect", access.error(), cause_of(access.error()));
  const bool wants_https = arguments.has("https");
  const std::vector<Connection> connections = connections_of(*access, wants_https);
  if (arguments.has("json")) client = "json";
  context.terminal.out(client ? text_for(*client, connections)
                              : all_clients(*access, wants_https, context.terminal.colour()));
  bool https = !connections.empty() && connections.front().url.starts_with("https:");
  if (https && !access->ca_file.empty()) {
    context.terminal.err("\nThe certificate is trusted with one of these:\n");
    for (const security::TrustInstruction& trust : security::trust_instructions(access->ca_file)) {
      context.terminal.err(fmt::format("  # {}\n  {}\n", trust.client, trust.line));
    }
  }
  co_return ExitCode::ok;
}

}  // namespace berth::cli
