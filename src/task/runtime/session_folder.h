#pragma once

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "task/session_records.h"

namespace berth::task {

/// SessionRecords as files on the shared volume, in a folder for each life: `fleet/lives/GENERATION/`
///   seen         when that life was there last, by its own clock, in milliseconds
///   ended.N      keys of sessions that ended in it; the newest files are kept
///   KEY.kept     what a session has changed
///   KEY.heir     which task has taken a session over; linked, so that one task alone can make it
/// The folder of a life goes when its sessions would have expired, but for the heirs whose lives are there:
/// by them a session of long ago is found.
class SessionFolder final : public SessionRecords {
 public:
  struct Options {
    std::string data_directory;
    TaskIdentity self;
    Duration session_idle_timeout{};
  };
  /// Makes this life's folder and clears those of lives long gone away.
  static Result<std::unique_ptr<SessionFolder>> open(Options options, Clock& clock, Log& log);

  Succession look(const std::string& session, std::uint64_t generation) override;
  Succession claim(const std::string& session, std::uint64_t generation) override;
  Succession confirm(const std::string& session) override;
  void end(const std::string& session) override;
  void flush() override;
  void keep(const std::string& session, std::string_view text) override;
  std::string kept(const std::string& session, std::uint64_t generation) override;

  /// This life is there; call every `beat_interval`. Clears away once an hour.
  void beat();
  static constexpr Duration beat_interval = std::chrono::minutes(1);

 private:
  SessionFolder(Options options, Clock& clock, Log& log);
  std::string folder_of(std::uint64_t generation) const;
  std::string heir_file(const std::string& session, std::uint64_t generation) const;
  Duration silence_of(std::uint64_t generation) const;
  bool is_gone_for_good(std::uint64_t generation) const;
  bool has_ended(const std::string& session, std::uint64_t generation) const;
  void write(const std::string& name, std::string_view text);
  void clear_away() const;

  Options options_;
  Clock& clock_;
  Log& log_;
  std::string lives_;
  std::string own_;
  std::vector<std::string> ended_;  ///< of the file that is written now
  std::uint64_t ended_file_ = 0;    ///< its number
  bool ended_changed_ = false;
  std::set<std::string, std::less<>> kept_;
  std::size_t beats_ = 0;
  bool failed_ = false;  ///< the last write did
};

}  // namespace berth::task
