#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/context.h"
#include "model/parse.h"
#include "model/spec.h"

namespace berth::cli {

/// Which service a verb means: a spec file, and the state folder beside it.
struct SpecLocation {
  std::string path;             ///< absolute; empty where only a state folder was found
  std::string shown;            ///< as messages name it
  std::string directory;        ///< absolute folder of the file; of an editor's .vscode/ its workspace
  std::string state_directory;  ///< `.berth` in it
};

/// `file` as given (--file or a word); otherwise berth.yaml in the working directory or the nearest folder
/// above it; for
/// verbs about a running service a `.berth` folder is enough. not_found names `berth init`.
enum class Need : unsigned char { spec, service };
Result<SpecLocation> find_spec(const Context& context, const std::optional<std::string>& file, Need need);

/// The file that a verb was given: as its word, or with --file.
std::optional<std::string> given_file(const Arguments& arguments);

/// " --file FILE", as verbs need it that are typed in the working directory and mean this service; empty
/// where they find it without. For a service that is up.
std::string file_words(const Context& context, const SpecLocation& location);

/// What may be taken of a file instead of the whole.
struct SpecPart {
  std::vector<std::string> only;       ///< servers by name; empty: all
  bool leave_out_bad_entries = false;  ///< of a client's file; Spec::notes names them
};

/// Reads and checks the file: invalid_argument with one problem a line, not_found, permission_denied.
Result<model::Spec> load_spec(const Context& context, const SpecLocation& location,
                              const SpecPart& part = {});

/// The text of the file and what its values may refer to.
Result<model::SpecSource> spec_source(const Context& context, const SpecLocation& location);

/// Puts the JSON Schema for editors and a .gitignore into the state folder, which is made when missing (mode
/// 0700). A convenience:
/// nothing is said when it fails.
void write_schema(const std::string& state_directory);

}  // namespace berth::cli
