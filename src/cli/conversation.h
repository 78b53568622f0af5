#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/control.h"
#include "cli/mcp_client.h"
#include "cli/options.h"
#include "cli/service_access.h"

/// How verbs speak with the servers of a running service: requests with questions in between, lists in pages.
namespace berth::cli {

/// One request whose result may have to be asked for in rounds.
struct Conversation {
  std::string method;
  std::string name;    ///< for Mcp-Name
  std::string params;  ///< members of the params object, without braces
  http::Headers headers;
  Duration timeout = std::chrono::seconds(300);
};
/// Requests until the result is complete: each round answers on the terminal what the server asked in the one
/// before.
Task<Result<std::string>> converse(Context& context, McpClient& client, Conversation conversation);

/// The results of a list method, page by page.
Task<Result<std::vector<std::string>>> list_pages(McpClient& client, std::string method);

/// A server that a verb asks, and a client of it.
struct Correspondent {
  std::string name;
  std::unique_ptr<McpClient> client;
};
/// Clients of the server of --server, of the only one, or of all of them.
enum class Which : unsigned char { one, all };
struct Correspondents {
  std::vector<Correspondent> servers;
  ExitCode code = ExitCode::ok;  ///< otherwise what was wrong has been said
};
Task<Correspondents> find_correspondents(Context& context, const Arguments& arguments, std::string_view verb,
                                         Which which);

/// Says what a server answered instead of a result.
ExitCode report_answer(Context& context, std::string_view verb, const Error& error);
/// That it knows no such method: it has no tools, prompts or resources.
bool is_unknown_method(const Error& error);

}  // namespace berth::cli
