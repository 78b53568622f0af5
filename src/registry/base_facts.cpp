#include "registry/base_facts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>

#include "registry/files.h"
#include "registry/gzip.h"
#include "registry/layer_maker.h"

namespace berth::registry {

namespace {

namespace json = boost::json;

constexpr std::size_t chunk_bytes = 256 * 1024;
constexpr std::size_t content_bytes_max = 256 * 1024;
constexpr std::string_view certificates = "etc/ssl/certs/ca-certificates.crt";
constexpr std::array<std::string_view, 12> looked_for = {
    "app",        "etc", "etc/group", "etc/passwd", "etc/ssl",   "etc/ssl/certs",
    certificates, "mnt", "mnt/data",  "tmp",        "usr/local", "usr/local/bin"};

bool is_looked_for(std::string_view path) {
  if (std::ranges::find(looked_for, path) != looked_for.end() || path == "usr") return true;
  return path.ends_with("bin/node") || path.ends_with("bin/npx") ||
         path.find("/ld-musl-") != std::string_view::npos;
}

bool is_kept(std::string_view path) { return path == "etc/passwd" || path == "etc/group"; }

/// What one layer adds and takes away.
struct LayerFacts {
  bool readable = true;
  std::map<std::string, char> paths;
  std::map<std::string, std::string> content;
  std::vector<std::string> removed;  ///< paths; with a trailing slash: what was in the folder before
};

class LayerScan final : public TarReader::Visitor {
 public:
  void member(const TarReader::Member& member) override {
    reading_ = nullptr;
    const std::string& path = member.path;
    const std::size_t slash = path.rfind('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
    if (name == ".wh..wh..opq") {
      facts.removed.push_back(folder);
    } else if (name.starts_with(".wh.")) {
      facts.removed.push_back(folder + name.substr(4));
    } else if (is_looked_for(path)) {
      facts.paths[path] = member.type == '5' ? 'd' : member.type == '2' ? 'l' : 'f';
      if (is_kept(path) && member.type == '0') reading_ = &(facts.content[path] = "");
    }
    // A layer need not list the folders above what it adds.
    for (std::size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
      const std::string above = path.substr(0, at);
      if (is_looked_for(above)) facts.paths.try_emplace(above, 'd');
    }
  }
  void content(std::string_view part) override {
    if (reading_ != nullptr && reading_->size() + part.size() <= content_bytes_max) reading_->append(part);
  }

  LayerFacts facts;

 private:
  std::string* reading_ = nullptr;
};

std::string to_fact(const LayerFacts& facts) {
  json::object paths;
  for (const auto& [path, kind] : facts.paths) paths[path] = std::string(1, kind);
  json::object content;
  for (const auto& [path, text] : facts.content) content[path] = text;
  json::array removed;
  for (const auto& path : facts.removed) removed.emplace_back(path);
  return json::serialize(json::object{{"readable", facts.readable},
                                      {"paths", std::move(paths)},
                                      {"content", std::move(content)},
                                      {"removed", std::move(removed)}});
}

std::optional<LayerFacts> from_fact(const std::string& fact) {
  boost::system::error_code error;
  const auto root = json::parse(fact, error);
  if (error || !root.is_object()) return std::nullopt;
  LayerFacts facts;
  for (const auto& [name, value] : root.get_object()) {
    if (name == "readable" && value.is_bool()) facts.readable = value.get_bool();
    if (name == "removed" && value.is_array()) {
      for (const auto& path : value.get_array()) {
        if (path.is_string()) facts.removed.emplace_back(path.get_string());
      }
    }
    if (!value.is_object()) continue;
    for (const auto& [path, text] : value.get_object()) {
      if (!text.is_string()) continue;
      const std::string_view said = text.get_string();
      if (name == "content") facts.content[std::string(path)] = said;
      if (name == "paths" && !said.empty()) facts.paths[std::string(path)] = said.front();
    }
  }
  return facts;
}

Task<Result<LayerFacts>> scan(const BlobStore& store, Clock& clock, Layer layer) {
  const std::string path = store.path_of(layer.digest);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0) co_return Failure(errno_error(errno, fmt::format("reading '{}'", path)));
  LayerScan visitor;
  TarReader reader(visitor);
  Decompressor decompressor;
  const Decompressor::Sink sink = [&](std::string_view part) { return reader.append(part); };
  std::string buffer(chunk_bytes, '\0');
  bool is_first = true;
  bool is_compressed = false;
  while (true) {
    const auto count = ::read(file.number(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) co_return Failure(errno_error(errno, fmt::format("reading '{}'", path)));
    if (count == 0) break;
    const std::string_view part(buffer.data(), static_cast<std::size_t>(count));
    if (is_first && is_zstd(part)) {
      visitor.facts.readable = false;
      break;
    }
    if (is_first) is_compressed = is_gzip(part);
    is_first = false;
    auto taken = is_compressed ? decompressor.append(part, sink) : reader.append(part);
    if (!taken) co_return Failure(taken.error().within("the base image's layer " + layer.digest));
    co_await step(clock.executor());
  }
  co_return std::move(visitor.facts);
}

void lay_over(BaseFacts& base, const LayerFacts& layer) {
  for (const std::string& removed : layer.removed) {
    const bool is_content = removed.ends_with("/");
    const std::string below = is_content ? removed : removed + "/";
    const auto is_gone = [&](const auto& each) {
      return (!is_content && each.first == removed) || each.first.starts_with(below);
    };
    std::erase_if(base.paths, is_gone);
    std::erase_if(base.content, is_gone);
  }
  for (const auto& [path, kind] : layer.paths) base.paths[path] = kind;
  for (const auto& [path, text] : layer.content) base.content[path] = text;
  base.readable = base.readable && layer.readable;
}

/// Whether a file of passwd's form has an entry with that number.
bool has_id(std::string_view text, std::string_view id) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second != std::string_view::npos) {
      const std::string_view rest = line.substr(second + 1);
      if (rest.substr(0, rest.find(':')) == id) return true;
    }
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return false;
}

Entry folder_entry(std::string path, unsigned mode, unsigned owner) {
  Entry entry;
  entry.kind = Entry::Kind::directory;
  entry.path = std::move(path);
  entry.mode = mode;
  entry.owner = owner;
  return entry;
}

Entry text_entry(std::string path, std::string content) {
  Entry entry;
  entry.path = std::move(path);
  entry.content = std::move(content);
  return entry;
}

/// The file of the base with a line for number 1000, or nullopt when it has one.
std::optional<std::string> with_user(const BaseFacts& base, const std::string& path, std::string_view fresh,
                                     std::string_view line) {
  const auto own = base.content.find(path);
  if (own == base.content.end()) return std::string(fresh) + std::string(line);
  if (has_id(own->second, "1000")) return std::nullopt;
  std::string text = own->second;
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  return text + std::string(line);
}

}  // namespace

bool BaseFacts::has_program(std::string_view name) const {
  return std::ranges::any_of(paths, [&](const auto& each) {
    return each.first == "bin/" + std::string(name) || each.first.ends_with("/bin/" + std::string(name));
  });
}

bool BaseFacts::is_musl() const {
  return std::ranges::any_of(
      paths, [](const auto& each) { return each.first.find("/ld-musl-") != std::string::npos; });
}

Task<Result<BaseFacts>> read_base_facts(const BlobStore& store, Clock& clock, std::vector<Layer> layers) {
  BaseFacts base;
  base.is_scratch = layers.empty();
  for (const Layer& layer : layers) {
    const std::string key = "layer facts 1\n" + layer.digest;
    std::optional<LayerFacts> facts;
    if (const auto known = store.recall(key)) facts = from_fact(*known);
    if (!facts) {
      auto found = co_await scan(store, clock, layer);
      if (!found) co_return Failure(found.error());
      facts = std::move(*found);
      store.remember(key, to_fact(*facts));
    }
    lay_over(base, *facts);
  }
  co_return base;
}

std::vector<Entry> system_entries(const BaseFacts& base, const std::string& ca_bundle) {
  std::vector<Entry> entries;
  const auto add_folder = [&](const std::string& path, unsigned mode, unsigned owner) {
    if (!base.has(path)) entries.push_back(folder_entry(path, mode, owner));
  };
  // Of a base that cannot be read, nothing is replaced but what has to be as berth needs it.
  const bool is_known = base.readable;
  add_folder("app", 0755, 0);
  if (is_known) add_folder("etc", 0755, 0);
  if (is_known) {
    if (auto text = with_user(base, "etc/group", "root:x:0:\n", "berth:x:1000:\n")) {
      entries.push_back(text_entry("etc/group", std::move(*text)));
    }
    const std::string_view root = "root:x:0:0:root:/root:/sbin/nologin\n";
    if (auto text = with_user(base, "etc/passwd", root, "berth:x:1000:1000:berth:/tmp:/sbin/nologin\n")) {
      entries.push_back(text_entry("etc/passwd", std::move(*text)));
    }
  }
  if (!ca_bundle.empty() && !base.has(std::string(certificates))) {
    if (is_known) {
      add_folder("etc/ssl", 0755, 0);
      add_folder("etc/ssl/certs", 0755, 0);
    }
    entries.push_back(text_entry(std::string(certificates), ca_bundle));
  }
  if (is_known) add_folder("mnt", 0755, 0);
  add_folder("mnt/data", 0755, 1000);
  if (is_known) {
    add_folder("tmp", 01777, 0);
    for (const char* path : {"usr", "usr/local", "usr/local/bin"}) add_folder(path, 0755, 0);
  }
  std::ranges::sort(entries, {}, &Entry::path);
  return entries;
}

}  // namespace berth::registry
