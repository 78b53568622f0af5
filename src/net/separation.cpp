#include "net/separation.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace berth::net {

namespace {

/// The kernel's struct landlock_ruleset_attr of ABI 6; older headers have a shorter one.
struct RulesetAttributes {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;
  std::uint64_t scoped = 0;
};

constexpr std::uint64_t access_make_block = 1u << 11;
constexpr std::uint64_t access_refer = 1u << 13;
constexpr std::uint64_t scope_signal = 1u << 1;
constexpr long abi_with_refer = 2;
constexpr long abi_with_scopes = 6;

/// In a domain that handles any access, moving files between folders is denied unless a rule allows it.
int allow_moves(int ruleset) {
  landlock_path_beneath_attr rule{};
  rule.allowed_access = access_refer;
  rule.parent_fd = ::open("/", O_PATH | O_CLOEXEC);
  const long outcome = ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  const int number = errno;
  ::close(rule.parent_fd);
  errno = number;
  return static_cast<int>(outcome);
}

bool write_text(const char* path, const char* text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const auto length = static_cast<ssize_t>(std::strlen(text));
  const bool written = ::write(file, text, static_cast<std::size_t>(length)) == length;
  const int number = errno;
  ::close(file);
  errno = number;
  return written;
}

/// Mounting needs a namespace of one's own, and for all but root a user namespace in which one may.
bool enter_mount_namespace(const SeparationImage& image) {
  if (::unshare(CLONE_NEWNS) == 0) return true;
  if (errno != EPERM) return false;
  // The files in /proc of a process that cannot be dumped belong to root.
  ::prctl(PR_SET_DUMPABLE, 1);
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  return write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/uid_map", image.uid_map.data()) &&
         write_text("/proc/self/gid_map", image.gid_map.data());
}

bool hides_anything(const SeparationImage& image) {
  return image.hidden != nullptr || (image.secrets != nullptr && *image.secrets != nullptr);
}

bool lay_empty_folder_over(const char* path) {
  return ::mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") == 0;
}

bool hide_secret(const char* path) {
  struct stat info{};
  if (::stat(path, &info) != 0) return errno == ENOENT;
  if (S_ISDIR(info.st_mode)) return lay_empty_folder_over(path);
  return ::mount("/dev/null", path, nullptr, MS_BIND, nullptr) == 0;
}

/// Lays nothing over what is hidden. Mounts that others make later still arrive here, ours stay here.
bool hide(const SeparationImage& image) {
  if (!enter_mount_namespace(image)) return false;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return false;
  for (const char* const* secret = image.secrets; secret != nullptr && *secret != nullptr; ++secret) {
    if (!hide_secret(*secret)) return false;
  }
  if (image.hidden == nullptr) return true;
  int kept = -1;
  if (image.kept != nullptr) {
    kept = static_cast<int>(
        ::syscall(SYS_open_tree, AT_FDCWD, image.kept, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    if (kept < 0) return false;
  }
  if (!lay_empty_folder_over(image.hidden)) return false;
  if (kept < 0) return true;
  if (::mkdir(image.kept, S_IRWXU) != 0) return false;
  return ::syscall(SYS_move_mount, kept, "", AT_FDCWD, image.kept, MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

/// Also for root, whom an exec gives back whatever the bounding set and no_new_privs leave.
bool drop_capabilities() {
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);  // without CAP_SETPCAP no_new_privs has to do
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  return ::syscall(SYS_capset, &header, none) == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

}  // namespace

int make_landlock_ruleset() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 0) return -1;
  RulesetAttributes attributes;
  std::size_t size = sizeof(attributes);
  if (abi >= abi_with_scopes) {
    attributes.scoped = scope_signal;
  } else if (abi >= abi_with_refer) {
    // A domain must handle something; block devices need a capability that the child lacks anyway.
    attributes.handled_access_fs = access_make_block | access_refer;
    size = sizeof(attributes.handled_access_fs);
  } else {
    errno = EOPNOTSUPP;
    return -1;
  }
  const int ruleset = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
  if (ruleset < 0 || attributes.handled_access_fs == 0 || allow_moves(ruleset) == 0) return ruleset;
  const int number = errno;
  ::close(ruleset);
  errno = number;
  return -1;
}

int separate_self(const SeparationImage& image) {
  int refused = 0;
  const auto note = [&refused](bool done) {
    if (!done && refused == 0) refused = errno;
  };
  if (hides_anything(image)) note(hide(image));
  note(drop_capabilities());
  if (image.ruleset < 0) {
    errno = EOPNOTSUPP;
    note(false);
  } else {
    note(::syscall(SYS_landlock_restrict_self, image.ruleset, 0) == 0);
  }
  return refused;
}

}  // namespace berth::net
