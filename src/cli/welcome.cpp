#include "cli/welcome.h"

#include <fmt/format.h>

#include "cli/connection.h"
#include "cli/text.h"

namespace berth::cli {

std::string welcome(const cluster::ServiceStatus& status, const std::vector<model::KeySpec>& keys,
                    const WelcomeHints& hints, bool colour) {
  std::vector<ServerAddress> servers = group_urls(status.urls);
  std::vector<std::vector<Cell>> rows;
  std::string lines;
  bool https = false;
  for (const ServerAddress& server : servers) {
    std::string name = servers.size() > 1 ? server.name : "MCP endpoint";
    if (!server.http.empty()) rows.push_back({{name}, {server.http, Paint::cyan}});
    if (!server.https.empty())
      rows.push_back({{server.http.empty() ? name : ""}, {server.https, Paint::cyan}});
    if (!server.outside.empty()) rows.push_back({{"  from elsewhere"}, {server.outside, Paint::cyan}});
    https = https || !server.https.empty();
    Connection connection{.name = server.name, .url = server.for_clients(), .key = {}};
    if (!keys.empty()) connection.key = keys.front();
    lines += fmt::format("  {}\n", paint(Paint::bold, claude_line(connection), colour));
  }
  std::string out = table(rows, 2, colour);
  if (https && !hints.ca_file.empty()) {
    out +=
        paint(Paint::dim,
              fmt::format("  https is trusted with  export NODE_EXTRA_CA_CERTS={}", hints.ca_file), colour) +
        "\n";
  }
  const auto verb = [&hints](std::string_view words) {
    return Cell{fmt::format("berth {}{}", words, hints.file_words), Paint::cyan};
  };
  out += fmt::format("\nConnect Claude Code (others: berth connect{}):\n{}\nTry next:\n", hints.file_words,
                     lines);
  std::vector<std::vector<Cell>> next{{verb("tools"), {"what the server offers"}}};
  if (!hints.example_call.empty())
    next.push_back({verb(hints.example_call), {"a call through the load balancer"}});
  next.push_back({verb("status"), {"tasks, health, restarts"}});
  next.push_back({verb("logs -f"), {"what tasks and servers write"}});
  next.push_back({verb(fmt::format("scale {}", status.desired + 2)), {"more tasks, now"}});
  return out + table(next, 2, colour);
}

}  // namespace berth::cli
