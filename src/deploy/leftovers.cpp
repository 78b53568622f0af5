#include "deploy/leftovers.h"

#include <fmt/format.h>

#include <algorithm>

#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// An empty file system is metered as this many bytes (EFS user guide, "Metering").
constexpr std::uint64_t empty_file_system_bytes = 6144;

Task<aws::Reply<bool>> is_unused(aws::Client& client, Keepsake keepsake) {
  if (keepsake.kind == Keepsake::Kind::file_system)
    co_return keepsake.bytes && *keepsake.bytes <= empty_file_system_bytes;
  if (keepsake.kind != Keepsake::Kind::bucket) co_return false;
  const auto objects = co_await first_versions(client, keepsake.id);
  if (!objects) co_return std::unexpected(objects.error());
  co_return std::ranges::all_of(
      *objects, [](const ObjectVersion& object) { return object.key.ends_with("ELBAccessLogTestFile"); });
}

}  // namespace

Task<aws::Reply<std::vector<Keepsake>>> leftovers_of(aws::Client& client, std::string stack) {
  std::vector<Keepsake> out;
  json::object input{{"StackName", stack}};
  const auto events =
      co_await client.list("cloudformation", "DescribeStackEvents", std::move(input), "StackEvents");
  if (!events) {
    if (events.error().is("ValidationError")) co_return out;
    co_return std::unexpected(events.error());
  }
  for (const json::value& item : *events) {
    if (!item.is_object() || aws::text(item.get_object(), "ResourceStatus") != "DELETE_SKIPPED") continue;
    const json::object& event = item.get_object();
    add_keepsake(out, aws::text(event, "ResourceType"), aws::text(event, "PhysicalResourceId"));
  }
  co_return out;
}

Task<Result<std::vector<Keepsake>>> sweep(StackWorld world, std::vector<Keepsake> leftovers) {
  std::vector<Keepsake> rest;
  for (const Keepsake& keepsake : leftovers) {
    const auto found = co_await find_data(world.client, keepsake);
    if (!found) co_return Failure(explain_fault(found.error()));
    if (!*found) continue;
    const auto unused = co_await is_unused(world.client, **found);
    if (!unused) co_return Failure(explain_fault(unused.error()));
    if (!*unused) {
      world.progress.notice(
          fmt::format("The {} {} of the failed creation holds data and stays ({}); `berth "
                      "destroy --delete-data` deletes it too.",
                      to_string(keepsake.kind), keepsake.id, price_of(**found)));
      rest.push_back(**found);
      continue;
    }
    world.progress.notice(fmt::format("Deleting the {} {}, which the failed creation left empty.",
                                      to_string(keepsake.kind), keepsake.id));
    const auto removed = co_await remove_data(world.client, world.clock, keepsake);
    if (!removed) co_return Failure(explain_fault(removed.error()));
  }
  co_return rest;
}

}  // namespace berth::deploy
