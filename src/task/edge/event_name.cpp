#include "task/edge/event_name.h"

#include <fmt/format.h>

#include <charconv>

namespace berth::task::edge {
namespace {

/// Takes a number and the space after it off `text`; false: there is none.
bool take_number(std::string_view& text, std::uint64_t& number) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto digits = static_cast<std::size_t>(read.ptr - text.data());
  if (read.ec != std::errc{} || digits == text.size() || text[digits] != ' ') return false;
  text.remove_prefix(digits + 1);
  return true;
}

}  // namespace

std::string write_event_id(const Shared& shared, const Session& session, const EventStream& stream,
                           std::uint64_t sequence) {
  // The session's id leads to its task, so that the event's need not.
  mcp::Handle handle;
  handle.kind = mcp::HandleKind::event;
  handle.generation = shared.world.identity.generation;
  handle.principal = session.caller->principal;
  handle.digest = session.key;
  handle.local = fmt::format("{} {} {}", stream.number(), sequence, stream.requests());
  return shared.world.sealer.seal(handle);
}

std::optional<EventName> read_event_id(const Shared& shared, const Session& session, std::string_view id) {
  const auto handle =
      shared.world.sealer.open(mcp::HandleKind::event, id, session.caller->principal, shared.wall());
  if (!handle || handle->digest != session.key) return std::nullopt;
  EventName name;
  name.life = handle->generation;
  std::string_view rest = handle->local;
  if (!take_number(rest, name.stream) || !take_number(rest, name.sequence)) return std::nullopt;
  name.requests = rest;
  return name;
}

}  // namespace berth::task::edge
