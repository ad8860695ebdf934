#include "api/excerpt.h"

#include <gtest/gtest.h>

namespace terrane::api {
namespace {

TEST(Excerpt, IsWhatWasGivenUpToAHundredBytes) {
  EXPECT_EQ(excerpt(""), "");
  EXPECT_EQ(excerpt("naïve"), "naïve");
  EXPECT_EQ(excerpt(std::string(100, 'x')), std::string(100, 'x'));
  EXPECT_EQ(excerpt(std::string(101, 'x')), std::string(100, 'x'));
}

TEST(Excerpt, CutsNoCharacter) {
  const std::string wide = "\U0001D57F";
  EXPECT_EQ(excerpt(std::string(96, 'x') + wide), std::string(96, 'x') + wide);
  for (std::size_t before = 97; before <= 100; ++before) {
    const std::string plain(before, 'x');
    EXPECT_EQ(excerpt(plain + wide), plain);
  }
}

TEST(Excerpt, HidesWhatIsNoText) {
  EXPECT_EQ(excerpt("a\xFF"
                    "b\xC3"),
            "a?b?");
  EXPECT_EQ(excerpt(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(excerpt(std::string(200, '\x80')), "") << "nothing begins a character";
}

}  // namespace
}  // namespace terrane::api
