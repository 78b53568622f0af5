#include "registry/source_tree.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "registry/files.h"

namespace berth::registry {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t ignore_file_bytes_max = 1u << 20;
constexpr std::size_t depth_max = 200;
constexpr std::size_t largest_named = 3;

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

class Lister {
 public:
  Lister(std::string root, const IgnoreRules& ignore, unsigned owner)
      : root_(std::move(root)), ignore_(ignore), owner_(owner) {}

  /// `inside` is the folder relative to the root, `there` its path in the image.
  Result<void> list(const std::string& inside, const std::string& there, std::size_t depth) {
    const std::string folder = inside.empty() ? root_ : root_ + "/" + inside;
    if (depth > depth_max) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("'{}' lies more than {} folders deep.", folder, depth_max));
    }
    std::error_code error;
    std::vector<std::string> names;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      names.push_back(it->path().filename().string());
    }
    if (error) return Failure(errno_error(error.value(), fmt::format("listing '{}'", folder)));
    std::ranges::sort(names);
    for (const std::string& name : names) {
      const std::string path = inside.empty() ? name : inside + "/" + name;
      auto added = add(path, there.empty() ? name : there + "/" + name, depth);
      if (!added) return added;
    }
    return {};
  }

  Result<SourceTree> finish() {
    std::ranges::sort(tree_.entries, {}, &Entry::path);
    return std::move(tree_);
  }

 private:
  Result<void> add(const std::string& path, std::string there, std::size_t depth) {
    const std::string full = root_ + "/" + path;
    const bool is_excluded = ignore_.excludes(path);
    if (is_excluded && !ignore_.may_let_in_below(path)) return {};
    struct stat status{};
    if (::lstat(full.c_str(), &status) != 0) {
      return Failure(errno_error(errno, fmt::format("reading '{}'", full)));
    }
    Entry entry;
    entry.path = std::move(there);
    entry.owner = owner_;
    if (entry.path.find('\n') != std::string::npos) {
      return fail(ErrorCode::invalid_argument, fmt::format("The name of '{}' has a line break in it.", full));
    }
    if (S_ISDIR(status.st_mode)) {
      const std::string folder = entry.path;
      const std::size_t place = tree_.entries.size();
      entry.kind = Entry::Kind::directory;
      entry.mode = 0755;
      tree_.entries.push_back(std::move(entry));
      if (auto listed = list(path, folder, depth + 1); !listed) return listed;
      // An excluded folder is there only for what is let in below it.
      if (is_excluded && tree_.entries.size() == place + 1) tree_.entries.pop_back();
      return {};
    }
    if (is_excluded) return {};
    if (S_ISLNK(status.st_mode)) return add_link(full, std::move(entry), status);
    if (S_ISREG(status.st_mode)) return add_file(full, std::move(entry), status);
    tree_.skipped.push_back(path);
    return {};
  }

  Result<void> add_link(const std::string& full, Entry entry, const struct stat& status) {
    std::error_code error;
    entry.target = fs::read_symlink(full, error).string();
    if (error) return Failure(errno_error(error.value(), fmt::format("reading the link '{}'", full)));
    entry.kind = Entry::Kind::symlink;
    entry.mode = 0777;
    entry.stamp.modified_ns = nanoseconds(status.st_mtim);
    return push(std::move(entry));
  }

  Result<void> add_file(const std::string& full, Entry entry, const struct stat& status) {
    if (::access(full.c_str(), R_OK) != 0) {
      return Failure(
          errno_error(errno, fmt::format("reading '{}' (name it in .dockerignore to leave it out)", full)));
    }
    entry.mode = (status.st_mode & 0100) != 0 ? 0755 : 0644;
    entry.source = full;
    entry.stamp = {static_cast<std::uint64_t>(status.st_size), nanoseconds(status.st_mtim),
                   nanoseconds(status.st_ctim), static_cast<std::uint64_t>(status.st_ino)};
    tree_.bytes += entry.stamp.bytes;
    return push(std::move(entry));
  }

  Result<void> push(Entry entry) {
    tree_.entries.push_back(std::move(entry));
    if (tree_.bytes <= layer_bytes_max && tree_.entries.size() <= layer_files_max) return {};
    std::vector<const Entry*> largest;
    for (const Entry& each : tree_.entries) largest.push_back(&each);
    std::ranges::stable_sort(largest, [](auto* a, auto* b) { return a->bytes() > b->bytes(); });
    std::string named;
    for (std::size_t i = 0; i < std::min(largest.size(), largest_named); ++i) {
      named += fmt::format("{}'{}' ({} MB)", i == 0 ? "" : ", ", largest[i]->path, largest[i]->bytes() >> 20);
    }
    return fail(
        ErrorCode::resource_exhausted,
        fmt::format("'{}' holds more than {} GB or {} files, too much for a layer; the largest: {}. Name "
                    "what the server does not need in .dockerignore.",
                    root_, layer_bytes_max >> 30, layer_files_max, named));
  }

  std::string root_;
  const IgnoreRules& ignore_;
  unsigned owner_;
  SourceTree tree_;
};

}  // namespace

Result<SourceTree> list_tree(const std::string& root, const std::string& prefix, const IgnoreRules& ignore,
                             unsigned owner) {
  Lister lister(root, ignore, owner);
  if (auto listed = lister.list({}, prefix, 0); !listed) return Failure(listed.error());
  return lister.finish();
}

Result<IgnoreRules> ignore_rules_of(const std::string& folder, const std::vector<std::string>& patterns) {
  IgnoreRules rules(IgnoreRules::Defaults::secrets);
  const std::string path = folder + "/.dockerignore";
  auto text = read_file(path, ignore_file_bytes_max);
  if (text) {
    if (auto added = rules.add_lines(*text); !added) return Failure(added.error().within(path));
  } else if (text.error().code() != ErrorCode::not_found) {
    return Failure(text.error());
  }
  for (const std::string& pattern : patterns) {
    if (auto added = rules.add(pattern); !added) return Failure(added.error().within("image.ignore"));
  }
  return rules;
}

}  // namespace berth::registry
