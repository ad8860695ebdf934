#include "base/text.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"

namespace terrane {
namespace {

TEST(Text, Base64FollowsTheRfcVectors) {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
    EXPECT_EQ(from_base64url(base64url(bytes)), bytes);
  }
}

TEST(Text, Base64RefusesWhatIsNotBase64) {
  for (const char* text : {"Zg=", "Zg", "Z===", "Zm9v!", "=Zm9", "Zg==Zg=="})
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
}

TEST(Text, HexGoesBothWays) {
  EXPECT_EQ(hex(std::string("\x00\xff\x10", 3)), "00ff10");
  EXPECT_EQ(from_hex("00ff10"), std::string("\x00\xff\x10", 3));
  EXPECT_EQ(from_hex("0"), std::nullopt);
  EXPECT_EQ(from_hex("0g"), std::nullopt);
}

TEST(Text, Utf8) {
  EXPECT_TRUE(is_clean_utf8("gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\x8d"));
  for (std::string_view bad : {std::string_view("\xc3"), std::string_view("\xc0\xaf"),
                               std::string_view("\xed\xa0\x80"), std::string_view("\0", 1)}) {
    EXPECT_FALSE(is_clean_utf8(bad));
  }
}

TEST(Time, ReadsWhatPostgresqlWritesAndWritesWhatTheApiWants) {
  auto time = parse_time("2018-03-02 23:42:06.651+00");
  ASSERT_TRUE(time);
  EXPECT_EQ(iso8601(*time), "2018-03-02T23:42:06.651Z");
  EXPECT_EQ(rfc3339(*time), "2018-03-02T23:42:06+00:00");
  EXPECT_EQ(parse_time("2018-03-03T01:42:06.651+02:00"), time);
  EXPECT_EQ(parse_time("2018-02-30T01:42:06Z"), std::nullopt);
  EXPECT_EQ(parse_time("yesterday"), std::nullopt);
}

TEST(Json, SaysWhereADocumentBreaks) {
  try {
    parse_json("{\"a\": }");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::invalid);
    EXPECT_NE(e.detail().find("byte"), std::string::npos);
  }
  EXPECT_THROW(parse_json("{} {}"), Error);
  EXPECT_THROW(parse_json(std::string(100, '[')), Error);
}

}  // namespace
}  // namespace terrane
