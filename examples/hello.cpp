/// A whole MCP server. `hello` serves http://127.0.0.1:3000/mcp; `hello --stdio` is for clients that start
/// it.
#include "berth/berth.h"

struct Greeting {
  std::string name;
  int times = 1;

  static void annotate(berth::Notes<Greeting>& note) {
    note(&Greeting::name).description("Whom to greet.");
    note(&Greeting::times).description("How often.").range(1, 10).optional();
  }
};
BOOST_DESCRIBE_STRUCT(Greeting, (), (name, times))

int main(int argc, char** argv) {
  berth::Server server{"hello", "1.0"};
  server.tool<Greeting>("greet", "Greets somebody.", [](const Greeting& greeting) {
    std::string text;
    for (int i = 0; i < greeting.times; ++i) text += "Hello, " + greeting.name + "! ";
    return text;
  });
  return berth::run(server, argc, argv);
}
