#include "storage/artifacts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "codec/json.h"
#include "storage/files.h"

namespace berth::storage {

namespace {

constexpr std::size_t info_bytes_max = 8 * 1024;

std::string write_line(const ArtifactInfo& info) {
  return fmt::format(R"({{"name":{},"mediaType":{},"size":{},"sha256":"{}","writer":{},"written":{}}})"
                     "\n",
                     json_quote(info.name), json_quote(info.media_type), info.size, info.sha256,
                     json_quote(info.writer), info.written_unix_ms);
}

/// Reads what write_line wrote; bytes that follow the line in `text` are not looked at.
Result<ArtifactInfo> read_line(std::string_view text, const std::string& path) {
  const std::size_t end = text.find('\n');
  const auto line = json::parse(text.substr(0, end));
  if (end == std::string_view::npos || !line || !line->is(json::Kind::object)) {
    return fail(ErrorCode::internal, fmt::format("'{}' is not an artifact; remove it.", path));
  }
  ArtifactInfo info;
  info.name = line->find("name").as_string().value_or("");
  info.media_type = line->find("mediaType").as_string().value_or("");
  info.size = static_cast<std::uint64_t>(std::max<std::int64_t>(0, line->find("size").as_int().value_or(0)));
  info.sha256 = line->find("sha256").as_string().value_or("");
  info.writer = line->find("writer").as_string().value_or("");
  info.written_unix_ms = line->find("written").as_int().value_or(0);
  return info;
}

class FileArtifacts final : public ArtifactStore {
 public:
  FileArtifacts(std::string directory, ArtifactLimits limits)
      : directory_(std::move(directory)), limits_(limits) {}

  Result<ArtifactInfo> put(const ArtifactWrite& write) override {
    if (write.name.empty() || write.name.size() > limits_.name_bytes_max) {
      return fail(ErrorCode::invalid_argument, fmt::format("An artifact's name has 1 to {} bytes, not {}.",
                                                           limits_.name_bytes_max, write.name.size()));
    }
    if (write.bytes.size() > limits_.bytes_max) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("'{}' has {} bytes; an artifact has at most {}.", write.name,
                              write.bytes.size(), limits_.bytes_max));
    }
    const auto names = list_names(directory_);
    if (!names) return Failure(names.error());
    const std::string file_name = encode_name(write.name);
    if (names->size() >= limits_.artifacts_max && !std::ranges::binary_search(*names, file_name)) {
      return fail(ErrorCode::resource_exhausted, fmt::format("There are {} artifacts; at most {} are kept.",
                                                             names->size(), limits_.artifacts_max));
    }
    ArtifactInfo info{.name = write.name,
                      .media_type = write.media_type.empty() ? "application/octet-stream" : write.media_type,
                      .size = write.bytes.size(),
                      .sha256 = sha256_hex(write.bytes),
                      .writer = write.writer,
                      .written_unix_ms = to_unix_ms(write.now)};
    const auto temporary = write_temporary(directory_, write_line(info), write.bytes);
    if (!temporary) return Failure(temporary.error());
    const auto replaced = replace(*temporary, path_of(file_name));
    if (replaced) return info;
    remove_quietly(*temporary);
    return Failure(replaced.error());
  }

  Result<Artifact> get(std::string_view name) override {
    const std::string path = path_of(encode_name(name));
    auto text = read_file(path, info_bytes_max + limits_.bytes_max);
    if (!text && text.error().code() == ErrorCode::not_found) {
      return fail(ErrorCode::not_found, fmt::format("There is no artifact named '{}'.", name));
    }
    if (!text) return Failure(text.error());
    auto info = read_line(*text, path);
    if (!info) return Failure(info.error());
    text->erase(0, text->find('\n') + 1);
    if (text->size() != info->size || sha256_hex(*text) != info->sha256) {
      return fail(ErrorCode::internal,
                  fmt::format("'{}' is damaged: its content does not match its SHA-256.", path));
    }
    return Artifact{.info = *std::move(info), .bytes = *std::move(text)};
  }

  Result<ArtifactPage> list(std::string_view prefix, std::string_view after, std::size_t count) override {
    const auto names = list_names(directory_);
    if (!names) return Failure(names.error());
    std::vector<ArtifactInfo> found;
    for (const std::string& file_name : *names) {
      const auto decoded = decode_name(file_name);
      if (file_name.starts_with("tmp.") || (decoded && !decoded->starts_with(prefix))) continue;
      const std::string path = path_of(file_name);
      const auto head = read_head(path, info_bytes_max);
      auto info = head ? read_line(*head, path) : Result<ArtifactInfo>(Failure(head.error()));
      if (!info || !info->name.starts_with(prefix) || info->name <= after) continue;
      found.push_back(*std::move(info));
    }
    std::ranges::sort(found, {}, &ArtifactInfo::name);
    ArtifactPage page;
    const std::size_t most = std::clamp<std::size_t>(count, 1, limits_.page_max);
    if (found.size() > most) {
      found.resize(most);
      page.next = found.back().name;
    }
    page.artifacts = std::move(found);
    return page;
  }

 private:
  std::string path_of(const std::string& file_name) const {
    return fmt::format("{}/{}", directory_, file_name);
  }

  std::string directory_;
  ArtifactLimits limits_;
};

}  // namespace

Result<std::unique_ptr<ArtifactStore>> make_artifact_store(std::string directory, ArtifactLimits limits) {
  auto made = make_directories(directory);
  if (!made) return Failure(made.error().within("artifacts"));
  return std::make_unique<FileArtifacts>(std::move(directory), limits);
}

}  // namespace berth::storage
