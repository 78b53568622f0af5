#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "model/parse.h"

namespace {

using namespace berth;

/// The file as an editor's folder has it, with an envFile beside it that can be read and others that cannot.
model::SpecSource source_of(std::string text) {
  model::SpecSource source;
  source.text = std::move(text);
  source.file = "mcp.json";
  source.directory = "/app/.vscode";
  source.environment = {{"A", "value"}, {"TOKEN", "${A}"}};
  source.read_file = [](const std::string& path) -> Result<std::string> {
    if (!path.ends_with(".env")) return fail(ErrorCode::not_found, "There is no such file.");
    return std::string("# a comment\nexport A=1\nB='two words'\n");
  };
  return source;
}

}  // namespace

/// Any bytes are a file with problems, or servers with names of their own that are written as a berth.yaml
/// which reads as the same. What has no problem has none either when bad entries may be left out.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  model::SpecSource source = source_of(std::string(data, data + size));
  for (const bool keeps : {false, true}) {
    source.keep_variables = keeps;
    source.leave_out_bad_entries = false;
    const model::SpecReading whole = model::read_client_file(source);
    source.leave_out_bad_entries = true;
    const model::SpecReading lenient = model::read_client_file(source);
    if (whole.ok()) BERTH_CHECK(lenient.ok(), source.text);
    if (!lenient.ok()) continue;
    BERTH_CHECK(!lenient.spec.servers.empty(), source.text);
    const std::string written = model::write_spec(lenient.spec);
    model::SpecSource again{.text = written, .file = "written", .directory = source.directory};
    again.environment = source.environment;
    again.keep_variables = keeps;
    const model::SpecReading reading = model::read_spec(again);
    BERTH_CHECK(reading.ok(), written);
    BERTH_CHECK(model::write_spec(reading.spec) == written, written);
  }
  return 0;
}
