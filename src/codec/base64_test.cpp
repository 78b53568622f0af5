#include "codec/base64.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(Base64, WritesAndReadsTheVectorsOfRfc4648) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64::encode(bytes), text);
    EXPECT_EQ(base64::decode(text), std::optional(std::string(bytes)));
  }
}

TEST(Base64, KeepsEveryByteValue) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  EXPECT_EQ(base64::decode(base64::encode(bytes)), bytes);
}

TEST(Base64, RefusesWhatIsNotCanonical) {
  for (const std::string_view text :
       {"Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "Z===", "====", "Zm-v", "Zm v", "=m9v"}) {
    EXPECT_EQ(base64::decode(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace berth
