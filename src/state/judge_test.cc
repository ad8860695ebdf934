#include <gtest/gtest.h>

#include "state/state.h"

namespace terrane::state {
namespace {

struct Case {
  std::optional<Identity> current;
  Identity given;
  Verdict plain, forced;
};

TEST(Judge, EveryCase) {
  const Identity now{5, "line", "aaa"};
  const Identity nameless{5, std::nullopt, "aaa"};
  using enum Verdict;
  const std::vector<Case> cases{
      {std::nullopt, {0, std::nullopt, "x"}, accept, accept},
      {std::nullopt, {9, "line", "x"}, accept, accept},
      {now, {6, "line", "bbb"}, accept, accept},
      {now, {6, "line", "aaa"}, accept, accept},
      {now, {99, "line", "bbb"}, accept, accept},
      {now, {5, "line", "aaa"}, accept, accept},  // the same again is a new version, not an error
      {now, {5, "line", "bbb"}, serial_conflict, accept},
      {now, {4, "line", "aaa"}, serial_conflict, accept},
      {now, {0, "line", "bbb"}, serial_conflict, accept},
      {now, {6, "other", "bbb"}, lineage_conflict, accept},
      {now, {5, "other", "aaa"}, lineage_conflict, accept},
      {now, {4, "other", "bbb"}, lineage_conflict, accept},
      {now, {6, std::nullopt, "bbb"}, accept, accept},  // who names no lineage is not asked for it
      {now, {4, std::nullopt, "bbb"}, serial_conflict, accept},
      {nameless, {6, "any", "bbb"}, accept, accept},
      {nameless, {5, "any", "bbb"}, serial_conflict, accept},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(judge(cases[i].current, cases[i].given, false), cases[i].plain) << i;
    EXPECT_EQ(judge(cases[i].current, cases[i].given, true), cases[i].forced) << i;
  }
}

}  // namespace
}  // namespace terrane::state
