#include "organization/admin_api.h"

#include <gtest/gtest.h>

#include "organization/admin.h"
#include "organization/testing_stage.h"

namespace terrane::organization {
namespace {

using api::test_document;
using test::Stage;

const std::string all = "/api/v2/admin/organizations";
const std::string acme = all + "/acme";
const std::string consumers = acme + "/relationships/module-consumers";

json::object names(std::initializer_list<const char*> list) {
  json::array data;
  for (const char* name : list) data.push_back(json::object{{"id", name}, {"type", "organizations"}});
  return {{"data", std::move(data)}};
}

TEST(AdminApi, ListsAndSearches) {
  test::run([](Stage& stage) -> Task<> {
    api::TestAnswer every = co_await stage.get(all, "user-root");
    EXPECT_EQ(every.text("/meta/pagination/total-count"), "2");
    EXPECT_EQ(every.text("/data/0/attributes/external-id"), "org-1");
    EXPECT_FALSE(every.json.as_object().contains("included"));
    api::TestAnswer found = co_await stage.get(all + "?q=EVI&include=owners", "user-root");
    EXPECT_EQ(found.text("/meta/pagination/total-count"), "1");
    EXPECT_EQ(found.text("/data/0/relationships/owners/data/0/id"), "user-eve");
    EXPECT_EQ(found.text("/included/0/id"), "user-eve");
    EXPECT_EQ(found.text("/included/0/attributes/email"), "e@x");
    EXPECT_EQ((co_await stage.get(all + "?q=nothing", "user-root")).text("/data"), "[]");
    EXPECT_EQ((co_await stage.get(all + "?include=nothing", "user-root")).status, 400);
    EXPECT_EQ((co_await stage.get(all + "/nothing", "user-root")).status, 404);
  });
}

TEST(AdminApi, ChangesWhatOwnersDoNotSet) {
  test::run([](Stage& stage) -> Task<> {
    api::TestAnswer before = co_await stage.get(acme, "user-root");
    EXPECT_TRUE(before.at("/data/attributes/workspace-limit").is_null());
    EXPECT_TRUE(before.at("/data/attributes/plan-timeout").is_null());
    json::object wanted{{"access-beta-tools", true},
                        {"global-module-sharing", true},
                        {"global-provider-sharing", true},
                        {"terraform-worker-sudo-enabled", true},
                        {"workspace-limit", 42},
                        {"plan-timeout", "2h30m"},
                        {"terraform-build-worker-apply-timeout", "24h"}};
    api::TestAnswer changed = co_await stage.patch(acme, test_document("organizations", wanted), "user-root");
    EXPECT_EQ(changed.status, 200) << changed.body;
    for (const auto& [name, value] : wanted)
      EXPECT_EQ(changed.at("/data/attributes/" + std::string(name)), value) << name;
    EXPECT_EQ(changed.text("/data/attributes/apply-timeout"), "24h") << "one time by two names";
    EXPECT_EQ((co_await stage.get(acme, "user-root")).at("/data"), changed.at("/data"));
    for (const char* bad : {"", "h", "24", "10x", "59s", "169h", "2h2h", "99999999h", " 2h"}) {
      json::object attributes{{"plan-timeout", bad}};
      api::TestAnswer refused =
          co_await stage.patch(acme, test_document("organizations", std::move(attributes)), "user-root");
      EXPECT_EQ(refused.text("/errors/0/source/pointer"), "/data/attributes/plan-timeout") << bad;
    }
    EXPECT_EQ(
        (co_await stage.patch(acme, test_document("organizations", {{"workspace-limit", -1}}), "user-root"))
            .status,
        422);
    EXPECT_EQ((co_await stage.get(acme, "user-root")).at("/data"), changed.at("/data"));
  });
}

TEST(AdminApi, LimitsWorkspaces) {
  test::run([](Stage& stage) -> Task<> {
    auto has_room = [&]() -> Task<bool> {
      postgres::Tx tx = co_await stage.database.begin();
      bool room = true;
      try {
        co_await require_room_for_workspace(tx, "org-1");
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::unprocessable);
        EXPECT_NE(error.detail().find("at most 1 workspaces"), std::string::npos);
        room = false;
      }
      co_return room;
    };
    EXPECT_TRUE(co_await has_room()) << "without a limit there is always room";
    for (auto [limit, room] : {std::pair(1, false), std::pair(2, true), std::pair(0, true)}) {
      co_await stage.patch(acme, test_document("organizations", {{"workspace-limit", limit}}), "user-root");
      EXPECT_EQ(co_await has_room(), room) << limit;
    }
  });
}

TEST(AdminApi, SharesModules) {
  test::run([](Stage& stage) -> Task<> {
    EXPECT_EQ((co_await stage.get(consumers, "user-root")).text("/data"), "[]");
    api::TestAnswer unknown = co_await stage.patch(consumers, names({"evil", "1Hello!"}), "user-root");
    EXPECT_EQ(unknown.status, 404);
    EXPECT_EQ(unknown.text("/errors/0/detail"), "Organization 1Hello! not found");
    EXPECT_EQ((co_await stage.get(consumers, "user-root")).text("/data"), "[]") << "nothing was stored";
    EXPECT_EQ((co_await stage.patch(consumers, names({"EVIL", "evil"}), "user-root")).status, 204);
    api::TestAnswer list = co_await stage.get(consumers, "user-root");
    EXPECT_EQ(list.text("/meta/pagination/total-count"), "1");
    EXPECT_EQ(list.text("/data/0/id"), "evil");
    EXPECT_EQ((co_await stage.patch(consumers, names({}), "user-root")).status, 204);
    EXPECT_EQ((co_await stage.get(consumers, "user-root")).text("/data"), "[]");
    EXPECT_EQ((co_await stage.patch(consumers, json::object{{"data", 5}}, "user-root")).status, 422);
  });
}

TEST(AdminApi, DeletesAndIsForSiteAdminsOnly) {
  test::run([](Stage& stage) -> Task<> {
    for (const char* as : {"user-ann", "user-bob", "user-eve", "team-1", "org-1", "run-1"}) {
      EXPECT_EQ((co_await stage.get(all, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get(acme, as)).status, 404) << as;
      EXPECT_EQ(
          (co_await stage.patch(acme, test_document("organizations", {{"is-disabled", true}}), as)).status,
          404)
          << as;
      EXPECT_EQ((co_await stage.get(consumers, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.patch(consumers, names({"evil"}), as)).status, 404) << as;
      EXPECT_EQ((co_await stage.del(acme, as)).status, 404) << as;
    }
    EXPECT_EQ((co_await stage.del(acme, "user-root")).status, 204);
    EXPECT_EQ((co_await stage.del(acme, "user-root")).status, 404);
    EXPECT_EQ((co_await stage.get(acme, "user-root")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme")).status, 404);
  });
}

TEST(RetentionApi, HasOneOfTwoKinds) {
  test::run([](Stage& stage) -> Task<> {
    const std::string policy = "/api/v2/organizations/acme/relationships/data-retention-policy";
    const std::string older = "data-retention-policy-delete-olders";
    EXPECT_EQ((co_await stage.get(policy)).status, 404);
    EXPECT_EQ((co_await stage.del(policy)).status, 404);
    EXPECT_TRUE((co_await stage.get("/api/v2/organizations/acme"))
                    .at("/data/relationships/data-retention-policy/data")
                    .is_null());
    auto days = [&](int number) { return test_document(older, {{"delete-older-than-n-days", number}}); };
    api::TestAnswer made = co_await stage.post(policy, days(33));
    EXPECT_EQ(made.status, 200) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("drp-"));
    EXPECT_EQ((co_await stage.get(policy)).at("/data"), made.at("/data"));
    api::TestAnswer shown = co_await stage.get("/api/v2/organizations/acme");
    EXPECT_EQ(shown.text("/data/relationships/data-retention-policy/data/id"), made.text("/data/id"));
    EXPECT_EQ(shown.text("/data/relationships/data-retention-policy/data/type"), older);
    api::TestAnswer changed = co_await stage.post(policy, days(1));
    EXPECT_EQ(changed.text("/data/id"), made.text("/data/id"));
    EXPECT_EQ(changed.text("/data/attributes/delete-older-than-n-days"), "1");
    api::TestAnswer kept =
        co_await stage.post(policy, test_document("data-retention-policy-dont-deletes", {}));
    EXPECT_EQ(kept.status, 200);
    EXPECT_NE(kept.text("/data/id"), made.text("/data/id"));
    EXPECT_EQ((co_await stage.get(policy)).text("/data/type"), "data-retention-policy-dont-deletes");
    api::TestAnswer old_name = co_await stage.patch(
        policy, test_document("data-retention-policies", {{"delete-older-than-n-days", 5}}));
    EXPECT_EQ(old_name.text("/data/type"), "data-retention-policies");
    EXPECT_EQ((co_await stage.get(policy)).text("/data/type"), older);
    for (int bad : {0, -1, 36501}) {
      EXPECT_EQ((co_await stage.post(policy, days(bad))).text("/errors/0/source/pointer"),
                "/data/attributes/delete-older-than-n-days")
          << bad;
    }
    EXPECT_EQ((co_await stage.post(policy, test_document("others", {}))).text("/errors/0/source/pointer"),
              "/data/type");
    for (const char* as : {"user-bob", "user-eve", "run-1"}) {
      EXPECT_EQ((co_await stage.get(policy, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.post(policy, days(7), as)).status, 404) << as;
      EXPECT_EQ((co_await stage.del(policy, as)).status, 404) << as;
    }
    EXPECT_EQ((co_await stage.get(policy)).text("/data/attributes/delete-older-than-n-days"), "5");
    EXPECT_EQ((co_await stage.del(policy)).status, 204);
    EXPECT_EQ((co_await stage.get(policy)).status, 404);
  });
}

}  // namespace
}  // namespace terrane::organization
