#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "task/runtime/member.h"

namespace berth::task {

/// `fleet/` on the shared volume: one small file a member, replaced by rename, so that a reader sees a
/// whole record or the one before, also over NFS. Blocking calls of a few microseconds on a healthy volume.
class FleetFolder {
 public:
  /// Makes the folder. permission_denied and the like name it.
  static Result<FleetFolder> open(std::string data_directory);

  Result<void> write(const Member& member) const;
  /// What can be read; broken files are passed over.
  std::vector<Member> read() const;
  void remove(const std::string& id) const;

 private:
  explicit FleetFolder(std::string path) : path_(std::move(path)) {}
  std::string file_of(const std::string& id) const { return path_ + "/" + id + ".json"; }
  std::string path_;
};

}  // namespace berth::task
