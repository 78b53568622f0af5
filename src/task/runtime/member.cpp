#include "task/runtime/member.h"

#include <fmt/format.h>

#include <charconv>

#include "base/log.h"

namespace berth::task {

namespace {
constexpr std::size_t id_bytes_max = 64;

}  // namespace

std::string write_generation(std::uint64_t generation) { return fmt::format("{:016x}", generation); }

std::optional<std::uint64_t> read_generation(std::string_view text) {
  std::uint64_t generation = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, generation, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return generation;
}

std::string to_json(const Member& member) {
  return fmt::format(R"({{"id":{},"address":{},"generation":"{}","zone":{},"version":{},"heartbeat":{},)"
                     R"("whole":"{:016x}"}})",
                     json_quote(member.id), json_quote(member.address), write_generation(member.generation),
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
  const auto life = read_generation(*generation);
  if (!life) return fail(ErrorCode::invalid_argument, "A fleet member's generation must be hexadecimal.");
  member.generation = *life;
  // Absent where an older program runs; written in the same way.
  member.whole = read_generation(text("whole").value_or("")).value_or(0);
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
