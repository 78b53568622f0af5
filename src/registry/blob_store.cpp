#include "registry/blob_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/random.h"
#include "registry/files.h"

namespace berth::registry {

namespace {

namespace fs = std::filesystem;

constexpr auto unused_time_max = std::chrono::hours(24 * 30);
constexpr auto work_time_max = std::chrono::hours(24);
constexpr std::size_t fact_bytes_max = 1u << 20;
constexpr std::string_view layout_mark = R"({"imageLayoutVersion":"1.0.0"})";

void touch(const std::string& path) { ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

/// Removes what is in `folder` and was not touched since `oldest`.
void sweep_folder(const std::string& folder, WallTime oldest) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    struct stat status{};
    const std::string path = it->path().string();
    if (::lstat(path.c_str(), &status) != 0) continue;
    const WallTime modified{std::chrono::seconds(status.st_mtim.tv_sec)};
    std::error_code ignored;
    if (modified < oldest) fs::remove_all(path, ignored);
  }
}

}  // namespace

Result<BlobStore> BlobStore::open(const std::string& folder, WallTime now) {
  BlobStore store(folder);
  for (const char* name : {"/blobs/sha256", "/facts", "/work"}) {
    std::error_code error;
    fs::create_directories(folder + name, error);
    if (error) {
      return Failure(errno_error(error.value(), fmt::format("making the image store '{}'", folder + name)));
    }
  }
  ::chmod(folder.c_str(), 0700);
  const std::string mark = folder + "/oci-layout";
  if (!fs::exists(mark)) {
    if (auto written = replace_file(mark, layout_mark); !written) return Failure(written.error());
  }
  store.sweep(now);
  return store;
}

void BlobStore::sweep(WallTime now) const {
  sweep_folder(folder_ + "/blobs/sha256", now - unused_time_max);
  sweep_folder(folder_ + "/facts", now - unused_time_max);
  sweep_folder(folder_ + "/work", now - work_time_max);
}

std::string BlobStore::path_of(std::string_view digest) const {
  return folder_ + "/blobs/sha256/" + std::string(hex_of(digest));
}

bool BlobStore::has(std::string_view digest, std::uint64_t bytes) const {
  const std::string path = path_of(digest);
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  if (bytes != 0 && static_cast<std::uint64_t>(status.st_size) != bytes) return false;
  touch(path);
  return true;
}

Result<std::string> BlobStore::read(std::string_view digest, std::size_t bytes_max) const {
  auto bytes = read_file(path_of(digest), bytes_max);
  if (!bytes) return bytes;
  if (digest_of(*bytes) != digest) {
    ::unlink(path_of(digest).c_str());
    return fail(ErrorCode::not_found,
                fmt::format("The blob {} in '{}' was damaged and has been removed; run the same again.",
                            digest, folder_));
  }
  return bytes;
}

Result<std::string> BlobStore::put(std::string_view bytes) const {
  auto writer = write();
  if (!writer) return Failure(writer.error());
  if (auto appended = writer->append(bytes); !appended) return Failure(appended.error());
  return writer->commit({});
}

Result<void> BlobStore::set_index(std::string_view manifest) const {
  return replace_file(
      folder_ + "/index.json",
      fmt::format(R"({{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"{}","size":{}}}]}})",
                  "application/vnd.oci.image.manifest.v1+json", digest_of(manifest), manifest.size()));
}

Result<BlobStore::Writer> BlobStore::write() const {
  std::string path = folder_ + "/work/blob-" + random_hex(8);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return Failure(errno_error(errno, fmt::format("writing '{}'", path)));
  return Writer(*this, std::move(path), descriptor);
}

BlobStore::Writer::Writer(const BlobStore& store, std::string path, int descriptor)
    : store_(&store), path_(std::move(path)), descriptor_(descriptor) {}

BlobStore::Writer::Writer(Writer&& other) noexcept
    : store_(other.store_),
      path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(other.bytes_),
      sum_(std::move(other.sum_)) {}

BlobStore::Writer::~Writer() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(path_.c_str());
}

Result<void> BlobStore::Writer::append(std::string_view bytes) {
  sum_.append(bytes);
  bytes_ += bytes.size();
  if (write_all(descriptor_, bytes)) return {};
  return Failure(errno_error(errno, fmt::format("writing '{}'", path_)));
}

Result<void> BlobStore::Writer::restart() {
  sum_ = Sha256();
  bytes_ = 0;
  if (::ftruncate(descriptor_, 0) == 0 && ::lseek(descriptor_, 0, SEEK_SET) == 0) return {};
  return Failure(errno_error(errno, fmt::format("writing '{}'", path_)));
}

Result<std::string> BlobStore::Writer::commit(std::string_view expected) {
  std::string digest = sum_.finish();
  if (!expected.empty() && digest != expected) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("What came as {} has the digest {}: it was altered on the way.", expected, digest));
  }
  const bool closed = ::close(std::exchange(descriptor_, -1)) == 0;
  if (!closed || ::rename(path_.c_str(), store_->path_of(digest).c_str()) != 0) {
    const Error error = errno_error(errno, fmt::format("storing the blob {}", digest));
    ::unlink(path_.c_str());
    return Failure(error);
  }
  return digest;
}

Result<std::string> BlobStore::make_work_folder() const {
  std::string path = folder_ + "/work/folder-" + random_hex(8);
  if (::mkdir(path.c_str(), 0700) == 0) return path;
  return Failure(errno_error(errno, fmt::format("making the folder '{}'", path)));
}

std::string BlobStore::fact_path(std::string_view key) const {
  return folder_ + "/facts/" + std::string(hex_of(digest_of(key)));
}

std::optional<std::string> BlobStore::recall(std::string_view key) const {
  const std::string path = fact_path(key);
  auto fact = read_file(path, fact_bytes_max);
  if (!fact) return std::nullopt;
  touch(path);
  return std::move(*fact);
}

void BlobStore::remember(std::string_view key, std::string_view fact) const {
  static_cast<void>(replace_file(fact_path(key), fact));
}

}  // namespace berth::registry
