#include "net/executable.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>

namespace berth::net {

namespace {

/// Where execvp(3) searches without a PATH.
constexpr std::string_view default_path = "/usr/local/bin:/usr/bin:/bin";

bool is_directory(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool is_file(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

bool is_runnable(const std::string& path) { return is_file(path) && ::access(path.c_str(), X_OK) == 0; }

std::string_view path_of(const ProcessSpec& spec) {
  for (const auto& [name, value] : spec.environment) {
    if (name == "PATH") return value;
  }
  return default_path;
}

std::string in_directory(const ProcessSpec& spec, std::string_view path) {
  if (path.starts_with('/')) return std::string(path);
  // Absolute, because the child has changed its folder when it runs the file.
  std::error_code ignored;
  return (std::filesystem::absolute(spec.directory, ignored) / path).string();
}

Failure not_executable(const std::string& path) {
  return fail(ErrorCode::permission_denied, path + " is not executable; make it so with chmod +x " + path);
}

Result<std::string> find_in_path(const ProcessSpec& spec) {
  const std::string& command = spec.argv[0];
  const std::string_view searched = path_of(spec);
  std::string refused;
  for (std::string_view rest = searched; !rest.empty();) {
    const std::size_t colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    const std::string candidate = in_directory(spec, folder.empty() ? "." : folder) + "/" + command;
    if (is_runnable(candidate)) return candidate;
    if (is_file(candidate) && refused.empty()) refused = candidate;
  }
  if (!refused.empty()) return not_executable(refused);
  return fail(ErrorCode::not_found, "there is no command '" + command + "' in PATH (" +
                                        std::string(searched) + "); install it, or give its full path");
}

}  // namespace

Result<std::string> find_executable(const ProcessSpec& spec) {
  if (spec.argv.empty() || spec.argv[0].empty()) {
    return fail(ErrorCode::invalid_argument, "the command is empty; give a program to run");
  }
  for (const std::string& argument : spec.argv) {
    if (argument.contains('\0')) return fail(ErrorCode::invalid_argument, "an argument contains a NUL byte");
  }
  if (!spec.directory.empty() && !is_directory(spec.directory)) {
    return fail(ErrorCode::not_found, "the working directory " + spec.directory + " does not exist");
  }
  if (!spec.argv[0].contains('/')) return find_in_path(spec);
  const std::string path = in_directory(spec, spec.argv[0]);
  if (is_directory(path)) return fail(ErrorCode::invalid_argument, path + " is a folder, not a program");
  if (!is_file(path)) return fail(ErrorCode::not_found, "there is no program " + path + "; check its path");
  if (!is_runnable(path)) return not_executable(path);
  return path;
}

}  // namespace berth::net
