#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/spec.h"

namespace berth::model {

/// One mistake in a file: where (1-based; line 0 means the file as a whole) and a sentence: what, why, what
/// instead.
struct Problem {
  std::size_t line = 0;
  std::size_t column = 0;
  std::string text;
  bool operator==(const Problem&) const = default;
};
/// "berth.yaml:4:3: …".
std::string to_string(const Problem& problem, std::string_view file);

/// A file to read, and the world its values may refer to.
struct SpecSource {
  std::string text;       ///< at most 1 MiB
  std::string file;       ///< as shown in messages
  std::string directory;  ///< absolute folder of the file; the default name comes from it
  /// What ${NAME} and ${NAME:-default} stand for in env and headers. A name missing here is a problem.
  std::map<std::string, std::string> environment;
  /// For parse_spec: what the text is. `by_name`: a client's file when `file` ends in .json.
  enum class Format : unsigned char { by_name, berth_yaml, client_file } format = Format::by_name;
  /// Leaves ${NAME} in env and headers as it is, whether it is set or not, for the machine that will run the
  /// spec, and collects the names in Spec::variables.
  bool keep_variables = false;
  /// Reads the `envFile` of a client's entry; not given: such files are passed over.
  std::function<Result<std::string>(const std::string& path)> read_file;
  /// The servers to take, by the names in the file; empty: all of them.
  std::vector<std::string> only;
  /// Of a client's file: an entry with a mistake is left out and named in Spec::notes, as long as another is
  /// good.
  bool leave_out_bad_entries = false;
};

/// What was understood, and all that was wrong, in the order of the file. `spec` is usable only without
/// problems.
struct SpecReading {
  Spec spec;
  std::vector<Problem> problems;
  bool ok() const { return problems.empty(); }
};

/// Reads berth.yaml. At most 1 MiB, 32 levels and 20,000 values (aliases counted as often as they are used).
SpecReading read_spec(const SpecSource& source);

/// Reads a client's own file: .mcp.json, claude_desktop_config.json, .cursor/mcp.json (`mcpServers`) or
/// .vscode/mcp.json
/// (`servers`), with comments and trailing commas as editors allow. Keys that only a client needs are passed
/// over. A name that cannot be part of a URL is changed to one that can, and Spec::notes says so.
SpecReading read_client_file(const SpecSource& source);

/// True for a path that names a client's file (it ends in .json).
bool is_client_file(std::string_view path);

/// Either kind by its name; the failure is invalid_argument with one problem a line.
Result<Spec> parse_spec(const SpecSource& source);

/// `spec` as JSON in the shape of berth.yaml with every value written out; parse_spec reads it back as the
/// same spec
/// (apart from `directory` and `file`). Holds substituted secrets: write it only to files that the owner
/// alone reads. With Spec::keeps_variables it holds ${NAME} instead.
std::string write_spec(const Spec& spec);

/// The last part of the folder's path, with what may not be in a name replaced by hyphens.
std::string default_service_name(const std::string& directory);

}  // namespace berth::model
