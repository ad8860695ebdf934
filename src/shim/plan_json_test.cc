#include "shim/plan_json.h"

#include <gtest/gtest.h>
#include <string>

namespace terrane::shim {
namespace {

std::string change(const std::string& mode, const std::string& actions, const std::string& more = "") {
  return R"({"address":"a.b","mode":")" + mode + R"(","change":{"actions":)" + actions +
         R"(,"before":{"actions":["create"]})" + more + "}}";
}

PlanCounts count(const std::string& document, std::size_t piece, bool whole = true) {
  PlanCounter counter;
  for (std::size_t i = 0; i < document.size(); i += piece)
    counter.feed(std::string_view(document).substr(i, piece));
  EXPECT_EQ(counter.finish(), whole);
  return counter.counts();
}

std::string plan_of(std::initializer_list<std::string> changes) {
  std::string list;
  for (const std::string& item : changes) list += (list.empty() ? "" : ",") + item;
  return R"({"format_version":"1.2","resource_drift":[)" + change("managed", R"(["delete"])") +
         R"(],"resource_changes":[)" + list +
         R"(],"planned_values":{"resource_changes":[{"mode":"managed"}]}})";
}

TEST(PlanCounter, CountsAsTheEngineDoes) {
  std::string document =
      plan_of({change("managed", R"(["create"])"), change("managed", R"(["update"])"),
               change("managed", R"(["delete"])"), change("managed", R"(["delete","create"])"),
               change("managed", R"(["create","delete"])"), change("managed", R"(["no-op"])"),
               change("managed", R"(["forget"])"), change("data", R"(["read"])"),
               change("managed", R"(["no-op"])", R"(,"importing":{"id":"x"})")});
  for (std::size_t piece : {std::size_t{1}, std::size_t{7}, document.size()}) {
    PlanCounts counts = count(document, piece);
    EXPECT_EQ(counts.additions, 3);
    EXPECT_EQ(counts.changes, 1);
    EXPECT_EQ(counts.destructions, 3);
    EXPECT_EQ(counts.imports, 1);
  }
}

TEST(PlanCounter, APlanThatChangesNothingCountsNothing) {
  PlanCounts counts = count(R"({"format_version":"1.2","output_changes":{"o":{"actions":["create"]}}})", 5);
  EXPECT_EQ(counts.additions + counts.changes + counts.destructions + counts.imports, 0);
}

TEST(PlanCounter, ACutOrDoubledDocumentIsNotWhole) {
  std::string document = plan_of({change("managed", R"(["create"])")});
  count(document.substr(0, document.size() - 1), 16, false);
  count(document + "{", 16, false);
  count("", 16, false);
}

}  // namespace
}  // namespace terrane::shim
