#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Archives that are the same for the same input (ustar with pax records where ustar is too small), and a
/// reader of anybody's.
namespace berth::registry {

/// How a file looked when it was listed: what tells quickly that it has not changed.
struct Stamp {
  std::uint64_t bytes = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint64_t inode = 0;
  bool operator==(const Stamp&) const = default;
};

/// A member of a layer. Times are the layer's, owners are numeric.
struct Entry {
  enum class Kind : std::uint8_t { file, directory, symlink };
  Kind kind = Kind::file;
  std::string path;      ///< in the image, without a leading or trailing slash: "app/index.js"
  unsigned mode = 0644;  ///< permission bits
  unsigned owner = 0;    ///< user and group
  std::string target;    ///< of a symlink, as it is
  std::string content;   ///< of a file without `source`
  std::string source;    ///< the file on disk; its size is in `stamp`
  Stamp stamp;           ///< of `source`
  std::uint64_t bytes() const { return source.empty() ? content.size() : stamp.bytes; }
};

/// The head of a member (with its pax record before it when names are long or not ASCII).
void append_tar_head(std::string& out, const Entry& entry, std::int64_t time_s);
/// Zeros up to the next block behind `content_bytes` of content.
void append_tar_padding(std::string& out, std::uint64_t content_bytes);
void append_tar_end(std::string& out);

/// Reads an archive that comes in parts. Understands ustar, pax (path, linkpath, size) and GNU long names.
class TarReader {
 public:
  struct Member {
    std::string path;  ///< without leading "./" or "/", and without a trailing slash
    char type = '0';   ///< '0' file, '1' hard link, '2' symlink, '5' directory, …
    std::string link;  ///< target of '1' and '2'
    std::uint64_t bytes = 0;
    std::uint64_t offset = 0;  ///< of the content in the archive
  };
  class Visitor {
   public:
    virtual ~Visitor() = default;
    virtual void member(const Member& member) = 0;
    /// A part of the content of the member named last.
    virtual void content(std::string_view part) = 0;
  };
  explicit TarReader(Visitor& visitor) : visitor_(visitor) {}

  /// invalid_argument for what is not an archive.
  Result<void> append(std::string_view bytes);

 private:
  Result<void> take_head();
  void take_content(std::string_view part);
  Result<void> end_of_content();
  void apply_pax();

  Visitor& visitor_;
  std::string head_;
  Member current_;
  std::uint64_t position_ = 0;
  std::uint64_t content_left_ = 0;
  std::uint64_t padding_left_ = 0;
  enum class Content : std::uint8_t {
    member,
    pax,
    long_name,
    long_link,
    skipped
  } content_ = Content::skipped;
  std::string meta_;  ///< the content of a pax or long-name member
  std::string next_path_;
  std::string next_link_;
  std::string next_size_;
};

}  // namespace berth::registry
