#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "base/check.h"
#include "base/testing/sim_clock.h"
#include "net/testing/memory_network.h"
#include "task/runtime/fleet_bus.h"
#include "task/runtime/membership.h"

namespace berth::task {
namespace {

/// A task without sisters, to which somebody sends what sisters send.
struct Receiver {
  asio::io_context loop;
  testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  PeerClients clients{*network, nullptr};
  TaskIdentity self;
  FleetBus bus{self, clients, clock, null_log()};
  std::shared_ptr<void> subscription =
      bus.subscribe("tools", "ann", [this](const mcp::Change&) { ++changes; });
  std::size_t changes = 0;
};

/// A greeting: {"self":MEMBER,"peers":[MEMBER…]}, or a record of the fleet's folder, which is a MEMBER.
void meet(const json::Slice& greeting) {
  const TimePoint now{};
  Membership membership("self", {});
  const auto learn = [&](const json::Slice& object, bool greets) {
    const auto member = parse_member(object);
    if (!member) return;
    const std::string written = to_json(*member);
    const auto parsed = json::parse(written);
    BERTH_CHECK(parsed.has_value(), written);
    const auto again = parse_member(*parsed);
    BERTH_CHECK(again && *again == *member, written);
    greets ? membership.on_hello(*member, now) : membership.on_record(*member, now);
  };
  learn(greeting, false);
  learn(greeting.find("self"), true);
  const json::Slice peers = greeting.find("peers");
  if (peers.is(json::Kind::array)) {
    peers.each_element([&](const json::Slice& peer) {
      learn(peer, false);
      return true;
    });
  }
  std::set<std::string> greeted;
  for (const Member& member : membership.plan(now).greet) {
    BERTH_CHECK(member.id != "self", member.id);
    BERTH_CHECK(greeted.insert(member.id).second, member.id);
  }
  for (const Member& member : membership.peers()) BERTH_CHECK(member.id != "self", member.id);
}

}  // namespace
}  // namespace berth::task

/// What a sister says of the fleet and of changes is refused or understood; a member that was understood is
/// written as the same member, and no task greets itself or another twice.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace berth;
  static task::Receiver& receiver = *new task::Receiver;
  const std::string body(reinterpret_cast<const char*>(data), size);
  if (const auto parsed = json::parse(body)) task::meet(*parsed);
  (void)receiver.bus.receive(body);
  (void)receiver.bus.interest().receive(body);
  return 0;
}
