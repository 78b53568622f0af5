#include "mcp/older.h"

#include <gtest/gtest.h>

namespace berth::mcp {
namespace {

TEST(Older, StructuredContentIsTextBeforeItsRevision) {
  const std::string whole = R"({"content":[{"type":"text","text":"x"}],"structuredContent":{"n":1}})";
  EXPECT_EQ(older_result(Method::tools_call, whole, "2025-06-18"), whole);
  EXPECT_EQ(older_result(Method::tools_call, whole, "2025-03-26"),
            R"({"content":[{"type":"text","text":"x"}]})");
  EXPECT_EQ(older_result(Method::tools_call, R"({"content":[],"structuredContent":{"n":1}})", "2024-11-05"),
            R"({"content":[{"type":"text","text":"{\"n\":1}"}]})");
  EXPECT_EQ(older_result(Method::tools_list, R"({"tools":[{"name":"a","outputSchema":{"type":"object"}}]})",
                         "2025-03-26"),
            R"({"tools":[{"name":"a"}]})");
}

TEST(Older, ContentOfAKindThatIsNotKnownBecomesOneThatIs) {
  const std::string whole =
      R"({"content":[{"type":"resource_link","uri":"a:1","name":"A"},{"type":"text","text":"x"},)"
      R"({"type":"audio","data":"AAAA","mimeType":"audio/wav"}]})";
  EXPECT_EQ(older_result(Method::tools_call, whole, "2025-11-25"), whole);
  EXPECT_EQ(older_result(Method::tools_call, whole, "2025-03-26"),
            R"({"content":[{"type":"text","text":"A: a:1"},{"type":"text","text":"x"},)"
            R"({"type":"audio","data":"AAAA","mimeType":"audio/wav"}]})");
  EXPECT_EQ(
      older_result(Method::tools_call, whole, "2024-11-05"),
      R"({"content":[{"type":"text","text":"A: a:1"},{"type":"text","text":"x"},)"
      R"({"type":"resource","resource":{"uri":"content:audio","mimeType":"audio/wav","blob":"AAAA"}}]})");
  EXPECT_EQ(older_result(Method::prompts_get,
                         R"({"messages":[{"role":"user","content":{"type":"resource_link","uri":"a:1"}}]})",
                         "2025-03-26"),
            R"({"messages":[{"role":"user","content":{"type":"text","text":"a:1"}}]})");
}

TEST(Older, AFormHasNothingThatIsNotKnown) {
  const std::string whole =
      R"({"mode":"form","message":"m","requestedSchema":{"$schema":"s","type":"object","properties":{)"
      R"("name":{"type":"string","default":"Ann"},"sure":{"type":"boolean","default":true},)"
      R"("size":{"type":"string","oneOf":[{"const":"s","title":"Small"},{"const":"l"}],"default":"s"},)"
      R"("tags":{"type":"array","items":{"enum":["a"]}},"must":{"type":"array","items":{"enum":["a"]}}},)"
      R"("required":["must"]}})";
  EXPECT_EQ(older_input_params("elicitation/create", whole, "2025-11-25"), whole);
  EXPECT_EQ(older_input_params("elicitation/create", whole, "2025-06-18"),
            R"({"message":"m","requestedSchema":{"type":"object","properties":{)"
            R"("name":{"type":"string"},"sure":{"type":"boolean","default":true},)"
            R"("size":{"enum":["s","l"],"enumNames":["Small","l"],"type":"string"},)"
            R"("must":{"type":"array","items":{"enum":["a"]}}},"required":["must"]}})");
}

TEST(Older, ASampledMessageHasOneContent) {
  EXPECT_EQ(older_input_params("sampling/createMessage",
                               R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},)"
                               R"({"type":"text","text":"b"}]},{"role":"assistant","content":{"type":"text",)"
                               R"("text":"c"}}],"maxTokens":5})",
                               "2025-06-18"),
            R"({"messages":[{"role":"user","content":{"type":"text","text":"a"}},)"
            R"({"role":"user","content":{"type":"text","text":"b"}},{"role":"assistant","content":)"
            R"({"type":"text","text":"c"}}],"maxTokens":5})");
  EXPECT_EQ(older_input_params("roots/list", "", "2024-11-05"), "");
}

std::optional<std::string> schema(std::string_view text) { return object_schema(*json::parse(text)); }

TEST(Older, AnOutputSchemaIsWhatItsRootRefersTo) {
  EXPECT_EQ(schema(R"({"type":"object"})"), R"({"type":"object"})");
  EXPECT_EQ(schema(R"({"type":"array"})"), std::nullopt);
  EXPECT_EQ(schema(R"({"$ref":"https://example.com/schema"})"), std::nullopt);
  EXPECT_EQ(schema(R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}})"), std::nullopt);
  EXPECT_EQ(schema(R"({"$ref":"#/$defs/a~1b%20c","$defs":{"a/b c":{"$ref":"#/$defs/o"},)"
                   R"("o":{"type":"object","properties":{"next":{"$ref":"#/$defs/o"}}}}})"),
            R"({"$defs":{"a/b c":{"$ref":"#/$defs/o"},"o":{"type":"object","properties":{"next":)"
            R"({"$ref":"#/$defs/o"}}}},"type":"object","properties":{"next":{"$ref":"#/$defs/o"}}})");
}

}  // namespace
}  // namespace berth::mcp
