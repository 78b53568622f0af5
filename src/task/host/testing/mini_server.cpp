// A legacy MCP server over stdio that costs next to nothing: tests and benchmarks of the layers in front of
// it.
//
//   tools/call echo {message}   the message, as server-everything answers it
//   tools/call hang             never answers
//   tools/call die              exits with code 3 after a word on stderr
//   tools/call spawn            leaves a grandchild behind that holds the pipes
//   MINI_SERVER_START_MS        waits so long before it reads
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

std::string out;

/// The JSON text behind `"key":` at its first appearance; enough for what well-formed clients send.
std::string_view value_of(std::string_view line, std::string_view key) {
  const std::string quoted = "\"" + std::string(key) + "\":";
  const std::size_t at = line.find(quoted);
  if (at == std::string_view::npos) return {};
  std::string_view rest = line.substr(at + quoted.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  if (!rest.empty() && rest.front() == '"') {
    std::size_t end = 1;
    while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
    return rest.substr(0, end + 1);
  }
  return rest.substr(0, rest.find_first_of(",}] "));
}

void answer(std::string_view id, std::string_view result) {
  out.append(R"({"jsonrpc":"2.0","id":)").append(id).append(R"(,"result":)").append(result).append("}\n");
}

void call_tool(std::string_view id, std::string_view line) {
  const std::string_view tool = value_of(line, "name");
  if (tool == "\"hang\"") return;
  if (tool == "\"die\"") {
    constexpr std::string_view word = "mini_server: told to die\n";
    if (::write(STDERR_FILENO, word.data(), word.size()) < 0) std::_Exit(4);
    std::_Exit(3);
  }
  if (tool == "\"spawn\"" && ::fork() == 0) {
    for (;;) ::pause();
  }
  const std::string_view message = value_of(line, "message");
  std::string result = R"({"content":[{"type":"text","text":"Echo: )";
  if (message.size() > 2) result += message.substr(1, message.size() - 2);
  answer(id, result + R"("}]})");
}

void take(std::string_view line) {
  const std::string_view id = value_of(line, "id");
  const std::string_view method = value_of(line, "method");
  if (id.empty()) return;
  if (method == "\"tools/call\"") return call_tool(id, line);
  if (method == "\"initialize\"") {
    return answer(id, R"({"protocolVersion":"2025-11-25","capabilities":{"tools":{}},)"
                      R"("serverInfo":{"name":"mini","version":"1"}})");
  }
  if (method == "\"tools/list\"") {
    return answer(id, R"({"tools":[{"name":"echo","inputSchema":{"type":"object","properties":)"
                      R"({"message":{"type":"string"}}}}]})");
  }
  if (method == "\"ping\"") return answer(id, "{}");
  out.append(R"({"jsonrpc":"2.0","id":)").append(id);
  out.append(R"(,"error":{"code":-32601,"message":"Method not found"}})").append("\n");
}

bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

int main() {
  if (const char* wait_ms = std::getenv("MINI_SERVER_START_MS")) {
    ::usleep(static_cast<useconds_t>(std::atoi(wait_ms)) * 1000);
  }
  std::string pending;
  static char buffer[64 * 1024];
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (count <= 0) return 0;
    pending.append(buffer, static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (std::size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
      take(std::string_view(pending).substr(begin, end - begin));
    }
    pending.erase(0, begin);
    if (!write_all(out)) return 1;
    out.clear();
  }
}
