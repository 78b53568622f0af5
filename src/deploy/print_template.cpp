#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "deploy/template.h"
#include "model/parse.h"

namespace {

std::string read(const char* path) {
  std::string out;
  std::FILE* file = std::fopen(path, "r");
  if (file == nullptr) return out;
  for (int byte = std::fgetc(file); byte != EOF; byte = std::fgetc(file)) out += static_cast<char>(byte);
  std::fclose(file);
  return out;
}

}  // namespace

/// `template_print base|service FILE`: the template of a spec as JSON with all its notes, for checks by other
/// tools.
int main(int count, char** words) {
  using namespace berth;
  if (count != 3) return 64;
  model::SpecSource source{.text = read(words[2]), .file = words[2], .directory = "/app"};
  source.keep_variables = true;
  Result<model::Spec> spec = model::parse_spec(source);
  if (!spec) {
    fmt::print(stderr, "{}\n", spec.error().message());
    return 65;
  }
  Result<deploy::Template> made =
      std::string_view(words[1]) == "base" ? deploy::compose_base(*spec) : deploy::compose_service(*spec);
  if (!made) {
    fmt::print(stderr, "{}\n", made.error().message());
    return 1;
  }
  fmt::print("{}\n", boost::json::serialize(made->document));
  return 0;
}
