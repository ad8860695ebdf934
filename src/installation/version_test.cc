#include "installation/version.h"

#include <gtest/gtest.h>

namespace terrane::installation {
namespace {

TEST(Version, IsOrderedAsSemver) {
  const std::vector<std::string> ascending{"0.9.9",      "1.0.0-alpha",  "1.0.0-alpha.1", "1.0.0-alpha.beta",
                                           "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
                                           "1.0.0",      "1.0.1",        "1.9.0",         "1.10.0",
                                           "2.0.0"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(*parse_version(ascending[i]) < *parse_version(ascending[j]), i < j)
          << ascending[i] << " " << ascending[j];
    }
  }
}

TEST(Version, RefusesWhatIsNone) {
  for (std::string_view text :
       {"", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.x", "1..3", ".1.2", "1.2.3-", "1.2.3-a..b", "1.2.3+meta",
        "1.2.3 ", "-1.2.3", "1.2.99999999999999999999", "latest"}) {
    EXPECT_FALSE(parse_version(text)) << text;
  }
  EXPECT_FALSE(parse_version("1.2.3-" + std::string(1000, 'a')));
}

std::optional<std::string> resolve(std::string_view wanted) {
  const std::vector<Candidate> registered{
      {"1.3.0"},        {"1.5.0"},        {"1.5.7"},
      {"1.5.10"},       {"1.6.0", false}, {"1.10.2"},
      {"1.12.6"},       {"1.13.0-beta1"}, {"1.14.0", true, true},
      {"2.0.0", false}, {"0.15.5"},
  };
  return resolve_version(registered, wanted);
}

TEST(ResolveVersion, TakesTheHighestThatFits) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"1.5.7", "1.5.7"},
      {"latest", "1.12.6"},
      {"~> 1.5.0", "1.5.10"},
      {"~>1.5.8", "1.5.10"},
      {"~> 1.5", "1.12.6"},
      {">= 1.3, < 1.5.10", "1.5.7"},
      {"> 1.5.10", "1.12.6"},
      {"<= 1.5.0", "1.5.0"},
      {"= 1.3.0", "1.3.0"},
      {"1.3", "1.3.0"},
      {"!= 1.12.6", "1.10.2"},
      {"< 1", "0.15.5"},
      {"1.13.0-beta1", "1.13.0-beta1"},
      {"1.14.0", "1.14.0"},
      {"  ~> 1.10.0 ", "1.10.2"},
      {">=1.5.0,<1.6,!=1.5.10", "1.5.7"},
  };
  for (const auto& [wanted, expected] : cases) EXPECT_EQ(resolve(wanted), expected) << wanted;
}

TEST(ResolveVersion, FindsNothingOtherwise) {
  for (std::string_view wanted :
       {"1.6.0", "2.0.0", "9.9.9", "~> 1.4.0", "> 2", ">= 1.13.0", "", " ", ",", ">=", "~> x", "1.5.7,",
        "=> 1", ">> 1", "1.5.7 1.5.0", "LATEST", "v1.5.7"}) {
    EXPECT_FALSE(resolve(wanted)) << wanted;
  }
  EXPECT_FALSE(resolve_version({}, "latest"));
}

TEST(ResolveVersion, KnowsWhatItUnderstands) {
  for (std::string_view wanted : {"latest", "1.5.7", "~> 1.5", ">= 1, < 2"})
    EXPECT_TRUE(is_version_or_constraint(wanted)) << wanted;
  for (std::string_view wanted : {"", "newest", "~> ", "1.2.3.4"})
    EXPECT_FALSE(is_version_or_constraint(wanted)) << wanted;
  EXPECT_FALSE(is_version_or_constraint(">= 1" + std::string(10'000, ',')));
}

}  // namespace
}  // namespace terrane::installation
