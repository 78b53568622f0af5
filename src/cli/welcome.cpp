#include "cli/welcome.h"

#include <fmt/format.h>

#include "cli/connection.h"
#include "cli/text.h"

namespace berth::cli {

std::string welcome(const cluster::ServiceStatus& status, const std::vector<model::KeySpec>& keys,
                    const std::string& ca_file, std::string_view example_call, bool colour) {
  std::vector<ServerAddress> servers = group_urls(status.urls);
  std::vector<std::vector<Cell>> rows;
  std::string lines;
  bool https = false;
  for (const ServerAddress& server : servers) {
    std::string name = servers.size() > 1 ? server.name : "MCP endpoint";
    if (!server.http.empty()) rows.push_back({{name}, {server.http, Paint::cyan}});
    if (!server.https.empty())
      rows.push_back({{server.http.empty() ? name : ""}, {server.https, Paint::cyan}});
    https = https || !server.https.empty();
    Connection connection{
        .name = server.name, .url = server.http.empty() ? server.https : server.http, .key = {}};
    if (!keys.empty()) connection.key = keys.front();
    lines += fmt::format("  {}\n", paint(Paint::bold, claude_line(connection), colour));
  }
  std::string out = table(rows, 2, colour);
  if (https && !ca_file.empty()) {
    out += paint(Paint::dim, fmt::format("  https is trusted with  export NODE_EXTRA_CA_CERTS={}", ca_file),
                 colour) +
           "\n";
  }
  out += fmt::format("\nConnect Claude Code (others: berth connect):\n{}\nTry next:\n", lines);
  std::vector<std::vector<Cell>> next{{{"berth tools", Paint::cyan}, {"what the server offers"}}};
  if (!example_call.empty())
    next.push_back({{std::string(example_call), Paint::cyan}, {"a call through the load balancer"}});
  next.push_back({{"berth status", Paint::cyan}, {"tasks, health, restarts"}});
  next.push_back({{"berth logs -f", Paint::cyan}, {"what tasks and servers write"}});
  next.push_back({{fmt::format("berth scale {}", status.desired + 2), Paint::cyan}, {"more tasks, now"}});
  return out + table(next, 2, colour);
}

}  // namespace berth::cli
