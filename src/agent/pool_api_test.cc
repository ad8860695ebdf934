#include "agent/pool_api.h"

#include <gtest/gtest.h>

#include "agent/pool.h"
#include "workspace/testing_stage.h"
#include "workspace/workspace_api.h"

namespace terrane::agent {
namespace {

struct Stage : workspace::test::Stage {
  PoolApi pools;
  workspace::Api workspaces;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : workspace::test::Stage(on, at), pools(database, tokens, includes), workspaces(database, includes) {
    pools.add_routes(router);
    workspaces.add_routes(router);
  }
};

void run(std::function<Task<>(Stage&)> body) { workspace::test::run_on<Stage>(std::move(body)); }

const std::string all = "/api/v2/organizations/acme/agent-pools";

/// A pool's document whose lists are given by name, with the ids in them.
json::object pool(json::object attributes, std::map<std::string, std::vector<std::string>> lists = {}) {
  json::object relationships;
  for (const auto& [name, ids] : lists) {
    const bool projects = name == "allowed-projects";
    relationships[name] = jsonapi::linkage(projects ? "projects" : "workspaces", ids);
  }
  return {{"data", json::object{{"type", "agent-pools"},
                                {"attributes", std::move(attributes)},
                                {"relationships", std::move(relationships)}}}};
}

/// The names of a list's pools, in its order.
std::string names_of(const api::TestAnswer& list) {
  std::string names;
  const json::value data = list.at("/data");
  for (const json::value& item : data.as_array())
    names += std::string(item.at_pointer("/attributes/name").as_string()) + " ";
  return names;
}

TEST(PoolApi, MakesShowsChangesAndDeletes) {
  run([](Stage& stage) -> Task<> {
    api::TestAnswer made =
        co_await stage.post(all, pool({{"name", "near"}, {"organization-scoped", false}},
                                      {{"allowed-workspaces", {"ws-1"}}, {"allowed-projects", {"prj-2"}}}));
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("apool-"));
    EXPECT_EQ(made.text("/data/attributes/agent-count"), "0");
    EXPECT_EQ(made.text("/data/relationships/organization/data/id"), "acme");
    EXPECT_EQ(made.text("/data/relationships/allowed-workspaces/data/0/id"), "ws-1");
    EXPECT_EQ(made.text("/data/relationships/allowed-projects/data/0/id"), "prj-2");
    EXPECT_EQ(made.text("/data/relationships/excluded-workspaces/data"), "[]");
    const std::string one = "/api/v2/agent-pools/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.get(one)).at("/data"), made.at("/data"));

    api::TestAnswer named = co_await stage.patch(one, pool({{"name", "far"}}));
    EXPECT_EQ(named.text("/data/attributes/name"), "far");
    EXPECT_EQ(named.at("/data/relationships"), made.at("/data/relationships")) << "what is not given stays";
    api::TestAnswer changed = co_await stage.patch(
        one, pool({}, {{"allowed-workspaces", {}}, {"excluded-workspaces", {"ws-2", "ws-1"}}}));
    EXPECT_EQ(changed.text("/data/relationships/allowed-workspaces/data"), "[]");
    EXPECT_EQ(changed.text("/data/relationships/excluded-workspaces/data/1/id"), "ws-2");
    EXPECT_EQ(changed.text("/data/relationships/allowed-projects/data/0/id"), "prj-2");

    EXPECT_EQ((co_await stage.get(one + "/agents")).text("/meta/pagination/total-count"), "0");
    EXPECT_EQ((co_await stage.del(one)).status, 204);
    EXPECT_EQ((co_await stage.del(one)).status, 404);
    EXPECT_EQ((co_await stage.get(one)).status, 404);
    EXPECT_EQ((co_await stage.get(one + "/agents")).status, 404);
  });
}

TEST(PoolApi, FiltersAndSorts) {
  run([](Stage& stage) -> Task<> {
    co_await stage.post(all, pool({{"name", "b-everybody"}}));
    co_await stage.post(
        all, pool({{"name", "a-one"}, {"organization-scoped", false}}, {{"allowed-workspaces", {"ws-1"}}}));
    co_await stage.post(all, pool({{"name", "c-project"}, {"organization-scoped", false}},
                                  {{"allowed-projects", {"prj-1"}}, {"excluded-workspaces", {"ws-2"}}}));
    for (auto [query, names] :
         {std::pair("", "a-one b-everybody c-project "),
          std::pair("?sort=-name", "c-project b-everybody a-one "),
          std::pair("?sort=created-at", "b-everybody a-one c-project "),
          std::pair("?sort=-created-at", "c-project a-one b-everybody "),
          std::pair("?q=EVERY", "b-everybody "),
          std::pair("?filter[allowed_workspaces][name]=one", "a-one b-everybody c-project "),
          std::pair("?filter[allowed_workspaces][name]=two", "b-everybody "),
          std::pair("?filter[allowed_workspaces][name]=nine", ""),
          std::pair("?filter[allowed_projects][name]=other", "b-everybody "),
          std::pair("?filter[allowed_projects][name]=Default%20Project", "b-everybody c-project "),
          std::pair("?page[size]=1&page[number]=2", "b-everybody ")}) {
      EXPECT_EQ(names_of(co_await stage.get(all + query)), names) << query;
    }
    EXPECT_EQ((co_await stage.get(all + "?page[number]=999")).text("/meta/pagination/total-count"), "3");
    EXPECT_EQ((co_await stage.get(all + "?sort=nonsense")).status, 400);
    EXPECT_EQ((co_await stage.get(all + "?include=nonsense")).status, 400);
  });
}

TEST(PoolApi, StaysWhileItIsUsed) {
  run([](Stage& stage) -> Task<> {
    api::TestAnswer made = co_await stage.post(all, pool({{"name", "near"}}));
    const std::string id = made.text("/data/id");
    const std::string one = "/api/v2/agent-pools/" + id;
    stage.place.run("UPDATE terrane.workspaces SET agent_pool_id = '" + id + "' WHERE id = 'ws-1'");
    api::TestAnswer shown = co_await stage.get(one + "?include=workspaces");
    EXPECT_EQ(shown.text("/data/relationships/workspaces/data/0/id"), "ws-1");
    EXPECT_EQ(shown.text("/included/0/attributes/name"), "one");
    EXPECT_EQ((co_await stage.get(all + "?include=workspaces")).text("/included/0/id"), "ws-1");
    EXPECT_EQ((co_await stage.del(one)).status, 409);
    stage.place.run(
        "UPDATE terrane.workspaces SET agent_pool_id = NULL; UPDATE terrane.organizations SET "
        "default_agent_pool_id = '" +
        id + "' WHERE id = 'org-1'");
    EXPECT_EQ((co_await stage.del(one)).status, 409);
    stage.place.run("UPDATE terrane.organizations SET default_agent_pool_id = NULL");
    EXPECT_EQ((co_await stage.del(one)).status, 204);
  });
}

TEST(PoolApi, HasTokensThatEndWithIt) {
  run([](Stage& stage) -> Task<> {
    api::TestAnswer made = co_await stage.post(all, pool({{"name", "near"}}));
    const std::string one = "/api/v2/agent-pools/" + made.text("/data/id");
    const std::string tokens = one + "/authentication-tokens";
    api::TestAnswer first =
        co_await stage.post(tokens, api::test_document("agent-tokens", {{"description", "mine"}}));
    EXPECT_EQ(first.status, 201) << first.body;
    EXPECT_FALSE(first.text("/data/attributes/token").empty());
    EXPECT_EQ(first.text("/data/relationships/created-by/data/id"), "user-ann");
    co_await stage.post(tokens, api::test_document("authentication-tokens", {{"description", "other"}}));
    api::TestAnswer list = co_await stage.get(tokens);
    EXPECT_EQ(list.text("/meta/pagination/total-count"), "2");
    EXPECT_TRUE(list.at("/data/0/attributes/token").is_null());
    for (json::object bad : {json::object{}, json::object{{"description", " "}}}) {
      api::TestAnswer refused = co_await stage.post(tokens, api::test_document("agent-tokens", bad));
      EXPECT_EQ(refused.text("/errors/0/source/pointer"), "/data/attributes/description");
    }
    EXPECT_EQ((co_await stage.del(one)).status, 204);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.tokens WHERE kind = 'agent'"), "0");
  });
}

TEST(PoolApi, IsForWhoManagesAndIsEntitled) {
  run([](Stage& stage) -> Task<> {
    api::TestAnswer made = co_await stage.post(all, pool({{"name", "near"}}));
    const std::string one = "/api/v2/agent-pools/" + made.text("/data/id");
    const json::object token = api::test_document("agent-tokens", {{"description", "mine"}});
    auto refused = [&](const char* as) -> Task<> {
      EXPECT_EQ((co_await stage.get(all, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.post(all, pool({{"name", "new"}}), as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get(one, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.patch(one, pool({{"name", "new"}}), as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get(one + "/agents", as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get(one + "/authentication-tokens", as)).status, 404) << as;
      EXPECT_EQ((co_await stage.post(one + "/authentication-tokens", token, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.del(one, as)).status, 404) << as;
    };
    for (const char* as : {"user-bob", "user-eve", "run-1"}) co_await refused(as);
    for (const char* as : {"user-ann", "user-root", "team-1", "org-1"})
      EXPECT_EQ((co_await stage.get(one, as)).status, 200) << as;
    stage.place.run(
        "INSERT INTO terrane.subscriptions (id, organization_id, feature_set_id) SELECT 'sub-1', 'org-1', id "
        "FROM terrane.feature_sets WHERE identifier = 'free'");
    for (const char* as : {"user-ann", "user-root"}) co_await refused(as);
  });
}

TEST(PoolApi, RefusesBadInputAndStoresNothing) {
  run([](Stage& stage) -> Task<> {
    api::TestAnswer made = co_await stage.post(all, pool({{"name", "near"}}));
    const std::string one = "/api/v2/agent-pools/" + made.text("/data/id");
    struct Bad {
      json::object body;
      const char* pointer;
    };
    const std::vector<Bad> bad{
        {pool({{"name", ""}}), "/data/attributes/name"},
        {pool({{"name", "a b"}}), "/data/attributes/name"},
        {pool({{"name", 5}}), "/data/attributes/name"},
        {pool({{"name", "new"}, {"organization-scoped", "no"}}), "/data/attributes/organization-scoped"},
        {pool({{"name", "new"}}, {{"allowed-workspaces", {"ws-9"}}}),
         "/data/relationships/allowed-workspaces"},
        {pool({{"name", "new"}}, {{"allowed-workspaces", {"ws-1", "nothing"}}}),
         "/data/relationships/allowed-workspaces"},
        {pool({{"name", "new"}}, {{"allowed-projects", {"prj-9"}}}), "/data/relationships/allowed-projects"},
        {pool({{"name", "new"}}, {{"excluded-workspaces", std::vector<std::string>(1001, "ws-1")}}),
         "/data/relationships/excluded-workspaces/data"},
    };
    for (const Bad& item : bad) {
      for (bool change : {false, true}) {
        api::TestAnswer answer =
            change ? co_await stage.patch(one, item.body) : co_await stage.post(all, item.body);
        EXPECT_EQ(answer.status, 422) << json::serialize(item.body).substr(0, 200);
        EXPECT_EQ(answer.text("/errors/0/source/pointer"), item.pointer);
      }
    }
    api::TestAnswer taken = co_await stage.post(all, pool({{"name", "near"}}));
    EXPECT_EQ(taken.text("/errors/0/detail"), "Name has already been taken");
    EXPECT_EQ((co_await stage.get(all)).at("/data/0"), made.at("/data"));
    EXPECT_EQ((co_await stage.get(all)).text("/meta/pagination/total-count"), "1");
  });
}

}  // namespace
}  // namespace terrane::agent
