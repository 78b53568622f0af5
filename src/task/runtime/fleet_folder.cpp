#include "task/runtime/fleet_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace berth::task {

namespace {

constexpr std::size_t members_max = 1000;
constexpr std::size_t record_bytes_max = 4096;
constexpr std::string_view extension = ".json";

class File {
 public:
  File(const std::string& path, int flags) : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

Result<Member> read_record(const std::string& path) {
  const File file(path, O_RDONLY);
  std::array<char, record_bytes_max> buffer;
  const auto count = ::read(file.descriptor(), buffer.data(), buffer.size());
  if (count < 0) return Failure(errno_error(errno, "reading " + path));
  auto parsed = json::parse(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
  if (!parsed) return Failure(parsed.error());
  return parse_member(*parsed);
}

}  // namespace

Result<FleetFolder> FleetFolder::open(std::string data_directory) {
  std::string path = std::move(data_directory) + "/fleet";
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return Failure(errno_error(errno, "making the fleet's folder " + path));
  }
  if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0) {
    return Failure(errno_error(errno, "using the fleet's folder " + path));
  }
  return FleetFolder(std::move(path));
}

Result<void> FleetFolder::write(const Member& member) const {
  const std::string target = file_of(member.id);
  const std::string fresh = path_ + "/." + member.id + ".new";
  {
    const File file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
    const std::string text = to_json(member) + "\n";
    const auto count = ::write(file.descriptor(), text.data(), text.size());
    if (count != static_cast<ssize_t>(text.size())) return Failure(errno_error(errno, "writing " + fresh));
  }
  if (::rename(fresh.c_str(), target.c_str()) != 0) return Failure(errno_error(errno, "replacing " + target));
  return {};
}

std::vector<Member> FleetFolder::read() const {
  std::vector<Member> members;
  DIR* const directory = ::opendir(path_.c_str());
  if (directory == nullptr) return members;
  while (const dirent* const entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name.starts_with('.') || !name.ends_with(extension) || members.size() >= members_max) continue;
    auto member = read_record(path_ + "/" + std::string(name));
    if (member && file_of(member->id).ends_with("/" + std::string(name)))
      members.push_back(std::move(*member));
  }
  ::closedir(directory);
  return members;
}

void FleetFolder::remove(const std::string& id) const { ::unlink(file_of(id).c_str()); }

}  // namespace berth::task
