#include "registry/layer_maker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>

#include "base/log.h"
#include "registry/files.h"
#include "registry/gzip.h"

namespace berth::registry {

namespace {

constexpr std::size_t read_bytes = 256 * 1024;
/// How much is compressed before others get a turn: about a twentieth of a second.
constexpr std::uint64_t turn_bytes = 2u << 20;
/// A file may change once more within the tick of the file system's clock in which it was listed.
constexpr auto settled = std::chrono::seconds(2);

/// Everything that a layer's bytes depend on, short of the content of its files.
std::string stamps_of(const std::vector<Entry>& entries, std::int64_t time_s) {
  std::string out = fmt::format("layer by stamps\n{}\n", time_s);
  for (const Entry& entry : entries) {
    out +=
        fmt::format("{} {:o} {} {} {} {} {} {} {} {} {}\n", static_cast<int>(entry.kind), entry.mode,
                    entry.owner, json_quote(entry.path), json_quote(entry.target), json_quote(entry.source),
                    entry.stamp.bytes, entry.stamp.modified_ns, entry.stamp.changed_ns, entry.stamp.inode,
                    entry.content.empty() ? "" : digest_of(entry.content));
  }
  return out;
}

bool is_settled(const std::vector<Entry>& entries, WallTime now) {
  const std::int64_t newest = std::chrono::nanoseconds((now - settled).time_since_epoch()).count();
  return std::ranges::all_of(entries, [&](const Entry& entry) {
    return entry.source.empty() || std::max(entry.stamp.modified_ns, entry.stamp.changed_ns) < newest;
  });
}

Failure changed(const Entry& entry) {
  return fail(
      ErrorCode::conflict,
      fmt::format("'{}' changed while the image was made of it; run the same again when nothing writes "
                  "there.",
                  entry.source));
}

}  // namespace

/// Where an archive goes: its digest, and compressed into the store unless only the digest is wanted.
struct LayerMaker::Output {
  Sha256 sum;
  Compressor* compressor = nullptr;
  BlobStore::Writer* writer = nullptr;
  std::uint64_t bytes = 0;
  std::string compressed;

  Result<void> append(std::string_view part) {
    sum.append(part);
    bytes += part.size();
    if (compressor == nullptr) return {};
    compressed.clear();
    compressor->append(part, compressed);
    return writer->append(compressed);
  }
};

Task<Result<LayerMaker::Made>> LayerMaker::make(std::vector<Entry> entries, std::string root) const {
  const std::string stamps = stamps_of(entries, time_s_);
  if (auto known = recall(stamps)) co_return Made{std::move(*known), true};
  Output probe;
  auto read = co_await write(entries, root, probe);
  if (!read) co_return Failure(read.error());
  const std::string diff_id = probe.sum.finish();
  const std::string by_content = "layer by content\n" + diff_id;
  const bool stamps_last = is_settled(entries, clock_.wall());
  if (auto known = recall(by_content)) {
    if (stamps_last) remember(stamps, *known);
    co_return Made{std::move(*known), true};
  }
  auto writer = store_.write();
  if (!writer) co_return Failure(writer.error());
  Compressor compressor;
  Output output;
  output.compressor = &compressor;
  output.writer = &*writer;
  auto written = co_await write(entries, root, output);
  if (!written) co_return Failure(written.error());
  std::string rest;
  compressor.finish(rest);
  if (auto appended = writer->append(rest); !appended) co_return Failure(appended.error());
  Layer layer;
  layer.diff_id = output.sum.finish();
  if (layer.diff_id != diff_id) {
    co_return fail(
        ErrorCode::conflict,
        fmt::format("A file in '{}' changed while the image was made of it; run the same again when "
                    "nothing writes there.",
                    root));
  }
  layer.media_type = oci_layer_gzip;
  layer.bytes = writer->bytes();
  auto digest = writer->commit({});
  if (!digest) co_return Failure(digest.error());
  layer.digest = std::move(*digest);
  remember(by_content, layer);
  if (stamps_last) remember(stamps, layer);
  co_return Made{std::move(layer), false};
}

Task<Result<void>> LayerMaker::write(const std::vector<Entry>& entries, const std::string& root,
                                     Output& output) const {
  const Descriptor folder(root.empty() ? -1 : ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.empty() && folder.number() < 0) {
    co_return Failure(errno_error(errno, fmt::format("opening '{}'", root)));
  }
  std::uint64_t turn = 0;
  for (const Entry& entry : entries) {
    std::string head;
    append_tar_head(head, entry, time_s_);
    if (entry.kind == Entry::Kind::file && entry.source.empty()) {
      head += entry.content;
      append_tar_padding(head, entry.content.size());
    }
    if (auto appended = output.append(head); !appended) co_return appended;
    if (!entry.source.empty()) {
      auto copied = co_await copy(entry, folder.number(), root, output);
      if (!copied) co_return copied;
    }
    if (output.bytes - turn >= turn_bytes) {
      turn = output.bytes;
      co_await step(clock_.executor());
    }
  }
  std::string end;
  append_tar_end(end);
  co_return output.append(end);
}

Task<Result<void>> LayerMaker::copy(const Entry& entry, int root, const std::string& root_path,
                                    Output& output) const {
  const bool is_inside = root >= 0 && entry.source.starts_with(root_path + "/");
  const Descriptor file(is_inside ? open_beneath(root, entry.source.substr(root_path.size() + 1))
                                  : ::open(entry.source.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) {
    if (errno == ELOOP || errno == ENOENT || errno == EXDEV) co_return changed(entry);
    co_return Failure(errno_error(errno, fmt::format("reading '{}'", entry.source)));
  }
  if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) != entry.stamp.bytes) {
    co_return changed(entry);
  }
  std::string buffer(std::min<std::uint64_t>(read_bytes, entry.stamp.bytes + 1), '\0');
  std::uint64_t total = 0;
  while (true) {
    const auto count = ::read(file.number(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) co_return Failure(errno_error(errno, fmt::format("reading '{}'", entry.source)));
    if (count == 0) break;
    const auto before = total / turn_bytes;
    total += static_cast<std::uint64_t>(count);
    if (total > entry.stamp.bytes) co_return changed(entry);
    const std::string_view part(buffer.data(), static_cast<std::size_t>(count));
    if (auto appended = output.append(part); !appended) co_return appended;
    if (total / turn_bytes != before) co_await step(clock_.executor());
  }
  struct stat after{};
  const bool is_same = ::fstat(file.number(), &after) == 0 && after.st_mtim.tv_sec == status.st_mtim.tv_sec &&
                       after.st_mtim.tv_nsec == status.st_mtim.tv_nsec;
  if (total != entry.stamp.bytes || !is_same) co_return changed(entry);
  std::string padding;
  append_tar_padding(padding, total);
  co_return output.append(padding);
}

std::optional<Layer> LayerMaker::recall(std::string_view key) const {
  const auto fact = store_.recall(key);
  if (!fact) return std::nullopt;
  boost::system::error_code error;
  const auto value = boost::json::parse(*fact, error);
  const auto* object = error ? nullptr : value.if_object();
  if (object == nullptr) return std::nullopt;
  const auto text = [&](std::string_view name) {
    const auto* member = object->if_contains(name);
    return member != nullptr && member->is_string() ? std::string(member->as_string()) : std::string();
  };
  const auto* bytes = object->if_contains("bytes");
  if (bytes == nullptr || !bytes->is_number()) return std::nullopt;
  Layer layer{text("digest"), text("diff_id"), text("media_type"), bytes->to_number<std::uint64_t>(error)};
  if (error || !store_.has(layer.digest, layer.bytes)) return std::nullopt;
  return layer;
}

void LayerMaker::remember(std::string_view key, const Layer& layer) const {
  const boost::json::object fact{{"digest", layer.digest},
                                 {"diff_id", layer.diff_id},
                                 {"media_type", layer.media_type},
                                 {"bytes", layer.bytes}};
  store_.remember(key, boost::json::serialize(fact));
}

}  // namespace berth::registry
