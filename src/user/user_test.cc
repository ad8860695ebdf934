#include "user/user.h"

#include <gtest/gtest.h>

namespace terrane::user {
namespace {

bool is_fine(std::optional<std::string> (*rule)(const json::value&), std::string_view text) {
  return !rule(json::value(text));
}

TEST(UserRules, Username) {
  for (std::string_view text : {"a", "admin", "Some-One_1"})
    EXPECT_TRUE(is_fine(valid_username, text)) << text;
  for (std::string_view text : {"", " ", "a b", "a@b", "ä", "a/b", "a\n"})
    EXPECT_FALSE(is_fine(valid_username, text)) << text;
  EXPECT_TRUE(is_fine(valid_username, std::string(60, 'a')));
  EXPECT_FALSE(is_fine(valid_username, std::string(61, 'a')));
}

TEST(UserRules, Email) {
  for (std::string_view text : {"a@b", "some.one+x@example.com", "ü@example.com"})
    EXPECT_TRUE(is_fine(valid_email, text)) << text;
  for (std::string_view text : {"", "notamailaddress", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a\t@b"}) {
    EXPECT_FALSE(is_fine(valid_email, text)) << text;
  }
  EXPECT_FALSE(is_fine(valid_email, std::string(250, 'a') + "@b.de"));
}

TEST(UserRules, Password) {
  EXPECT_FALSE(valid_password("ten chars!"));
  EXPECT_TRUE(valid_password("nine char"));
  EXPECT_FALSE(valid_password(std::string(1024, 'x')));
  EXPECT_TRUE(valid_password(std::string(1025, 'x')));
}

TEST(UserEncode, HidesThePrivateFromOthers) {
  User user{Id<User>("user-1"), "ann", "ann@example.com", true, false};
  json::object own = encode(user, true);
  json::object others = encode(user, false);
  EXPECT_EQ(own.at("attributes").at("email"), "ann@example.com");
  EXPECT_EQ(own.at("attributes").at("is-site-admin"), true);
  for (std::string_view name : {"email", "is-site-admin", "is-admin"}) {
    EXPECT_FALSE(others.at("attributes").as_object().contains(name)) << name;
  }
  EXPECT_EQ(others.at("attributes").at("username"), "ann");
  EXPECT_EQ(others.at("type"), "users");
}

}  // namespace
}  // namespace terrane::user
