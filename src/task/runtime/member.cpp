#include "task/runtime/member.h"

#include <fmt/format.h>

#include <charconv>

#include "base/log.h"

namespace berth::task {

namespace {
constexpr std::size_t id_bytes_max = 64;

bool read_hexadecimal(std::string_view text, std::uint64_t& out) {
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, out, 16);
  return parsed.ec == std::errc() && parsed.ptr == end;
}
}  // namespace

std::string to_json(const Member& member) {
  return fmt::format(R"({{"id":{},"address":{},"generation":"{:016x}","zone":{},"version":{},"heartbeat":{},)"
                     R"("whole":"{:016x}"}})",
                     json_quote(member.id), json_quote(member.address), member.generation,
                     json_quote(member.zone), json_quote(member.version), member.heartbeat_ms, member.whole);
}

Result<Member> parse_member(json::Slice object) {
  Member member;
  const auto text = [&](std::string_view key) { return object.find(key).as_string(); };
  const auto id = text("id");
  const auto address = text("address");
  const auto generation = text("generation");
  const auto heartbeat = object.find("heartbeat").as_int();
  if (!id || !is_member_id(*id) || !address || !generation || !heartbeat) {
    return fail(ErrorCode::invalid_argument,
                "A fleet member's record needs the members id, address, generation and heartbeat.");
  }
  if (!read_hexadecimal(*generation, member.generation)) {
    return fail(ErrorCode::invalid_argument, "A fleet member's generation must be hexadecimal.");
  }
  // Absent where an older program runs.
  const std::string whole = text("whole").value_or("");
  if (!read_hexadecimal(whole, member.whole)) member.whole = 0;
  member.id = *id;
  member.address = *address;
  member.zone = text("zone").value_or("");
  member.version = text("version").value_or("");
  member.heartbeat_ms = *heartbeat;
  return member;
}

bool is_member_id(std::string_view id) {
  if (id.empty() || id.size() > id_bytes_max || id.front() == '.') return false;
  for (const char byte : id) {
    const bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    if (!is_letter && !(byte >= '0' && byte <= '9') && byte != '_' && byte != '.' && byte != '-')
      return false;
  }
  return true;
}

}  // namespace berth::task
