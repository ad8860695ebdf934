// Lists of workspaces: what they search for, their totals, their tags.
#include <gtest/gtest.h>

#include "organization/organization_api.h"
#include "workspace/retention_api.h"
#include "workspace/tags.h"
#include "workspace/testing_stage.h"
#include "workspace/workspace_api.h"

namespace terrane::workspace {
namespace {

using api::test_document;
using api::TestAnswer;
using http::Method;

const std::string all = "/api/v2/organizations/acme/workspaces";
const std::string one = "/api/v2/workspaces/ws-1";

struct Stage : test::Stage {
  Api workspaces;
  TagsApi tags;
  RetentionApi retention;
  organization::ProjectApi projects;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : test::Stage(on, at),
        workspaces(database, includes),
        tags(database),
        retention(database),
        projects(database, includes) {
    workspaces.add_routes(router);
    tags.add_routes(router);
    retention.add_routes(router);
    projects.add_routes(router);
  }
  /// The names that a list shows and its total, as in "one two/2".
  Task<std::string> names(std::string query = {}, std::string as = "user-ann") {
    TestAnswer list = co_await get(all + query, std::move(as));
    if (list.status != 200) co_return list.body;
    std::string out;
    const json::value data = list.at("/data");
    for (const json::value& item : data.as_array()) {
      if (!out.empty()) out += ' ';
      out += std::string(item.at("attributes").at("name").as_string());
    }
    co_return out + "/" + list.text("/meta/pagination/total-count");
  }
  Task<TestAnswer> change_tags(Method method, std::string path, std::vector<std::string> tag_names) {
    json::array data;
    for (const std::string& name : tag_names)
      data.push_back(json::object{{"type", "tags"}, {"attributes", json::object{{"name", name}}}});
    json::object body{{"data", std::move(data)}};
    co_return co_await call(method, std::move(path), json::serialize(body));
  }
  Task<TestAnswer> bind(std::string path, std::map<std::string, std::string> bindings) {
    json::array data;
    for (const auto& [key, value] : bindings) {
      data.push_back(json::object{{"type", "tag-bindings"},
                                  {"attributes", json::object{{"key", key}, {"value", value}}}});
    }
    json::object body{{"data", std::move(data)}};
    co_return co_await patch(std::move(path), std::move(body));
  }
  /// `key=value`, with `^` before those that are inherited, in the order of the answer.
  static std::string shown(const TestAnswer& answer) {
    std::string out;
    const json::value data = answer.at("/data");
    if (!data.is_array()) return answer.body;
    for (const json::value& item : data.as_array()) {
      const json::object& binding = item.as_object();
      if (!out.empty()) out += ' ';
      if (binding.contains("links")) out += '^';
      out += std::string(item.at("attributes").at("key").as_string()) + "=" +
             std::string(item.at("attributes").at("value").as_string());
    }
    return out;
  }
};

void run(std::function<Task<>(Stage&)> body) { test::run_on<Stage>(std::move(body)); }

TEST(WorkspaceList, SearchesAndSorts) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(
        "UPDATE terrane.workspaces SET current_run_id = 'run-1' WHERE id = 'ws-1';"
        "INSERT INTO terrane.workspaces (id, organization_id, project_id, name) VALUES ('ws-3', 'org-1', "
        "'prj-2', 'net_prod')");
    EXPECT_EQ(co_await stage.names(), "one two net_prod/3") << "in the order in which they were made";
    EXPECT_EQ(co_await stage.names("?sort=name"), "net_prod one two/3");
    EXPECT_EQ(co_await stage.names("?sort=-latest-change-at&search[name]=n"), "net_prod one/2");
    EXPECT_EQ(co_await stage.names("?sort=-name"), "two one net_prod/3");
    EXPECT_EQ(co_await stage.names("?sort=-current-run.created-at"), "one two net_prod/3");
    EXPECT_EQ(co_await stage.names("?filter[project][id]=prj-2"), "net_prod/1");
    EXPECT_EQ(co_await stage.names("?filter[project][id]=prj-9"), "/0");
    EXPECT_EQ(co_await stage.names("?search[name]=W"), "two/1");
    EXPECT_EQ(co_await stage.names("?search[wildcard-name]=*_PROD"), "net_prod/1");
    EXPECT_EQ(co_await stage.names("?search[wildcard-name]=o__"), "/0") << "only * stands for anything";
    EXPECT_EQ(co_await stage.names("?filter[current-run][status]=applied,errored"), "one/1");
    EXPECT_EQ(co_await stage.names("?filter[current-run][status]=errored"), "/0");
    EXPECT_EQ(co_await stage.names("?page[size]=1&page[number]=2"), "two/3");
    EXPECT_EQ(co_await stage.names("?page[number]=999"), "/3");
    EXPECT_EQ(co_await stage.names("?nothing[known]=x"), "one two net_prod/3");
    EXPECT_EQ((co_await stage.get(all + "?sort=size")).status, 400);
    EXPECT_EQ(co_await stage.names("?search[name]=o", "user-bob"), "/0");
    EXPECT_EQ(co_await stage.names("?sort=-name", "run-1"), "one/1");
  });
}

TEST(WorkspaceList, TotalsFollowEveryChange) {
  run([](Stage& stage) -> Task<> {
    auto counted = [&]() -> Task<std::string> {
      co_return co_await stage.value(
          "SELECT sum(workspaces) || ' ' || coalesce(sum(workspaces) FILTER (WHERE project_id = 'prj-2'), 0) "
          "FROM terrane.workspace_counts WHERE organization_id = 'org-1'");
    };
    EXPECT_EQ(co_await counted(), "2 0");
    // Connections of their own write to rows of their own.
    for (int i = 0; i < 3; ++i) {
      stage.place.run("INSERT INTO terrane.workspaces (id, organization_id, project_id, name) VALUES ('ws-n" +
                      std::to_string(i) + "', 'org-1', 'prj-1', 'n" + std::to_string(i) + "')");
    }
    EXPECT_EQ(co_await counted(), "5 0");
    stage.place.run("UPDATE terrane.workspaces SET project_id = 'prj-2' WHERE id IN ('ws-n0', 'ws-n1')");
    EXPECT_EQ(co_await counted(), "5 2");
    stage.place.run("DELETE FROM terrane.workspaces WHERE id IN ('ws-n0', 'ws-n2')");
    EXPECT_EQ(co_await counted(), "3 1");
    EXPECT_EQ(co_await stage.names("?page[size]=1"), "one/3");
    stage.place.run("DELETE FROM terrane.organizations WHERE id = 'org-2'");
    EXPECT_EQ(
        co_await stage.value("SELECT count(*) FROM terrane.workspace_counts WHERE organization_id = 'org-2'"),
        "0");
  });
}

TEST(WorkspaceTags, AreAddedFoundAndTaken) {
  run([](Stage& stage) -> Task<> {
    const std::string tags = one + "/relationships/tags";
    EXPECT_EQ((co_await stage.change_tags(Method::post, tags, {"b", "a", "b"})).status, 204);
    EXPECT_EQ((co_await stage.change_tags(Method::post, "/api/v2/workspaces/ws-2/relationships/tags", {"b"}))
                  .status,
              204);
    json::value expected{"a", "b"};
    EXPECT_EQ((co_await stage.get(one)).at("/data/attributes/tag-names"), expected);
    TestAnswer list = co_await stage.get(tags);
    EXPECT_EQ(list.text("/data/1/attributes/name"), "b");
    EXPECT_EQ(list.at("/data/1/attributes/instance-count"), json::value(2));
    EXPECT_EQ(list.at("/meta/pagination/total-count"), json::value(2));
    EXPECT_EQ(co_await stage.names("?search[tags]=b"), "one two/2");
    EXPECT_EQ(co_await stage.names("?search[tags]=a,b"), "one/1");
    EXPECT_EQ(co_await stage.names("?search[exclude-tags]=a"), "two/1");
    EXPECT_EQ((co_await stage.change_tags(Method::del, tags, {"b", "never-there"})).status, 204);
    EXPECT_EQ(co_await stage.names("?search[tags]=b"), "two/1");
    EXPECT_EQ((co_await stage.change_tags(Method::post, tags, {"no spaces"})).status, 422);
    EXPECT_EQ((co_await stage.change_tags(Method::post, tags, {std::string(256, 'a')})).status, 422);
    EXPECT_EQ((co_await stage.post(tags, {{"data", "x"}})).status, 422);

    json::object body = test_document("workspaces", {{"name", "born-with"}});
    json::object given{{"type", "tags"}, {"attributes", json::object{{"name", "c"}}}};
    json::array born_with{std::move(given)};
    body["data"].as_object()["relationships"] =
        json::object{{"tags", json::object{{"data", std::move(born_with)}}}};
    TestAnswer made = co_await stage.post(all, std::move(body));
    EXPECT_EQ(made.at("/data/attributes/tag-names"), json::value(json::array{"c"})) << made.body;
  });
}

TEST(WorkspaceTags, OfAnOrganizationAreSharedAndDeleted) {
  run([](Stage& stage) -> Task<> {
    const std::string tags = "/api/v2/organizations/acme/tags";
    co_await stage.sql(
        "INSERT INTO terrane.tags (id, organization_id, name) VALUES ('tag-1', 'org-1', 'green'), ('tag-2', "
        "'org-1', 'red'), ('tag-9', 'org-2', 'x');"
        "INSERT INTO terrane.workspace_tags VALUES ('ws-1', 'tag-1')");
    TestAnswer list = co_await stage.get(tags);
    EXPECT_EQ(list.at("/meta/pagination/total-count"), json::value(2));
    EXPECT_EQ(list.text("/data/0/relationships/organization/data/id"), "acme");
    EXPECT_EQ((co_await stage.get(tags + "?q=RE")).at("/meta/pagination/total-count"), json::value(2));
    EXPECT_EQ((co_await stage.get(tags + "?q=red")).text("/data/0/id"), "tag-2");
    EXPECT_EQ((co_await stage.get(tags + "?filter[exclude][taggable][id]=ws-1")).text("/data/0/id"), "tag-2");
    json::object workspace{{"type", "workspaces"}, {"id", "ws-2"}};
    json::object foreign{{"type", "workspaces"}, {"id", "ws-9"}};
    json::object both{{"data", json::array{workspace, foreign}}};
    json::object near{{"data", json::array{workspace}}};
    const std::string add = "/api/v2/tags/tag-2/relationships/workspaces";
    EXPECT_EQ((co_await stage.post(add, both)).status, 404);
    EXPECT_EQ((co_await stage.post("/api/v2/tags/tag-9/relationships/workspaces", near)).status, 404);
    EXPECT_EQ((co_await stage.post(add, near, "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.post(add, near)).status, 204);
    EXPECT_EQ(co_await stage.names("?search[tags]=red"), "two/1");
    json::object green{{"type", "tags"}, {"id", "tag-1"}}, other{{"type", "tags"}, {"id", "tag-9"}};
    json::object gone{{"data", json::array{green, other}}};
    EXPECT_EQ((co_await stage.call(Method::del, tags, json::serialize(gone), "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.call(Method::del, tags, json::serialize(gone))).status, 204);
    EXPECT_EQ((co_await stage.get(tags)).at("/meta/pagination/total-count"), json::value(1));
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.tags WHERE id = 'tag-9'"), "1");
    EXPECT_EQ((co_await stage.get(one)).at("/data/attributes/tag-names"), json::value(json::array{}));
  });
}

TEST(WorkspaceTags, BindingsAreInheritedFromTheProject) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ(Stage::shown(co_await stage.bind("/api/v2/projects/prj-1/tag-bindings",
                                               {{"cost", "1"}, {"team", "net"}})),
              "cost=1 team=net");
    EXPECT_EQ(Stage::shown(co_await stage.bind(one + "/tag-bindings", {{"env", "prod"}, {"team", "web"}})),
              "env=prod team=web");
    EXPECT_EQ(Stage::shown(co_await stage.get(one + "/effective-tag-bindings")), "env=prod team=web ^cost=1");
    EXPECT_EQ(Stage::shown(co_await stage.get("/api/v2/workspaces/ws-2/effective-tag-bindings")),
              "^cost=1 ^team=net");
    EXPECT_EQ(Stage::shown(co_await stage.get("/api/v2/projects/prj-1/effective-tag-bindings")),
              "cost=1 team=net");
    EXPECT_EQ(co_await stage.names("?filter[tagged][0][key]=cost"), "one two/2");
    EXPECT_EQ(co_await stage.names("?filter[tagged][0][key]=team&filter[tagged][0][value]=net"), "two/1");
    EXPECT_EQ(co_await stage.names("?filter[tagged][0][key]=cost&filter[tagged][1][key]=env"), "one/1");
    TestAnswer projects = co_await stage.get(
        "/api/v2/organizations/acme/projects?filter[tagged][0][key]=team&include=effective_tag_bindings");
    EXPECT_EQ(projects.at("/meta/pagination/total-count"), json::value(1)) << projects.body;
    EXPECT_EQ(projects.at("/data/0/relationships/effective-tag-bindings/data").as_array().size(), 2U);
    EXPECT_EQ(projects.at("/included").as_array().size(), 2U);

    TestAnswer included = co_await stage.get(all + "?include=effective_tag_bindings");
    EXPECT_EQ(included.at("/data/0/relationships/effective-tag-bindings/data").as_array().size(), 3U);
    EXPECT_EQ(included.at("/included").as_array().size(), 4U)
        << "the inherited cost is one resource for both";

    json::object replaced = test_document("workspaces", {});
    replaced["data"].as_object()["relationships"] =
        json::object{{"tag-bindings", json::object{{"data", json::array()}}}};
    EXPECT_EQ((co_await stage.patch(one, std::move(replaced))).status, 200);
    EXPECT_EQ(Stage::shown(co_await stage.get(one + "/effective-tag-bindings")), "^cost=1 ^team=net");

    std::map<std::string, std::string> many;
    for (char c = 'a'; c <= 'j'; ++c) many[std::string(1, c)] = "";
    EXPECT_EQ((co_await stage.bind(one + "/tag-bindings", many)).status, 200);
    std::map<std::string, std::string> more{{"k", ""}};
    TestAnswer refused = co_await stage.bind(one + "/tag-bindings", more);
    EXPECT_EQ(refused.status, 422);
    EXPECT_NE(refused.body.find("cannot exceed 10 bindings"), std::string::npos);
    EXPECT_EQ((co_await stage.bind(one + "/tag-bindings", {{"a", "changed"}})).status, 200)
        << "one that is there";
    for (const std::map<std::string, std::string>& bad : {std::map<std::string, std::string>{{"", "x"}},
                                                          {{std::string(129, 'k'), ""}},
                                                          {{"k", std::string(257, 'v')}},
                                                          {{"k", "\n"}}})
      EXPECT_EQ((co_await stage.bind("/api/v2/projects/prj-2/tag-bindings", bad)).status, 422);
  });
}

TEST(WorkspaceTags, AreHiddenFromStrangers) {
  run([](Stage& stage) -> Task<> {
    for (const char* who : {"user-bob", "user-eve"}) {
      for (const char* path : {"/relationships/tags", "/tag-bindings", "/effective-tag-bindings",
                               "/relationships/data-retention-policy"})
        EXPECT_EQ((co_await stage.get(one + path, who)).status, 404) << who << path;
    }
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme/tags", "user-eve")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme/tags", "run-1")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/projects/prj-1/tag-bindings", "user-eve")).status, 404);
    json::object none{{"data", json::array()}};
    for (const char* who : {"user-bob", "run-1"}) {
      EXPECT_EQ((co_await stage.post(one + "/relationships/tags", none, who)).status, 404) << who;
      EXPECT_EQ((co_await stage.patch(one + "/tag-bindings", none, who)).status, 404) << who;
      EXPECT_EQ((co_await stage.patch("/api/v2/projects/prj-1/tag-bindings", none, who)).status, 404) << who;
    }
  });
}

TEST(WorkspaceRetention, IsSetChangedAndRemoved) {
  run([](Stage& stage) -> Task<> {
    const std::string policy = one + "/relationships/data-retention-policy";
    EXPECT_EQ((co_await stage.get(policy)).status, 404);
    EXPECT_TRUE((co_await stage.get(one)).at("/data/relationships/data-retention-policy/data").is_null());
    auto older = [](int days) {
      return test_document("data-retention-policy-delete-olders", {{"delete-older-than-n-days", days}});
    };
    TestAnswer set = co_await stage.post(policy, older(33));
    EXPECT_EQ(set.status, 200) << set.body;
    const std::string id = set.text("/data/id");
    EXPECT_EQ((co_await stage.get(one)).text("/data/relationships/data-retention-policy/data/id"), id);
    TestAnswer changed = co_await stage.post(policy, older(1));
    EXPECT_EQ(changed.text("/data/id"), id) << "of the same kind";
    EXPECT_EQ(changed.at("/data/attributes/delete-older-than-n-days"), json::value(1));
    EXPECT_EQ((co_await stage.post(policy, older(0))).status, 422);
    json::object keep = test_document("data-retention-policy-dont-deletes", {});
    EXPECT_NE((co_await stage.post(policy, std::move(keep))).text("/data/id"), id);
    EXPECT_EQ((co_await stage.get(one)).text("/data/relationships/data-retention-policy/data/type"),
              "data-retention-policy-dont-deletes");
    EXPECT_EQ((co_await stage.del(policy)).status, 204);
    EXPECT_EQ((co_await stage.del(policy)).status, 404);
  });
}

}  // namespace
}  // namespace terrane::workspace
