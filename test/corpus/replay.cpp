/// Feeds every stored input of a folder, and every prefix of the short ones, to a fuzz target: what fuzzing
/// once found stays found in builds that have no fuzzer.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t prefix_bytes_max = 256;

std::vector<std::uint8_t> read_bytes(const std::filesystem::path& path) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(std::filesystem::file_size(path)));
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return {};
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
  std::fclose(file);
  return bytes;
}

/// A copy of exactly `size` bytes on the heap, so that the sanitizer sees a read behind the end.
void feed(const std::vector<std::uint8_t>& bytes, std::size_t size) {
  const std::vector<std::uint8_t> exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || !std::filesystem::is_directory(argv[1])) {
    std::fprintf(stderr, "%s: the folder of stored inputs is missing; put at least one input into it.\n",
                 argc > 1 ? argv[1] : "corpus");
    return 1;
  }
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::size_t inputs = 0;
  for (const std::filesystem::path& path : paths) {
    const std::vector<std::uint8_t> bytes = read_bytes(path);
    feed(bytes, bytes.size());
    for (std::size_t size = 0; size < std::min(bytes.size(), prefix_bytes_max); ++size) feed(bytes, size);
    ++inputs;
  }
  std::printf("%zu stored inputs replayed\n", inputs);
  return inputs > 0 ? 0 : 1;
}
