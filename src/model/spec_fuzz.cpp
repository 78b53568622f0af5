#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "model/parse.h"

/// Any bytes are a file with problems or a spec that is written and read back as the same spec.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  berth::model::SpecSource source;
  source.text.assign(data, data + size);
  source.file = "berth.yaml";
  source.directory = "/app";
  source.environment = {{"A", "value"}};
  berth::model::SpecReading reading = berth::model::read_spec(source);
  if (reading.ok()) {
    std::string written = berth::model::write_spec(reading.spec);
    berth::model::SpecReading again = berth::model::read_spec({written, "written", "/app", {}});
    BERTH_CHECK(again.ok(), written);
    BERTH_CHECK(berth::model::write_spec(again.spec) == written, written);
  }
  berth::model::read_client_file(source);
  return 0;
}
