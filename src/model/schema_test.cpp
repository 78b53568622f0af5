#include "model/schema.h"

#include <gtest/gtest.h>

#include <set>

#include "model/fields.h"
#include "model/spec.h"
#include "model/testing/golden.h"
#include "model/yaml.h"

namespace berth::model {
namespace {

TEST(Schema, in_the_repository_is_the_one_that_berth_prints) {
  testing::expect_golden("../../schema/berth.schema.json", json_schema());
}

TEST(Reference, in_the_repository_is_the_one_that_berth_prints) {
  testing::expect_golden("../../docs/berth.yaml.md", reference_markdown());
}

TEST(Schema, is_json) {
  std::expected<YamlNode, Problem> parsed = parse_yaml(json_schema());
  EXPECT_TRUE(parsed) << to_string(parsed.error(), "schema");
}

void check_fields(std::span<const Field> fields) {
  std::set<std::string_view> keys;
  for (const Field& field : fields) {
    EXPECT_TRUE(keys.insert(field.key).second) << field.key << " is in the table twice";
    EXPECT_FALSE(field.meaning.empty()) << field.key;
    EXPECT_TRUE(field.meaning.ends_with('.')) << field.key;
    EXPECT_FALSE(field.at_limit.ends_with('.')) << field.key;
    check_fields(field.fields);
  }
}

TEST(FieldTable, explains_every_key_once) { check_fields(spec_fields()); }

TEST(FieldTable, has_defaults_within_the_limits) {
  Spec spec;
  for (const Field& field : spec_fields()) {
    if (field.kind != FieldKind::block || field.locate == nullptr) continue;
    for (const Field& inner : field.fields) {
      if (inner.kind != FieldKind::count) continue;
      auto value = static_cast<double>(*static_cast<std::size_t*>(inner.locate(field.locate(&spec))));
      EXPECT_TRUE(value >= inner.min && value <= inner.max) << inner.key;
    }
  }
}

}  // namespace
}  // namespace berth::model
