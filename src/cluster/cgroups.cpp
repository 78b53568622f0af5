#include "cluster/cgroups.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/kernel_file.h"

namespace berth::cluster {

namespace {

constexpr std::uint64_t period_us = 100'000;

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return Failure(errno_error(errno, "cannot make the control group " + path));
}

Result<void> write_file(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return Failure(errno_error(errno, "cannot open " + path));
  const auto written = ::write(file, text.data(), text.size());
  const int error = errno;
  ::close(file);
  if (written != static_cast<ssize_t>(text.size())) {
    return Failure(errno_error(error, fmt::format("cannot write '{}' to {}", text, path)));
  }
  return {};
}

std::uint64_t quota_us(double cpu) {
  return std::max<std::uint64_t>(1000, static_cast<std::uint64_t>(std::llround(cpu * period_us)));
}

/// The folders that make up one group, and how limits are written into them.
class Hierarchy {
 public:
  virtual ~Hierarchy() = default;
  virtual std::vector<std::string> folders() const = 0;
  virtual Result<void> prepare_parent(const std::string& group) = 0;
  virtual Result<void> limit(const std::string& group, const CgroupLimits& limits) = 0;
  /// Where the kernel counts the processes it kills in a group, as "oom_kill N".
  virtual std::string events_file(const std::string& group) const = 0;
  virtual std::string_view name() const = 0;
};

class Version1 final : public Hierarchy {
 public:
  explicit Version1(std::string root) : root_(std::move(root)) {}
  std::vector<std::string> folders() const override { return {root_ + "/cpu", root_ + "/memory"}; }
  Result<void> prepare_parent(const std::string&) override { return {}; }
  Result<void> limit(const std::string& group, const CgroupLimits& limits) override {
    const std::string cpu = root_ + "/cpu/" + group;
    auto done = write_file(cpu + "/cpu.cfs_period_us", std::to_string(period_us));
    if (done) done = write_file(cpu + "/cpu.cfs_quota_us", std::to_string(quota_us(limits.cpu)));
    if (done) {
      done = write_file(root_ + "/memory/" + group + "/memory.limit_in_bytes",
                        std::to_string(limits.memory_bytes));
    }
    return done;
  }
  std::string events_file(const std::string& group) const override {
    return root_ + "/memory/" + group + "/memory.oom_control";
  }
  std::string_view name() const override { return "cgroup v1"; }

 private:
  std::string root_;
};

class Version2 final : public Hierarchy {
 public:
  explicit Version2(std::string root) : root_(std::move(root)) {}
  std::vector<std::string> folders() const override { return {root_}; }
  Result<void> prepare_parent(const std::string& group) override {
    return write_file(root_ + "/" + group + "/cgroup.subtree_control", "+cpu +memory");
  }
  Result<void> limit(const std::string& group, const CgroupLimits& limits) override {
    const std::string folder = root_ + "/" + group;
    auto done = write_file(folder + "/cpu.max", fmt::format("{} {}", quota_us(limits.cpu), period_us));
    if (done) done = write_file(folder + "/memory.max", std::to_string(limits.memory_bytes));
    return done;
  }
  std::string events_file(const std::string& group) const override {
    return root_ + "/" + group + "/memory.events";
  }
  std::string_view name() const override { return "cgroup v2"; }

 private:
  std::string root_;
};

class CgroupsImpl final : public Cgroups {
 public:
  CgroupsImpl(std::string root, std::string_view service, std::string_view unique)
      : top_("berth"), parent_(fmt::format("berth/{}-{}", service, unique)) {
    if (exists(root + "/cgroup.controllers")) {
      hierarchy_ = std::make_unique<Version2>(root);
    } else if (exists(root + "/cpu/cpu.cfs_quota_us") && exists(root + "/memory/memory.limit_in_bytes")) {
      hierarchy_ = std::make_unique<Version1>(root);
    }
    if (!hierarchy_) {
      explanation_ = fmt::format(
          "CPU and memory limits are not enforced: {} has no cpu and memory controllers (neither cgroup v2 "
          "nor v1).",
          root);
      return;
    }
    const auto ready = prepare();
    enforced_ = ready.has_value();
    explanation_ = enforced_ ? fmt::format("CPU and memory limits are enforced by {}.", hierarchy_->name())
                             : fmt::format(
                                   "CPU and memory limits are not enforced: {}. Run as root, or in a "
                                   "delegated group (systemd-run --user --scope -p Delegate=yes).",
                                   ready.error().message());
  }

  ~CgroupsImpl() override {
    if (!hierarchy_) return;
    remove_tasks();
    remove_folders(parent_);
    remove_folders(top_);
  }

  bool enforced() const override { return enforced_; }
  const std::string& explanation() const override { return explanation_; }

  Result<std::vector<std::string>> make_group(std::string_view task, const CgroupLimits& limits) override {
    if (!enforced_) return std::vector<std::string>{};
    const std::string group = fmt::format("{}/task-{}", parent_, task);
    auto done = make_folders(group);
    if (done) done = hierarchy_->limit(group, limits);
    if (!done) return Failure(done.error());
    std::vector<std::string> folders;
    for (const std::string& folder : hierarchy_->folders()) folders.push_back(folder + "/" + group);
    return folders;
  }

  std::uint64_t memory_kills(std::string_view task) const override {
    if (!enforced_) return 0;
    const std::string path = hierarchy_->events_file(fmt::format("{}/task-{}", parent_, task));
    return read_kernel_figure(path, "oom_kill").value_or(0);
  }

  void remove_group(std::string_view task) override {
    if (!enforced_) return;
    remove_folders(fmt::format("{}/task-{}", parent_, task));
  }

 private:
  Result<void> prepare() {
    for (const std::string& group : {top_, parent_}) {
      auto done = make_folders(group);
      if (done) done = hierarchy_->prepare_parent(group);
      if (!done) return done;
    }
    remove_tasks();  // a service that was killed in this folder left its groups behind
    return {};
  }

  Result<void> make_folders(const std::string& group) {
    for (const std::string& folder : hierarchy_->folders()) {
      auto done = make_directory(folder + "/" + group);
      if (!done) return done;
    }
    return {};
  }

  /// rmdir(2) of a control group fails while it has processes or children, which is what we want.
  void remove_folders(const std::string& group) {
    for (const std::string& folder : hierarchy_->folders()) ::rmdir((folder + "/" + group).c_str());
  }

  void remove_tasks() {
    for (const std::string& folder : hierarchy_->folders()) {
      std::error_code ignored;
      for (const auto& entry : std::filesystem::directory_iterator(folder + "/" + parent_, ignored)) {
        const bool is_task = entry.path().filename().string().starts_with("task-");
        if (is_task) ::rmdir(entry.path().c_str());
      }
    }
  }

  std::string top_;
  std::string parent_;
  std::unique_ptr<Hierarchy> hierarchy_;
  bool enforced_ = false;
  std::string explanation_;
};

}  // namespace

std::unique_ptr<Cgroups> make_cgroups(std::string root, std::string service, std::string unique) {
  return std::make_unique<CgroupsImpl>(std::move(root), service, unique);
}

}  // namespace berth::cluster
