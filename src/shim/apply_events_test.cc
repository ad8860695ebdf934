#include "shim/apply_events.h"

#include <gmock/gmock.h>

#include "base/json.h"

namespace terrane::shim {
namespace {

using testing::HasSubstr;

std::string complete(const std::string& address, const std::string& action, const std::string& id) {
  json::object hook{{"resource", {{"addr", address}}}, {"action", action}};
  if (!id.empty()) hook["id_key"] = "id", hook["id_value"] = id;
  return json::serialize(json::object{{"type", "apply_complete"}, {"hook", hook}}) + "\n";
}

ApplyEvents read(const std::string& text, std::size_t piece = 3) {
  ApplyEventReader reader;
  for (std::size_t i = 0; i < text.size(); i += piece) reader.feed(std::string_view(text).substr(i, piece));
  return reader.events();
}

TEST(ApplyEvents, CountsAndRemembersWhatWasMade) {
  ApplyEvents events = read(complete("a.b", "create", "1") + "no json\n" + complete("a.c", "update", "2") +
                            complete("a.d", "delete", "") + complete("a.e", "create", "") +
                            R"({"type":"diagnostic","@level":"warn"})"
                            "\n" +
                            complete("a.f", "create", "cut").substr(0, 20));
  EXPECT_EQ(events.additions, 2);
  EXPECT_EQ(events.changes, 1);
  EXPECT_EQ(events.destructions, 1);
  ASSERT_EQ(events.made.size(), 1u);
  EXPECT_EQ(events.made[0].address, "a.b");
  EXPECT_EQ(events.made[0].id, "1");
  EXPECT_FALSE(events.error_shown);
}

TEST(ApplyEvents, TheEnginesSummaryCounts) {
  ApplyEvents events = read(
      complete("a.b", "create", "1") +
      R"({"type":"change_summary","changes":{"add":1,"change":0,"import":2,"remove":3,"operation":"apply"}})"
      "\n"
      R"({"type":"diagnostic","@level":"error"})"
      "\n");
  EXPECT_EQ(events.additions, 1);
  EXPECT_EQ(events.destructions, 3);
  EXPECT_EQ(events.imports, 2);
  EXPECT_TRUE(events.error_shown);
}

TEST(ApplyEvents, AnEndlessLineIsPassedOver) {
  ApplyEvents events = read(std::string(2'000'000, 'x') + "\n" + complete("a.b", "create", "1"), 65536);
  EXPECT_EQ(events.made.size(), 1u);
}

std::string chatter(std::size_t size) {
  json::object hook{{"output", std::string(size, 'x')}};
  return json::serialize(json::object{{"hook", hook}, {"type", "provision_progress"}}) + "\n";
}

TEST(ChatterFinder, FindsTheOutputOfProvisionersAndNothingElse) {
  std::string made;
  for (int i = 0; i < 3; ++i) {
    made += complete("a.before" + std::to_string(i), "create", std::to_string(i));
    for (int line = 0; line < 400; ++line) made += chatter(1000);
    made += chatter(2'000'000);  // longer than what is kept of a line
  }
  made += complete("a.last", "create", R"("type":"provision_progress")");
  made += R"({"type":"diagnostic","@level":"error"})"
          "\n";
  for (std::size_t piece : {std::size_t{1000}, std::size_t{65536}, made.size()}) {
    std::string left = made;
    ChatterFinder finder([&](std::uint64_t begin, std::uint64_t end) {
      ASSERT_LT(begin, end);
      ASSERT_LE(end, left.size());
      EXPECT_EQ(left[end - 1], '\n');
      left.replace(begin, end - 1 - begin, end - 1 - begin, '\0');
    });
    for (std::size_t i = 0; i < made.size(); i += piece) finder.feed(std::string_view(made).substr(i, piece));
    EXPECT_LT(left.size() - static_cast<std::size_t>(std::count(left.begin(), left.end(), '\0')), 2000u);
    ApplyEvents events = read(left, 65536);
    EXPECT_EQ(events.made.size(), 4u);
    EXPECT_TRUE(events.error_shown);
  }
}

TEST(TextEvents, AreMadeOfWhatPeopleRead) {
  TextEvents text;
  ApplyEventReader reader;
  std::string output =
      "module.m[\"k\"].t.a: Creating...\nmodule.m[\"k\"].t.a: Creation complete after 1m2s [id=i-1]\nt.b: "
      "Creation complete after 0s\n" +
      std::string(100'000, 'x') +
      "\n\nApply complete! Resources: 1 imported, 2 added, 3 changed, 4 destroyed.\n";
  for (char c : output) reader.feed(text.feed(std::string_view(&c, 1)));
  ASSERT_EQ(reader.events().made.size(), 1u);
  EXPECT_EQ(reader.events().made[0].address, "module.m[\"k\"].t.a");
  EXPECT_EQ(reader.events().made[0].id, "i-1");
  EXPECT_EQ(reader.events().additions, 2);
  EXPECT_EQ(reader.events().changes, 3);
  EXPECT_EQ(reader.events().destructions, 4);
  EXPECT_EQ(reader.events().imports, 1);
}

Instances instances_of(const std::string& state) {
  InstanceReader reader;
  for (std::size_t i = 0; i < state.size(); i += 5) reader.feed(std::string_view(state).substr(i, 5));
  return reader.instances();
}

TEST(Instances, HaveTheAddressesThatTheEngineUses) {
  Instances found = instances_of(R"({"version":4,"serial":1,"lineage":"l","resources":[
    {"mode":"managed","type":"t","name":"one","instances":[{"attributes":{"id":"1","nested":{"id":"no"}}}]},
    {"module":"module.m[\"k\"]","mode":"managed","type":"t","name":"many","instances":[
      {"index_key":"a\"b ${x}","attributes":{"id":"2"}},
      {"index_key":"a\"b ${x}","deposed":"d","attributes":{"id":"3"}},
      {"index_key":7,"attributes":{}}]},
    {"instances":[{"attributes":{"id":"4"}}],"name":"late","type":"t","mode":"data"}]})");
  Instances wanted = {{"t.one", {"1"}},
                      {"module.m[\"k\"].t.many[\"a\\\"b $${x}\"]", {"2", "3"}},
                      {"module.m[\"k\"].t.many[7]", {}},
                      {"data.t.late", {"4"}}};
  EXPECT_EQ(found, wanted);
}

TEST(ImportList, NamesWhatTheStateLacks) {
  std::vector<Made> made = {{"t.saved", "1"},
                            {"t.lost[\"x\"]", "i-\"2${a}"},
                            {"t.replaced", "old"},
                            {"t.replaced", "new"},
                            {"t.without_id", "9"}};
  Instances saved = {{"t.saved", {"1"}}, {"t.replaced", {"before"}}, {"t.without_id", {}}};
  std::string list = import_list(made, saved);
  EXPECT_THAT(list, HasSubstr("import {\n  to = t.lost[\"x\"]\n  id = \"i-\\\"2$${a}\"\n}\n"));
  EXPECT_THAT(list, HasSubstr("# The saved state has t.replaced with another id"));
  EXPECT_THAT(list, HasSubstr("  id = \"new\"\n"));
  EXPECT_EQ(list.find("t.saved"), std::string::npos);
  EXPECT_EQ(list.find("t.without_id"), std::string::npos);
  EXPECT_EQ(list.find("\"old\""), std::string::npos);
  EXPECT_EQ(import_list({{"t.saved", "1"}}, saved), "");
}

}  // namespace
}  // namespace terrane::shim
