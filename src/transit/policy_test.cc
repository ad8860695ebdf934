#include "transit/policy.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace terrane::transit {
namespace {

constexpr auto update = static_cast<std::uint8_t>(Capability::update);
constexpr auto read = static_cast<std::uint8_t>(Capability::read);

std::vector<std::shared_ptr<const Policy>> policies(std::vector<std::string> texts) {
  std::vector<std::shared_ptr<const Policy>> list;
  for (std::string& text : texts)
    list.push_back(std::make_shared<const Policy>(parse_policy("p", std::move(text))));
  return list;
}

std::string refusal(std::string text) {
  try {
    parse_policy("p", std::move(text));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return error.detail();
  }
  return "accepted";
}

TEST(Policy, ReadsHclWithComments) {
  auto given = policies({R"(
# one
path "transit/encrypt/secrets" { capabilities = ["update", "read",] } // two
/* three
   lines */
path "/transit/decrypt/*" {
  capabilities = ["update"]
}
)"});
  EXPECT_TRUE(allows(given, "transit/encrypt/secrets", update | read));
  EXPECT_FALSE(allows(given, "transit/encrypt/secrets2", update));
  EXPECT_TRUE(allows(given, "transit/decrypt/anything", update));
  EXPECT_FALSE(allows(given, "transit/decrypt/anything", read));
}

TEST(Policy, ReadsJson) {
  auto given = policies({R"({"path":{"transit/+/logs":{"capabilities":["update"]}}})"});
  EXPECT_TRUE(allows(given, "transit/encrypt/logs", update));
  EXPECT_FALSE(allows(given, "transit/encrypt/x/logs", update));
  EXPECT_FALSE(allows(given, "transit//logs", update));
}

TEST(Policy, TheMostSpecificPatternDecides) {
  auto given = policies({R"(path "transit/*" { capabilities = ["update"] }
path "transit/keys/*" { capabilities = ["deny"] }
path "transit/keys/open" { capabilities = ["read"] })"});
  EXPECT_TRUE(allows(given, "transit/encrypt/a", update));
  EXPECT_FALSE(allows(given, "transit/keys/a", update));
  EXPECT_TRUE(allows(given, "transit/keys/open", read));
  EXPECT_FALSE(allows(given, "transit/keys/open", update)) << "the exact rule replaces the wide one";
}

TEST(Policy, EqualPatternsAddUpAndDenyWins) {
  auto both =
      policies({R"(path "a" { capabilities = ["read"] })", R"(path "a" { capabilities = ["update"] })"});
  EXPECT_TRUE(allows(both, "a", read | update));
  auto denied =
      policies({R"(path "a" { capabilities = ["read"] })", R"(path "a" { capabilities = ["deny"] })"});
  EXPECT_FALSE(allows(denied, "a", read));
  EXPECT_FALSE(allows({}, "a", read));
}

TEST(Policy, RefusesWhatItWouldNotEnforce) {
  EXPECT_NE(refusal(R"(path "a" { capabilities = ["read"] allowed_parameters = { "x" = [] } })")
                .find("allowed_parameters"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"path":{"a":{"policy":"read"}}})").find("'policy'"), std::string::npos);
  EXPECT_NE(refusal(R"(path "secret/{{identity.entity.id}}" { capabilities = ["read"] })").find("templates"),
            std::string::npos);
  EXPECT_NE(refusal(R"(path "a/*/b" { capabilities = ["read"] })").find("'*'"), std::string::npos);
  EXPECT_NE(refusal(R"(path "a+" { capabilities = ["read"] })").find("'+'"), std::string::npos);
  EXPECT_NE(refusal(R"(path "a" { capabilities = ["write"] })").find("invalid capability 'write'"),
            std::string::npos);
}

TEST(Policy, BadTextIsAnErrorWhereverItBreaks) {
  const std::string good = R"(path "transit/encrypt/a" { capabilities = ["update", "read"] } # x)";
  const std::size_t body_end = good.find(" #");
  for (std::size_t size = 1; size < body_end; ++size)
    EXPECT_NE(refusal(good.substr(0, size)), "accepted") << size;
  for (const char* text :
       {"/*", "path", "path \"a", "{", "[]", "{\"path\":[]}", "\"", "path \"a\\n\" {}", "}"}) {
    EXPECT_NE(refusal(text), "accepted") << text;
  }
}

}  // namespace
}  // namespace terrane::transit
