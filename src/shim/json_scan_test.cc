#include "shim/json_scan.h"

#include <gtest/gtest.h>

namespace terrane::shim {
namespace {

std::string shown(JsonScan::Path path) {
  std::string out;
  for (const std::string& step : path) out += "/" + step;
  return out;
}

TEST(JsonScan, ReportsWhatStandsNearTheTop) {
  std::string seen;
  JsonScan scan(2, {.scalar =
                        [&](JsonScan::Path path, const JsonScan::Scalar& value) {
                          seen += shown(path);
                          if (const std::string_view* text = std::get_if<std::string_view>(&value))
                            seen += "=" + std::string(*text);
                          if (const std::int64_t* number = std::get_if<std::int64_t>(&value))
                            seen += "=" + std::to_string(*number);
                          seen += " ";
                        },
                    .begin = [&](JsonScan::Path path) { seen += shown(path) + "{ "; },
                    .end = [&](JsonScan::Path path) { seen += shown(path) + "} "; }});
  std::string document =
      R"({"a":1,"list":["x",{"deep":{"er":2}}],"o":{"k\u00e9y":"v\nw","o":{"hidden":true}},"n":null})";
  for (char c : document) ASSERT_TRUE(scan.feed(std::string_view(&c, 1)));
  EXPECT_TRUE(scan.finish());
  EXPECT_EQ(seen, "{ /a=1 /list{ /list/#=x /list/#{ /list/#} /list} /o{ /o/kéy=v\nw /o/o{ /o/o} /o} /n } ");
}

TEST(JsonScan, RefusesWhatIsNoDocument) {
  for (const char* text : {"", "{", "{\"a\":}", "[1,]", "{} {}", "nul", "\"open"}) {
    JsonScan scan(1, {});
    scan.feed(text);
    EXPECT_FALSE(scan.finish()) << text;
  }
  std::string deep(5000, '[');
  JsonScan scan(1, {});
  EXPECT_FALSE(scan.feed(deep)) << "nesting is bounded";
}

}  // namespace
}  // namespace terrane::shim
