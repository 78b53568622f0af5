#include "task/runtime/session_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "codec/json.h"
#include "storage/files.h"
#include "task/runtime/member.h"

namespace berth::task {

namespace {

using Standing = SessionRecords::Standing;

constexpr std::size_t ended_keys_max = 1000;   ///< a file
constexpr std::uint64_t ended_files_max = 64;  ///< a life
constexpr std::size_t ended_bytes_max = 128 * 1024;
constexpr std::size_t heir_bytes_max = 4096;
constexpr std::size_t kept_bytes_max = 1u << 20;
constexpr std::size_t beats_per_clearing = 60;
constexpr std::string_view heir_extension = ".heir";

/// Of the folder with that name; nullopt: it is none of a life's.
std::optional<std::uint64_t> parse_life(std::string_view name) {
  const auto generation = read_generation(name);
  return generation && name == write_generation(*generation) ? generation : std::nullopt;
}

std::optional<TaskIdentity> read_heir(const std::string& path) {
  const auto text = storage::read_file(path, heir_bytes_max);
  if (!text) return std::nullopt;
  const auto parsed = json::parse(*text);
  if (!parsed) return std::nullopt;
  const auto member = parse_member(*parsed);
  if (!member) return std::nullopt;
  return TaskIdentity{member->id, member->zone, member->generation, member->address};
}

/// Two heartbeats may be missed before a life counts as gone.
constexpr Duration grace = 2 * SessionFolder::beat_interval;

}  // namespace

SessionFolder::SessionFolder(Options options, Clock& clock, Log& log)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      lives_(options_.data_directory + "/fleet/lives"),
      own_(folder_of(options_.self.generation)) {}

Result<std::unique_ptr<SessionFolder>> SessionFolder::open(Options options, Clock& clock, Log& log) {
  std::unique_ptr<SessionFolder> folder(new SessionFolder(std::move(options), clock, log));
  auto made = storage::make_directories(folder->own_);
  if (!made) return Failure(made.error());
  folder->beat();
  return folder;
}

std::string SessionFolder::folder_of(std::uint64_t generation) const {
  return lives_ + "/" + write_generation(generation);
}

std::string SessionFolder::heir_file(const std::string& session, std::uint64_t generation) const {
  return folder_of(generation) + "/" + session + std::string(heir_extension);
}

Duration SessionFolder::silence_of(std::uint64_t generation) const {
  const auto text = storage::read_file(folder_of(generation) + "/seen", 64);
  std::int64_t seen_ms = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), seen_ms).ec != std::errc{})
    return Duration::max();
  return std::chrono::milliseconds(to_unix_ms(clock_.wall()) - seen_ms);
}

bool SessionFolder::is_gone_for_good(std::uint64_t generation) const {
  return silence_of(generation) > options_.session_idle_timeout + grace;
}

bool SessionFolder::has_ended(const std::string& session, std::uint64_t generation) const {
  if (generation == options_.self.generation && std::ranges::find(ended_, session) != ended_.end())
    return true;
  const std::string folder = folder_of(generation);
  const auto names = storage::list_names(folder);
  if (!names) return true;
  return std::ranges::any_of(*names, [&](const std::string& name) {
    if (!name.starts_with("ended.")) return false;
    const auto text = storage::read_file(folder + "/" + name, ended_bytes_max);
    return text && text->find(session) != std::string::npos;
  });
}

SessionRecords::Succession SessionFolder::look(const std::string& session, std::uint64_t generation) {
  if (auto heir = read_heir(heir_file(session, generation))) return {Standing::taken, std::move(*heir)};
  if (generation != options_.self.generation && is_gone_for_good(generation)) return {Standing::over, {}};
  return {has_ended(session, generation) ? Standing::over : Standing::open, {}};
}

SessionRecords::Succession SessionFolder::claim(const std::string& session, std::uint64_t generation) {
  Succession found = look(session, generation);
  if (found.standing != Standing::open) return found;
  const TaskIdentity& self = options_.self;
  const std::string text =
      to_json(Member{self.id, self.peer_address, self.generation, self.zone, {}, 0, 0}) + "\n";
  const std::string folder = folder_of(generation);
  const std::string name = heir_file(session, generation);
  const auto written = storage::write_temporary(folder, text, {});
  if (!written) {
    log_.error("session_not_claimed", {{"problem", written.error().message()}});
    return {Standing::unavailable, {}};
  }
  auto linked = storage::link_exclusively(*written, name);
  if (!linked && !read_heir(name) && silence_of(generation) > grace) {
    // The life ended while it confirmed the session.
    storage::remove_quietly(name);
    linked = storage::link_exclusively(*written, name);
  }
  storage::remove_quietly(*written);
  if (linked) return {Standing::taken, self};
  // Who was faster has written its name before it linked it.
  if (auto heir = read_heir(name)) return {Standing::taken, std::move(*heir)};
  log_.error("session_not_claimed", {{"problem", linked.error().message()}});
  return {Standing::unavailable, {}};
}

/// Looking is not enough: "there is no such file" may be a minute old on NFS. Linking asks the server, and
/// while the link is there, nobody can claim.
SessionRecords::Succession SessionFolder::confirm(const std::string& session) {
  const std::string name = heir_file(session, options_.self.generation);
  const auto linked = storage::link_exclusively(own_ + "/seen", name);
  if (linked) {
    storage::remove_quietly(name);
    return {Standing::open, {}};
  }
  if (auto heir = read_heir(name)) return {Standing::taken, std::move(*heir)};
  return {Standing::unavailable, {}};
}

void SessionFolder::write(const std::string& name, std::string_view text) {
  const auto temporary = storage::write_temporary(own_, text, {});
  Result<void> done;
  if (!temporary) {
    done = Failure(temporary.error());
  } else {
    done = storage::replace(*temporary, own_ + "/" + name);
    if (!done) storage::remove_quietly(*temporary);
  }
  if (!done && !failed_) log_.error("session_record_not_written", {{"problem", done.error().message()}});
  failed_ = !done;
}

void SessionFolder::end(const std::string& session) {
  if (kept_.erase(session) > 0) storage::remove_quietly(own_ + "/" + session + ".kept");
  ended_.push_back(session);
  ended_changed_ = true;
  if (ended_.size() < ended_keys_max) return;
  flush();
  ended_.clear();
  ++ended_file_;
  if (ended_file_ >= ended_files_max)
    storage::remove_quietly(fmt::format("{}/ended.{}", own_, ended_file_ - ended_files_max));
}

void SessionFolder::flush() {
  if (!std::exchange(ended_changed_, false)) return;
  write(fmt::format("ended.{}", ended_file_), fmt::format("{}\n", fmt::join(ended_, "\n")));
}

void SessionFolder::keep(const std::string& session, std::string_view text) {
  kept_.insert(session);
  write(session + ".kept", text);
}

std::string SessionFolder::kept(const std::string& session, std::uint64_t generation) {
  return storage::read_file(folder_of(generation) + "/" + session + ".kept", kept_bytes_max).value_or("");
}

void SessionFolder::beat() {
  write("seen", std::to_string(to_unix_ms(clock_.wall())));
  if (beats_++ % beats_per_clearing == 0) clear_away();
}

void SessionFolder::clear_away() const {
  const auto lives = storage::list_names(lives_);
  if (!lives) return;
  for (const std::string& life : *lives) {
    const auto generation = parse_life(life);
    if (!generation || *generation == options_.self.generation || !is_gone_for_good(*generation)) continue;
    const std::string folder = lives_ + "/" + life;
    const std::string seen = folder + "/seen";
    // A life that begins has a folder before it has been seen.
    if (!storage::read_head(seen, 1)) continue;
    const auto names = storage::list_names(folder);
    if (!names) continue;
    bool has_heirs = false;
    for (const std::string& name : *names) {
      const std::string path = folder + "/" + name;
      if (path == seen) continue;
      const auto heir = name.ends_with(heir_extension) ? read_heir(path) : std::nullopt;
      const bool is_needed = heir && !is_gone_for_good(heir->generation);
      has_heirs = has_heirs || is_needed;
      if (!is_needed) storage::remove_quietly(path);
    }
    if (has_heirs) continue;
    storage::remove_quietly(seen);
    storage::remove_folder(folder);
  }
}

}  // namespace berth::task
