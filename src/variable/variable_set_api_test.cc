#include "variable/variable_set_api.h"

#include <gtest/gtest.h>

#include "organization/organization_api.h"
#include "variable/variable.h"
#include "variable/variable_api.h"
#include "vault_client/fake_vault.h"
#include "workspace/testing_stage.h"
#include "workspace/workspace_api.h"

namespace terrane::variable {
namespace {

using api::test_document;

struct Stage : workspace::test::Stage {
  vault_client::FakeVault vault;
  VariableApi variables;
  VariableSetApi sets;
  workspace::Api workspaces;
  organization::ProjectApi projects;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : workspace::test::Stage(on, at),
        variables(database, vault, includes),
        sets(database, vault, includes),
        workspaces(database, includes),
        projects(database, includes) {
    variables.add_routes(router);
    workspaces.add_routes(router);
    projects.add_routes(router);
    sets.add_routes(router);
  }

  /// Makes a set and returns its id.
  Task<std::string> make(json::object attributes, json::object relationships = {}) {
    json::object body = test_document("varsets", std::move(attributes));
    body["data"].as_object()["relationships"] = std::move(relationships);
    api::TestAnswer made = co_await post("/api/v2/organizations/acme/varsets", std::move(body));
    EXPECT_EQ(made.status, 201) << made.body;
    co_return made.text("/data/id");
  }
  /// Gives a workspace or a set a variable.
  Task<api::TestAnswer> add(std::string owner, std::string key, std::string value,
                            std::string category = "terraform") {
    const bool in_set = owner.starts_with("varset-");
    const std::string path =
        in_set ? "/api/v2/varsets/" + owner + "/relationships/vars" : "/api/v2/workspaces/" + owner + "/vars";
    co_return co_await post(path,
                            test_document("vars", {{"key", key}, {"value", value}, {"category", category}}));
  }
  Task<int> apply(std::string set, std::string what, std::vector<std::string> ids) {
    api::TestAnswer answer =
        co_await post("/api/v2/varsets/" + set + "/relationships/" + what, jsonapi::linkage(what, ids));
    co_return answer.status;
  }
  /// `key=value` of what a workspace's run gets.
  Task<std::string> effective(std::string workspace) {
    api::TestAnswer list = co_await get("/api/v2/workspaces/" + workspace + "/all-vars", "user-root");
    std::string out;
    const json::value data = list.at("/data");
    for (const json::value& item : data.as_array()) {
      out += std::string(item.at_pointer("/attributes/key").as_string()) + "=" +
             std::string(item.at_pointer("/attributes/value").as_string()) + " ";
    }
    co_return out;
  }
};

void run(std::function<Task<>(Stage&)> body) {
  workspace::test::run_on<Stage>([body = std::move(body)](Stage& stage) -> Task<> {
    co_await stage.vault.ensure_key("terrane");
    co_await body(stage);
  });
}

json::object parent(const char* type, const char* id) {
  return {{"parent", json::object{{"data", json::object{{"type", type}, {"id", id}}}}}};
}

const std::string all = "/api/v2/organizations/acme/varsets";

TEST(VariableSetApi, MakesShowsChangesAndDeletes) {
  run([](Stage& stage) -> Task<> {
    api::TestAnswer made = co_await stage.post(
        all, test_document("varsets", {{"name", "a set"}, {"description", "d"}, {"global", false}}));
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("varset-"));
    EXPECT_EQ(made.at("/data/attributes/priority"), json::value(false));
    EXPECT_EQ(made.text("/data/relationships/parent/data/type"), "organizations");
    EXPECT_EQ(made.text("/data/relationships/parent/data/id"), "acme");
    EXPECT_EQ(made.text("/data/relationships/workspaces/data"), "[]");
    const std::string one = "/api/v2/varsets/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.get(one)).at("/data"), made.at("/data"));
    EXPECT_EQ((co_await stage.get(all)).at("/data/0"), made.at("/data"));
    api::TestAnswer changed = co_await stage.patch(
        one, test_document("varsets", {{"name", "b"}, {"global", true}, {"priority", true}}));
    EXPECT_EQ(changed.text("/data/attributes/name"), "b");
    EXPECT_EQ(changed.text("/data/attributes/description"), "d");
    EXPECT_EQ(changed.at("/data/attributes/global"), json::value(true));
    EXPECT_EQ((co_await stage.post(all, test_document("varsets", {{"name", "b"}}))).text("/errors/0/detail"),
              "Name has already been taken");
    co_await stage.make({{"name", "other"}});
    EXPECT_EQ((co_await stage.get(all + "?q=OTH")).text("/meta/pagination/total-count"), "1");
    EXPECT_EQ((co_await stage.get(all + "?page[number]=999")).text("/meta/pagination/total-count"), "2");
    EXPECT_EQ((co_await stage.get(all + "?include=nonsense")).status, 400);
    EXPECT_EQ((co_await stage.del(one)).status, 204);
    EXPECT_EQ((co_await stage.del(one)).status, 404);
    EXPECT_EQ((co_await stage.get(one)).status, 404);
  });
}

TEST(VariableSetApi, AppliesToWorkspacesAndProjects) {
  run([](Stage& stage) -> Task<> {
    const std::string id = co_await stage.make({{"name", "s"}});
    const std::string one = "/api/v2/varsets/" + id;
    EXPECT_EQ(co_await stage.apply(id, "workspaces", {"ws-1"}), 204);
    EXPECT_EQ(co_await stage.apply(id, "workspaces", {"ws-2", "ws-1"}), 204);
    EXPECT_EQ(co_await stage.apply(id, "projects", {"prj-2"}), 204);
    api::TestAnswer shown = co_await stage.get(one + "?include=workspaces,projects");
    EXPECT_EQ(shown.at("/data/relationships/workspaces/data").as_array().size(), 2U);
    EXPECT_EQ(shown.text("/data/relationships/projects/data/0/id"), "prj-2");
    EXPECT_EQ(shown.text("/included/0/attributes/name"), "one");
    EXPECT_EQ(shown.text("/included/2/attributes/name"), "other");
    for (auto [what, foreign] : {std::pair("workspaces", "ws-9"), std::pair("projects", "prj-9")}) {
      EXPECT_EQ(co_await stage.apply(id, what, {foreign}), 422) << "of another organization";
      EXPECT_EQ(co_await stage.apply(id, what, {"nothing"}), 422);
    }
    api::TestAnswer less = co_await stage.call(http::Method::del, one + "/relationships/workspaces",
                                               json::serialize(jsonapi::linkage("workspaces", {"ws-1"})));
    EXPECT_EQ(less.status, 204);
    EXPECT_EQ((co_await stage.get(one)).text("/data/relationships/workspaces/data/0/id"), "ws-2");
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-2/varsets")).text("/data/0/id"), id);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1/varsets")).text("/data"), "[]");
    EXPECT_EQ((co_await stage.get("/api/v2/projects/prj-2/varsets")).text("/data/0/id"), id);
    EXPECT_EQ((co_await stage.get("/api/v2/projects/prj-1/varsets")).text("/data"), "[]");

    json::object body = test_document("varsets", {{"global", false}});
    body["data"].as_object()["relationships"] =
        json::object{{"workspaces", jsonapi::linkage("workspaces", {"ws-1"})}};
    api::TestAnswer replaced = co_await stage.patch(one + "?include=workspaces", body);
    EXPECT_EQ(replaced.text("/data/relationships/workspaces/data/0/id"), "ws-1");
    EXPECT_EQ(replaced.text("/included/0/id"), "ws-1");
    EXPECT_EQ(replaced.text("/data/relationships/projects/data/0/id"), "prj-2") << "what is not given stays";
    api::TestAnswer global = co_await stage.patch(one, test_document("varsets", {{"global", true}}));
    EXPECT_EQ(global.text("/data/relationships/workspaces/data"), "[]");
    EXPECT_EQ(co_await stage.apply(id, "workspaces", {"ws-1"}), 422);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1/varsets")).text("/data/0/id"), id);
    EXPECT_EQ((co_await stage.get("/api/v2/projects/prj-1/varsets")).text("/data/0/id"), id);
  });
}

TEST(VariableSetApi, OfAProjectStaysInIt) {
  run([](Stage& stage) -> Task<> {
    stage.place.run("UPDATE terrane.workspaces SET project_id = 'prj-2' WHERE id = 'ws-2'");
    const std::string id = co_await stage.make({{"name", "s"}}, parent("projects", "prj-2"));
    EXPECT_EQ((co_await stage.get("/api/v2/varsets/" + id)).text("/data/relationships/parent/data/id"),
              "prj-2");
    EXPECT_EQ(co_await stage.apply(id, "workspaces", {"ws-1"}), 422);
    EXPECT_EQ(co_await stage.apply(id, "projects", {"prj-1"}), 422);
    EXPECT_EQ(co_await stage.apply(id, "workspaces", {"ws-2"}), 204);
    EXPECT_EQ((co_await stage.patch("/api/v2/varsets/" + id, test_document("varsets", {{"global", true}})))
                  .text("/errors/0/source/pointer"),
              "/data/attributes/global");
    co_await stage.add(id, "k", "v");
    EXPECT_EQ(co_await stage.effective("ws-2"), "k=v ");
    stage.place.run("UPDATE terrane.workspaces SET project_id = 'prj-1' WHERE id = 'ws-2'");
    EXPECT_EQ(co_await stage.effective("ws-2"), "") << "it went with its project";
    for (auto [type, other] :
         {std::pair("organizations", "evil"), std::pair("projects", "prj-9"), std::pair("teams", "team-1")}) {
      json::object body = test_document("varsets", {{"name", "new"}});
      body["data"].as_object()["relationships"] = parent(type, other);
      EXPECT_EQ((co_await stage.post(all, body)).text("/errors/0/source/pointer"),
                "/data/relationships/parent")
          << other;
    }
  });
}

TEST(VariableSetApi, HasVariables) {
  run([](Stage& stage) -> Task<> {
    json::object vars{{"vars", json::object{{"data", parse_json(R"([{"type": "vars", "attributes":
        {"key": "first", "value": "1", "category": "env"}}])")}}}};
    const std::string id = co_await stage.make({{"name", "s"}}, vars);
    const std::string path = "/api/v2/varsets/" + id + "/relationships/vars";
    api::TestAnswer made = co_await stage.add(id, "key", "value");
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.text("/data/relationships/varset/data/id"), id);
    EXPECT_TRUE(made.at("/data/relationships/configurable/data").is_null());
    const std::string one = path + "/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.get(one)).at("/data"), made.at("/data"));
    EXPECT_EQ((co_await stage.get(path)).at("/data/1"), made.at("/data"));
    EXPECT_EQ((co_await stage.add(id, "key", "again")).text("/errors/0/detail"),
              "Key has already been taken");
    api::TestAnswer hidden = co_await stage.patch(one, test_document("vars", {{"sensitive", true}}));
    EXPECT_TRUE(hidden.at("/data/attributes/value").is_null());
    EXPECT_NE(hidden.text("/data/attributes/version-id"), made.text("/data/attributes/version-id"));
    api::TestAnswer shown = co_await stage.get("/api/v2/varsets/" + id + "?include=vars");
    EXPECT_EQ(shown.text("/data/attributes/var-count"), "2");
    EXPECT_EQ(shown.text("/included/0/attributes/value"), "1");
    EXPECT_EQ(shown.at("/included/1"), hidden.at("/data"));
    const std::string other = co_await stage.make({{"name", "other"}});
    EXPECT_EQ(
        (co_await stage.get("/api/v2/varsets/" + other + "/relationships/vars/" + made.text("/data/id")))
            .status,
        404);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/" + id + "/vars")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/varsets/ws-1/relationships/vars")).status, 404);
    EXPECT_EQ((co_await stage.del(one)).status, 204);
    EXPECT_EQ((co_await stage.del(one)).status, 404);
    json::object bad{{"vars", json::object{{"data", parse_json(R"([{"attributes": {"key": "a b",
        "category": "env"}}])")}}}};
    json::object body = test_document("varsets", {{"name", "bad"}});
    body["data"].as_object()["relationships"] = bad;
    EXPECT_EQ((co_await stage.post(all, body)).text("/errors/0/source/pointer"),
              "/data/relationships/vars/data/0");
    EXPECT_EQ((co_await stage.get(all + "?q=bad")).text("/data"), "[]");
  });
}

/// The documented order, each step overriding all after it.
TEST(VariableSetApi, OnePrecedenceForAll) {
  run([](Stage& stage) -> Task<> {
    struct Step {
      const char* name;
      bool global, priority;
      const char* applied;  ///< to what, besides being global
      const char* id;
    };
    const std::vector<Step> from_weakest{
        {"global", true, false, "", ""},
        {"project", false, false, "projects", "prj-1"},
        {"z workspace", false, false, "workspaces", "ws-1"},
        {"a workspace", false, false, "workspaces", "ws-1"},
        {"itself", false, false, "", "ws-1"},
        {"priority workspace", false, true, "workspaces", "ws-1"},
        {"priority project", false, true, "projects", "prj-1"},
        {"priority global", true, true, "", ""},
    };
    for (const Step& step : from_weakest) {
      std::string owner = "ws-1";
      if (std::string_view(step.name) != "itself") {
        owner =
            co_await stage.make({{"name", step.name}, {"global", step.global}, {"priority", step.priority}});
        if (*step.applied) EXPECT_EQ(co_await stage.apply(owner, step.applied, {step.id}), 204);
      }
      co_await stage.add(owner, "key", step.name);
      EXPECT_EQ(co_await stage.effective("ws-1"), "key=" + std::string(step.name) + " ");
    }
    EXPECT_EQ(co_await stage.effective("ws-9"), "") << "nothing reaches another organization";
    stage.place.run("UPDATE terrane.workspaces SET project_id = 'prj-2' WHERE id = 'ws-2'");
    stage.place.run("DELETE FROM terrane.variable_sets WHERE priority");
    EXPECT_EQ(co_await stage.effective("ws-2"), "key=global ");
    co_await stage.add("ws-1", "key", "of the environment", "env");
    EXPECT_EQ(co_await stage.effective("ws-1"), "key=of the environment key=itself ") << "another category";
  });
}

TEST(VariableSetApi, IsForWhoManages) {
  run([](Stage& stage) -> Task<> {
    const std::string id = co_await stage.make({{"name", "s"}});
    const std::string one = "/api/v2/varsets/" + id;
    const json::object body = test_document("varsets", {{"name", "new"}});
    for (const char* as : {"user-bob", "user-eve", "run-1"}) {
      EXPECT_EQ((co_await stage.get(all, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.post(all, body, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get(one, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.patch(one, body, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.del(one, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get(one + "/relationships/vars", as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get("/api/v2/projects/prj-1/varsets", as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1/varsets", as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1/all-vars", as)).status, 404) << as;
      for (const char* what : {"workspaces", "projects"}) {
        const std::string path = one + "/relationships/" + what;
        const std::string nothing = json::serialize(jsonapi::linkage(what, {}));
        EXPECT_EQ((co_await stage.call(http::Method::post, path, nothing, as)).status, 404) << as;
        EXPECT_EQ((co_await stage.call(http::Method::del, path, nothing, as)).status, 404) << as;
      }
    }
    for (const char* as : {"user-ann", "user-root", "team-1", "org-1"})
      EXPECT_EQ((co_await stage.get(one, as)).status, 200) << as;
    for (json::object bad :
         {json::object{}, json::object{{"name", " "}}, json::object{{"name", std::string(91, 'x')}},
          json::object{{"name", "n"}, {"description", std::string(513, 'x')}},
          json::object{{"name", "n"}, {"global", "yes"}}}) {
      EXPECT_EQ((co_await stage.post(all, test_document("varsets", bad))).status, 422);
    }
    EXPECT_EQ((co_await stage.post(one + "/relationships/workspaces", json::object{{"data", 5}})).status,
              422);
    EXPECT_EQ((co_await stage.get(all)).text("/meta/pagination/total-count"), "1");
  });
}

}  // namespace
}  // namespace terrane::variable
