#include "organization/subscription_api.h"

#include <gtest/gtest.h>

#include "organization/testing_stage.h"

namespace terrane::organization {
namespace {

using test::Stage;

json::object subscription(const std::string& set, json::object attributes = {}) {
  json::object data{{"type", "subscription"}, {"attributes", std::move(attributes)}};
  data["relationships"] = json::object{
      {"feature-set", json::object{{"data", json::object{{"id", set}, {"type", "feature-sets"}}}}}};
  return {{"data", std::move(data)}};
}

Task<std::string> id_of(Stage& stage, std::string search) {
  api::TestAnswer found = co_await stage.get("/api/v2/admin/feature-sets?q=" + search, "user-root");
  co_return found.text("/data/0/id");
}

TEST(SubscriptionApi, SelfHostedOrganizationsHaveWhatIsThere) {
  test::run([](Stage& stage) -> Task<> {
    api::TestAnswer set = co_await stage.get("/api/v2/organizations/acme/entitlement-set");
    EXPECT_EQ(set.text("/data/type"), "entitlement-sets");
    EXPECT_EQ(set.text("/data/id"), "org-1");
    for (const char* name : {"operations", "state-storage", "agents", "teams"})
      EXPECT_EQ(set.at(std::string("/data/attributes/") + name), json::value(true)) << name;
    for (const char* name :
         {"audit-logging", "cost-estimation", "global-run-tasks", "private-module-registry",
          "private-run-tasks", "sso", "sentinel", "vcs-integrations", "policy-enforcement",
          "waypoint-actions", "waypoint-templates-and-addons"}) {
      EXPECT_EQ(set.at(std::string("/data/attributes/") + name), json::value(false)) << name;
    }
    EXPECT_TRUE(set.at("/data/attributes/user-limit").is_null());
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme/subscription")).status, 404);
  });
}

TEST(SubscriptionApi, ASubscriptionDecidesWhatAnOrganizationMayUse) {
  test::run([](Stage& stage) -> Task<> {
    const std::string path = "/api/v2/admin/organizations/acme/subscription";
    const std::string business = co_await id_of(stage, "Business");
    api::TestAnswer made = co_await stage.post(
        path, subscription(business, {{"runs-ceiling", 7}, {"contract-user-limit", 1000}}), "user-root");
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.text("/data/attributes/runs-ceiling"), "7");
    EXPECT_EQ(made.text("/data/relationships/organization/data/id"), "acme");
    api::TestAnswer set = co_await stage.get("/api/v2/organizations/acme/entitlement-set");
    EXPECT_EQ(set.at("/data/attributes/sentinel"), json::value(true));
    EXPECT_EQ(set.text("/data/attributes/user-limit"), "1000");
    api::TestAnswer shown = co_await stage.get("/api/v2/organizations/acme");
    EXPECT_EQ(shown.text("/data/attributes/plan-identifier"), "business");
    EXPECT_EQ(shown.at("/data/attributes/permissions/can-manage-no-code-modules"), json::value(true));
    api::TestAnswer other = co_await stage.get("/api/v2/organizations/evil/entitlement-set", "user-eve");
    EXPECT_EQ(other.at("/data/attributes/sentinel"), json::value(false)) << "the neighbour is untouched";

    api::TestAnswer read =
        co_await stage.get("/api/v2/subscriptions/" + made.text("/data/id") + "?include=feature_set");
    EXPECT_EQ(read.at("/data"), made.at("/data"));
    EXPECT_EQ(read.text("/included/0/attributes/name"), "Business");
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme/subscription")).at("/data"), made.at("/data"));
    EXPECT_EQ((co_await stage.get(path, "user-root")).at("/data"), made.at("/data"));

    const std::string free = co_await id_of(stage, "Free");
    api::TestAnswer again = co_await stage.post(path, subscription(free), "user-root");
    EXPECT_EQ(again.text("/data/attributes/runs-ceiling"), "1") << "what the feature set has";
    set = co_await stage.get("/api/v2/organizations/acme/entitlement-set");
    EXPECT_EQ(set.at("/data/attributes/teams"), json::value(false));
    EXPECT_EQ((co_await stage.get("/api/v2/subscriptions/" + made.text("/data/id"))).status, 404);
  });
}

TEST(SubscriptionApi, ATrialEnds) {
  test::run([](Stage& stage) -> Task<> {
    const std::string trial = co_await id_of(stage, "Trial");
    const std::string path = "/api/v2/admin/organizations/acme/subscription";
    co_await stage.post(path, subscription(trial, {{"end-at", "2099-01-01T00:00:00.000Z"}}), "user-root");
    api::TestAnswer shown = co_await stage.get("/api/v2/organizations/acme");
    EXPECT_EQ(shown.text("/data/attributes/trial-expires-at"), "2099-01-01T00:00:00.000Z");
    co_await stage.post(path, subscription(trial, {{"end-at", "2020-01-01T00:00:00.000Z"}}), "user-root");
    shown = co_await stage.get("/api/v2/organizations/acme");
    EXPECT_TRUE(shown.at("/data/attributes/trial-expires-at").is_null());
    EXPECT_EQ(shown.text("/data/attributes/plan-identifier"), "self_hosted");
    EXPECT_EQ(
        (co_await stage.get("/api/v2/organizations/acme/subscription")).at("/data/attributes/is-active"),
        json::value(false));
  });
}

TEST(SubscriptionApi, ListsFeatureSets) {
  test::run([](Stage& stage) -> Task<> {
    api::TestAnswer all = co_await stage.get("/api/v2/admin/feature-sets?page[size]=2", "user-root");
    EXPECT_EQ(all.at("/data").as_array().size(), 2U);
    EXPECT_EQ(all.text("/data/0/attributes/identifier"), "self_hosted");
    api::TestAnswer offered = co_await stage.get("/api/v2/feature-sets", "user-bob");
    EXPECT_EQ(offered.text("/data/0/attributes/identifier"), "free") << "the default one is not offered";
    EXPECT_EQ(offered.at("/data/0/attributes/agents"), json::value(false));
    EXPECT_EQ(offered.at("/meta/pagination/total-count").as_int64() + 1,
              all.at("/meta/pagination/total-count").as_int64());
    EXPECT_EQ((co_await stage.get("/api/v2/admin/feature-sets?q=standard%20(entitlement)", "user-root"))
                  .text("/data/0/attributes/identifier"),
              "standard");
    EXPECT_EQ((co_await stage.get("/api/v2/admin/feature-sets?q=nothing", "user-root")).text("/data"), "[]");
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme/feature-sets")).status, 200);
  });
}

TEST(SubscriptionApi, OnlySiteAdminsSubscribe) {
  test::run([](Stage& stage) -> Task<> {
    const std::string path = "/api/v2/admin/organizations/acme/subscription";
    const std::string business = co_await id_of(stage, "Business");
    co_await stage.post(path, subscription(business), "user-root");
    const std::string id = (co_await stage.get(path, "user-root")).text("/data/id");
    for (const char* as : {"user-ann", "user-bob", "user-eve", "team-1", "org-1", "run-1"}) {
      EXPECT_EQ((co_await stage.post(path, subscription(business), as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get(path, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get("/api/v2/admin/feature-sets", as)).status, 404) << as;
    }
    for (const char* as : {"user-bob", "user-eve", "run-1"}) {
      EXPECT_EQ((co_await stage.get("/api/v2/subscriptions/" + id, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme/subscription", as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme/feature-sets", as)).status, 404) << as;
    }
    EXPECT_EQ((co_await stage.get("/api/v2/feature-sets", "run-1")).status, 404);
    EXPECT_EQ((co_await stage.post("/api/v2/admin/organizations/nothing/subscription", subscription(business),
                                   "user-root"))
                  .status,
              404);
    api::TestAnswer unknown = co_await stage.post(path, subscription("fs-nothing"), "user-root");
    EXPECT_EQ(unknown.status, 422);
    EXPECT_EQ(unknown.text("/errors/0/source/pointer"), "/data/relationships/feature-set");
    EXPECT_EQ((co_await stage.post(path, json::object{{"data", json::object{}}}, "user-root")).status, 422);
    api::TestAnswer below =
        co_await stage.post(path, subscription(business, {{"runs-ceiling", -1}}), "user-root");
    EXPECT_EQ(below.text("/errors/0/source/pointer"), "/data/attributes/runs-ceiling");
    EXPECT_EQ((co_await stage.get(path, "user-root")).text("/data/id"), id) << "nothing was changed";
  });
}

}  // namespace
}  // namespace terrane::organization
