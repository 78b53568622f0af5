#pragma once

#include <string>
#include <string_view>

/// What every folder that reads and writes files of its own needs of the kernel; all of it blocks.
namespace berth {

/// A file descriptor that closes itself; negative: none.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  /// False when the kernel could not write what it still held (NFS reports failed writes here).
  bool close();

 private:
  int number_;
};

/// Every byte, however often the kernel is interrupted. False with errno set.
bool write_all(int descriptor, std::string_view bytes);

enum class ReadEnd : unsigned char { whole, too_long, failed };
/// Appends what follows in the file to `into`, until its end or until `into` has more than `bytes_max` bytes.
/// `failed` with errno set.
ReadEnd read_all(int descriptor, std::size_t bytes_max, std::string& into);

}  // namespace berth
