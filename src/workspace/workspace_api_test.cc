#include "workspace/workspace_api.h"

#include <gtest/gtest.h>

#include "workspace/testing_stage.h"

namespace terrane::workspace {
namespace {

using api::test_document;
using api::TestAnswer;
using http::Method;

struct Stage : test::Stage {
  Api workspaces;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : test::Stage(on, at), workspaces(database, includes) {
    workspaces.add_routes(router);
  }
  Task<TestAnswer> create(json::object attributes, std::string as = "user-ann") {
    json::object body = test_document("workspaces", std::move(attributes));
    co_return co_await post("/api/v2/organizations/acme/workspaces", std::move(body), std::move(as));
  }
  Task<TestAnswer> update(json::object attributes, std::string as = "user-ann") {
    json::object body = test_document("workspaces", std::move(attributes));
    co_return co_await patch("/api/v2/workspaces/ws-1", std::move(body), std::move(as));
  }
};

void run(std::function<Task<>(Stage&)> body) { test::run_on<Stage>(std::move(body)); }

const std::string all = "/api/v2/organizations/acme/workspaces";

TEST(WorkspaceApi, MakesOneWithDefaults) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create({{"name", "net-prod"}});
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("ws-"));
    EXPECT_EQ(made.text("/data/type"), "workspaces");
    json::object expected{{"name", "net-prod"},
                          {"description", nullptr},
                          {"auto-apply", false},
                          {"allow-destroy-plan", true},
                          {"execution-mode", "remote"},
                          {"operations", true},
                          {"file-triggers-enabled", true},
                          {"global-remote-state", false},
                          {"queue-all-runs", false},
                          {"speculative-enabled", true},
                          {"structured-run-output-enabled", false},
                          {"terraform-version", "latest"},
                          {"trigger-prefixes", json::array{}},
                          {"working-directory", nullptr},
                          {"source", "tfe-api"},
                          {"locked", false},
                          {"locked-reason", nullptr},
                          {"environment", "default"},
                          {"vcs-repo", nullptr},
                          {"tag-names", json::array{}},
                          {"resource-count", 0}};
    for (const auto& [key, value] : expected)
      EXPECT_EQ(made.at("/data/attributes/" + std::string(key)), value) << key;
    for (const char* time : {"created-at", "updated-at", "latest-change-at"})
      EXPECT_TRUE(parse_time(made.text("/data/attributes/" + std::string(time)))) << time;
    EXPECT_EQ(made.text("/data/relationships/organization/data/id"), "acme");
    EXPECT_EQ(made.text("/data/relationships/project/data/id"), "prj-1") << "the default project";
    for (const char* relation : {"current-run", "current-state-version", "current-configuration-version"})
      EXPECT_TRUE(made.at("/data/relationships/" + std::string(relation) + "/data").is_null()) << relation;
    EXPECT_EQ(made.text("/data/links/self"), "/api/v2/organizations/acme/workspaces/net-prod");

    const std::string id = made.text("/data/id");
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/" + id)).at("/data"), made.at("/data"));
    EXPECT_EQ((co_await stage.get(all + "/net-prod")).at("/data"), made.at("/data"));
  });
}

TEST(WorkspaceApi, TellsEveryPermission) {
  run([](Stage& stage) -> Task<> {
    // Every name that clients read, and the platform's own.
    const std::vector<std::string> names{"can-destroy",
                                         "can-force-unlock",
                                         "can-lock",
                                         "can-manage-run-tasks",
                                         "can-queue-apply",
                                         "can-queue-destroy",
                                         "can-queue-run",
                                         "can-read-settings",
                                         "can-unlock",
                                         "can-update",
                                         "can-update-variable",
                                         "can-force-delete",
                                         "can-read-variable",
                                         "can-read-run",
                                         "can-read-state-versions",
                                         "can-read-state-outputs",
                                         "can-create-state-versions"};
    TestAnswer owner = co_await stage.get("/api/v2/workspaces/ws-1");
    TestAnswer organization = co_await stage.get("/api/v2/workspaces/ws-1", "org-1");
    TestAnswer of_run = co_await stage.get("/api/v2/workspaces/ws-1", "run-1");
    EXPECT_EQ(owner.at("/data/attributes/permissions").as_object().size(), names.size());
    const std::set<std::string> not_of_organization{"can-queue-run",     "can-queue-apply",
                                                    "can-queue-destroy", "can-create-state-versions",
                                                    "can-lock",          "can-unlock"};
    const std::set<std::string> of_runs{"can-read-settings", "can-read-run", "can-read-state-versions",
                                        "can-read-state-outputs"};
    for (const std::string& name : names) {
      const std::string pointer = "/data/attributes/permissions/" + name;
      EXPECT_EQ(owner.at(pointer), json::value(true)) << name;
      EXPECT_EQ(organization.at(pointer), json::value(!not_of_organization.contains(name))) << name;
      EXPECT_EQ(of_run.at(pointer), json::value(of_runs.contains(name))) << name;
    }
    EXPECT_EQ(owner.at("/data/attributes/actions/is-destroyable"), json::value(true));
  });
}

TEST(WorkspaceApi, TakesAllSettings) {
  run([](Stage& stage) -> Task<> {
    json::object settings{{"name", "x"},
                          {"description", "about"},
                          {"auto-apply", true},
                          {"allow-destroy-plan", false},
                          {"execution-mode", "local"},
                          {"file-triggers-enabled", false},
                          {"global-remote-state", true},
                          {"queue-all-runs", true},
                          {"source-name", "me"},
                          {"source-url", "https://x.test"},
                          {"speculative-enabled", false},
                          {"structured-run-output-enabled", true},
                          {"terraform-version", "~> 1.9.0"},
                          {"trigger-prefixes", json::array{"/a", "b c"}},
                          {"working-directory", "deep/er"}};
    TestAnswer made = co_await stage.create(settings);
    settings["name"] = "y";
    TestAnswer changed = co_await stage.update(settings);
    settings.erase("name");
    for (const TestAnswer& answer : {made, changed}) {
      for (const auto& [key, value] : settings)
        EXPECT_EQ(answer.at("/data/attributes/" + std::string(key)), value) << key;
      EXPECT_EQ(answer.at("/data/attributes/operations"), json::value(false));
    }
    EXPECT_EQ(changed.text("/data/attributes/name"), "y");
  });
}

TEST(WorkspaceApi, ChangesOnlyWhatIsGiven) {
  run([](Stage& stage) -> Task<> {
    TestAnswer before = co_await stage.get("/api/v2/workspaces/ws-1");
    TestAnswer nothing = co_await stage.update({});
    EXPECT_EQ(nothing.status, 200);
    TestAnswer described = co_await stage.update(
        {{"description", "d"}, {"source", "mine"}, {"locked", true}, {"resource-count", 7}});
    EXPECT_EQ(described.status, 200) << described.body;
    json::object expected = before.at("/data/attributes").as_object();
    json::object after = described.at("/data/attributes").as_object();
    EXPECT_EQ(after["description"], json::value("d"));
    expected["description"] = "d";
    for (const char* moved : {"updated-at"}) {
      expected.erase(moved);
      after.erase(moved);
    }
    EXPECT_EQ(after, expected) << "read-only attributes are ignored";
    TestAnswer cleared = co_await stage.update({{"description", nullptr}});
    EXPECT_TRUE(cleared.at("/data/attributes/description").is_null());

    json::object body = test_document("workspaces", {{"name", "uno"}});
    EXPECT_EQ((co_await stage.patch(all + "/one", body)).text("/data/attributes/name"), "uno");
    EXPECT_EQ((co_await stage.get(all + "/one")).status, 404);
    EXPECT_EQ((co_await stage.get(all + "/uno")).text("/data/id"), "ws-1");
  });
}

TEST(WorkspaceApi, UnderstandsTheOldSwitchOfOperations) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create({{"name", "x"}, {"operations", false}});
    EXPECT_EQ(made.text("/data/attributes/execution-mode"), "local");
    TestAnswer changed = co_await stage.update({{"operations", false}});
    EXPECT_EQ(changed.text("/data/attributes/execution-mode"), "local");
    changed = co_await stage.update({{"operations", true}});
    EXPECT_EQ(changed.text("/data/attributes/execution-mode"), "remote");
    changed = co_await stage.update({{"operations", true}, {"execution-mode", "local"}});
    EXPECT_EQ(changed.text("/data/attributes/execution-mode"), "local") << "the newer name wins";
  });
}

TEST(WorkspaceApi, MovesBetweenProjectsOfItsOrganization) {
  run([](Stage& stage) -> Task<> {
    auto with_project = [](const char* id, json::object attributes) {
      json::object body = test_document("workspaces", std::move(attributes));
      json::value relation =
          parse_json(std::string(R"({"project": {"data": {"type": "projects", "id": ")") + id + "\"}}}");
      body["data"].as_object()["relationships"] = relation;
      return body;
    };
    TestAnswer made = co_await stage.post(all, with_project("prj-2", {{"name", "x"}}));
    EXPECT_EQ(made.text("/data/relationships/project/data/id"), "prj-2");
    TestAnswer moved = co_await stage.patch("/api/v2/workspaces/ws-1", with_project("prj-2", {}));
    EXPECT_EQ(moved.text("/data/relationships/project/data/id"), "prj-2");
    for (const char* bad : {"prj-9", "prj-none", "ws-1"}) {
      EXPECT_EQ((co_await stage.patch("/api/v2/workspaces/ws-1", with_project(bad, {}))).status, 404) << bad;
      EXPECT_EQ((co_await stage.post(all, with_project(bad, {{"name", "y"}}))).status, 404) << bad;
    }
    EXPECT_EQ((co_await stage.get(all + "?filter[project][id]=prj-2")).at("/meta/pagination/total-count"),
              json::value(2));
  });
}

TEST(WorkspaceApi, RefusesBadValues) {
  run([](Stage& stage) -> Task<> {
    std::vector<std::pair<json::object, std::string>> bad{
        {{}, "name"},
        {{{"name", ""}}, "name"},
        {{{"name", "a b"}}, "name"},
        {{{"name", 5}}, "name"},
        {{{"name", nullptr}}, "name"},
        {{{"name", std::string(91, 'a')}}, "name"},
        {{{"name", "one"}}, "name"},
        {{{"name", "x"}, {"auto-apply", "yes"}}, "auto-apply"},
        {{{"name", "x"}, {"execution-mode", "agent"}}, "agent-pool-id"},
        {{{"name", "x"}, {"execution-mode", "elsewhere"}}, "execution-mode"},
        {{{"name", "x"}, {"auto-destroy-activity-duration", "20m"}}, "auto-destroy-activity-duration"},
        {{{"name", "x"}, {"terraform-version", "nonexisting"}}, "terraform-version"},
        {{{"name", "x"}, {"vcs-repo", json::object{{"identifier", "a/b"}}}}, "vcs-repo"},
        {{{"name", "x"}, {"hyok-enabled", true}}, "hyok-enabled"},
        {{{"name", "x"}, {"terraform-version", ""}}, "terraform-version"},
        {{{"name", "x"}, {"terraform-version", "1; rm"}}, "terraform-version"},
        {{{"name", "x"}, {"terraform-version", std::string(129, '1')}}, "terraform-version"},
        {{{"name", "x"}, {"working-directory", "a/../../b"}}, "working-directory"},
        {{{"name", "x"}, {"working-directory", std::string(1025, 'd')}}, "working-directory"},
        {{{"name", "x"}, {"description", std::string(4097, 'd')}}, "description"},
        {{{"name", "x"}, {"trigger-prefixes", json::array{std::string("\0", 1)}}}, "trigger-prefixes"},
        {{{"name", "x"}, {"trigger-prefixes", "a"}}, "trigger-prefixes"}};
    for (const auto& [attributes, member] : bad) {
      TestAnswer refused = co_await stage.create(attributes);
      EXPECT_EQ(refused.status, 422) << json::serialize(attributes).substr(0, 100) << refused.body;
      EXPECT_EQ(refused.text("/errors/0/source/pointer"), "/data/attributes/" + member) << refused.body;
    }
    for (auto& [attributes, member] : bad) {
      if (attributes.empty() || attributes["name"] == json::value("one")) continue;
      EXPECT_EQ((co_await stage.update(attributes)).status, 422) << member;
    }
    TestAnswer taken = co_await stage.update({{"name", "two"}});
    EXPECT_EQ(taken.status, 422);
    EXPECT_EQ(taken.text("/errors/0/detail"), "Name has already been taken");
    for (const char* body : {"", "{", "[]", "null", R"({"data": []})", R"({"data": {"type": "runs"}})"}) {
      TestAnswer made = co_await stage.call(Method::post, all, body);
      EXPECT_TRUE(made.status == 400 || made.status == 422) << body;
      TestAnswer changed = co_await stage.call(Method::patch, "/api/v2/workspaces/ws-1", body);
      EXPECT_TRUE(changed.status == 400 || changed.status == 422) << body;
    }
    EXPECT_EQ((co_await stage.call(Method::post, all, std::string(2 << 20, ' '))).status, 413);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.workspaces"), "3");
  });
}

TEST(WorkspaceApi, ListsInPages) {
  run([](Stage& stage) -> Task<> {
    for (const char* name : {"abc-1", "abc-2", "ABC-3", "zzz"}) {
      TestAnswer made = co_await stage.create({{"name", name}});
      EXPECT_EQ(made.status, 201);
    }
    auto names = [](const TestAnswer& answer) {
      std::vector<std::string> out;
      const json::value data = answer.at("/data");
      for (const json::value& item : data.as_array())
        out.emplace_back(item.at_pointer("/attributes/name").as_string());
      return out;
    };
    TestAnswer whole = co_await stage.get(all);
    EXPECT_EQ(names(whole), (std::vector<std::string>{"one", "two", "abc-1", "abc-2", "ABC-3", "zzz"}));
    TestAnswer second = co_await stage.get(all + "?page[number]=2&page[size]=4");
    EXPECT_EQ(names(second), (std::vector<std::string>{"ABC-3", "zzz"}));
    EXPECT_EQ(second.at("/meta/pagination/total-count"), json::value(6));
    TestAnswer beyond = co_await stage.get(all + "?page[number]=999&page[size]=100");
    EXPECT_EQ(beyond.status, 200);
    EXPECT_TRUE(beyond.at("/data").as_array().empty());
    EXPECT_EQ(beyond.at("/meta/pagination/current-page"), json::value(999));
    EXPECT_EQ(beyond.at("/meta/pagination/total-count"), json::value(6));
    EXPECT_EQ(names(co_await stage.get(all + "?search[name]=ABC")),
              (std::vector<std::string>{"abc-1", "abc-2", "ABC-3"}));
    EXPECT_EQ(names(co_await stage.get(all + "?search[name]=%25")), std::vector<std::string>{})
        << "no pattern language";
    EXPECT_EQ((co_await stage.get(all + "?page[size]=0")).status, 400);
  });
}

TEST(WorkspaceApi, ListsOnlyWhatMayBeSeen) {
  run([](Stage& stage) -> Task<> {
    auto total = [&](std::string as) -> Task<std::string> {
      TestAnswer answer = co_await stage.get(all, std::move(as));
      co_return answer.text("/meta/pagination/total-count") + "/" +
          std::to_string(answer.at("/data").as_array().size());
    };
    for (const char* who : {"user-ann", "user-root", "team-1", "org-1"})
      EXPECT_EQ(co_await total(who), "2/2") << who;
    EXPECT_EQ(co_await total("user-bob"), "0/0")
        << "a member without rights sees no workspace, not even their number";
    EXPECT_EQ(co_await total("run-1"), "1/1") << "a run sees its own";
    co_await stage.sql("INSERT INTO terrane.remote_state_consumers VALUES ('ws-2', 'ws-1')");
    EXPECT_EQ(co_await total("run-1"), "2/2") << "and what shares with it";
    TestAnswer beyond = co_await stage.get(all + "?page[number]=9", "user-bob");
    EXPECT_EQ(beyond.at("/meta/pagination/total-count"), json::value(0));
    EXPECT_EQ((co_await stage.get(all, "user-eve")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/nothing/workspaces")).status, 404);
  });
}

TEST(WorkspaceApi, HidesItselfFromStrangers) {
  run([](Stage& stage) -> Task<> {
    const std::string one = "/api/v2/workspaces/ws-1";
    std::vector<std::pair<Method, std::string>> routes{
        {Method::get, one},
        {Method::patch, one},
        {Method::del, one},
        {Method::get, all + "/one"},
        {Method::patch, all + "/one"},
        {Method::del, all + "/one"},
        {Method::post, one + "/actions/safe-delete"},
        {Method::post, all + "/one/actions/safe-delete"},
        {Method::post, one + "/actions/lock"},
        {Method::post, one + "/actions/unlock"},
        {Method::post, one + "/actions/force-unlock"},
        {Method::get, one + "/relationships/remote-state-consumers"},
        {Method::post, one + "/relationships/remote-state-consumers"},
        {Method::patch, one + "/relationships/remote-state-consumers"},
        {Method::del, one + "/relationships/remote-state-consumers"},
        {Method::get, one + "/resources"},
        {Method::post, "/api/v2/projects/prj-1/relationships/workspaces"}};
    EXPECT_EQ(routes.size() + 2, stage.router.rows().size()) << "every route but list and create";
    for (const auto& [method, path] : routes) {
      // A body that each of them takes.
      std::string body = path.ends_with("consumers") || path.ends_with("workspaces") ? R"({"data": []})"
                         : path.ends_with("lock")                                    ? "{}"
                                                                                     : R"({"data": {}})";
      for (const char* who : {"user-eve", "user-bob"}) {
        EXPECT_EQ((co_await stage.call(method, path, body, who)).status, 404)
            << http::name(method) << path << who;
      }
      EXPECT_EQ((co_await stage.call(method, path, body, "nobody")).status, 401) << path;
      std::string absent = path.starts_with(one) ? "/api/v2/workspaces/ws-nothing" + path.substr(one.size())
                                                 : all + "/nothing" + path.substr(all.size() + 4);
      EXPECT_EQ((co_await stage.call(method, absent, body)).status, 404) << absent;
    }
    // Who may only read may change nothing.
    for (const auto& [method, path] : routes) {
      if (method == Method::get) continue;
      const bool takes_list = path.ends_with("consumers") || path.ends_with("workspaces");
      std::string body = takes_list ? R"({"data": []})" : path.ends_with("lock") ? "{}" : R"({"data": {}})";
      EXPECT_EQ((co_await stage.call(method, path, body, "run-1")).status, 404) << http::name(method) << path;
    }
    EXPECT_EQ((co_await stage.create({{"name", "x"}}, "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.create({{"name", "x"}}, "user-eve")).status, 404);
    EXPECT_EQ((co_await stage.create({{"name", "x"}}, "run-1")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/%00")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/%ff")).status, 422);
  });
}

TEST(WorkspaceApi, DeletesWithAllThatBelongsToIt) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(R"sql(
      INSERT INTO terrane.nodes (id, name, incarnation, capacity) VALUES ('n', 'n', 'i', 1);
      INSERT INTO terrane.jobs (id, run_id, workspace_id, phase, attempt, priority, position, status, epoch, node_id, log_segment)
        VALUES ('job-1', 'run-1', 'ws-1', 'apply', 1, 1, 1, 'claimed', 1, 'n', 1);
      INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-s', 'state', 'ws-1', 'ws-1', 'live');
      INSERT INTO terrane.state_versions (id, workspace_id, run_id, job_id, serial, md5, object_id)
        VALUES ('sv-1', 'ws-1', 'run-1', 'job-1', 1, 'm', 'obj-s');
      UPDATE terrane.workspaces SET current_state_version_id = 'sv-1', current_run_id = 'run-1' WHERE id = 'ws-1')sql");
    TestAnswer busy = co_await stage.del("/api/v2/workspaces/ws-1");
    EXPECT_EQ(busy.status, 409);
    EXPECT_NE(busy.text("/errors/0/detail").find("run-1"), std::string::npos) << "it names the run";
    EXPECT_EQ((co_await stage.del(all + "/one")).status, 409);
    co_await stage.sql("UPDATE terrane.jobs SET phase = 'plan'");
    EXPECT_EQ((co_await stage.del("/api/v2/workspaces/ws-1")).status, 204) << "a plan may end with it";
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1")).status, 404);
    EXPECT_EQ((co_await stage.del("/api/v2/workspaces/ws-1")).status, 404);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.runs"), "0");
    EXPECT_EQ(co_await stage.value(
                  "SELECT string_agg(DISTINCT status, ',') FROM terrane.objects WHERE workspace = 'ws-1'"),
              "deleted");
    EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.objects WHERE workspace = 'ws-9'"), "live");
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-2", "run-1")).status, 401)
        << "its runs' tokens are nobody's";
    EXPECT_EQ((co_await stage.del(all + "/two")).status, 204);
  });
}

TEST(WorkspaceApi, DeletesSafelyOnlyWhatManagesNothing) {
  run([](Stage& stage) -> Task<> {
    const std::string safe = "/api/v2/workspaces/ws-1/actions/safe-delete";
    auto refusal = [&](std::string path) -> Task<std::string> {
      TestAnswer answer = co_await stage.post(std::move(path));
      EXPECT_EQ(answer.status, 409) << answer.body;
      co_return answer.text("/errors/0/detail");
    };
    co_await stage.post("/api/v2/workspaces/ws-1/actions/lock");
    std::string text = co_await refusal(safe);
    EXPECT_NE(text.find("locked"), std::string::npos) << "clients look for the word: " << text;
    co_await stage.post("/api/v2/workspaces/ws-1/actions/unlock");
    co_await stage.sql(R"sql(
      INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-s', 'state', 'ws-1', 'ws-1', 'live');
      INSERT INTO terrane.state_versions (id, workspace_id, serial, md5, object_id, status) VALUES ('sv-1', 'ws-1', 1, 'm', 'obj-s', 'finalized');
      UPDATE terrane.workspaces SET current_state_version_id = 'sv-1' WHERE id = 'ws-1')sql");
    text = co_await refusal(safe);
    EXPECT_NE(text.find("being processed"), std::string::npos) << text;
    co_await stage.sql(
        "UPDATE terrane.state_versions SET resources_processed = true, parse_error = 'no JSON'");
    co_await refusal(safe);
    co_await stage.sql(
        "UPDATE terrane.state_versions SET parse_error = NULL, resources = '[{\"address\": \"a.b\"}]'");
    text = co_await refusal(all + "/one/actions/safe-delete");
    EXPECT_EQ(text.find("locked"), std::string::npos) << text;
    EXPECT_EQ(text.find("being processed"), std::string::npos) << text;
    co_await stage.sql("UPDATE terrane.state_versions SET resources = '[]'");
    EXPECT_EQ((co_await stage.post(safe)).status, 204);
    EXPECT_EQ((co_await stage.post(all + "/two/actions/safe-delete")).status, 204) << "one without a state";
    EXPECT_EQ(co_await stage.value("SELECT string_agg(id, ',') FROM terrane.workspaces"), "ws-9");
  });
}

TEST(WorkspaceApi, SharesItsStateWithConsumers) {
  run([](Stage& stage) -> Task<> {
    const std::string path = "/api/v2/workspaces/ws-1/relationships/remote-state-consumers";
    auto list = [](std::vector<std::string> ids) {
      json::array data;
      for (const std::string& id : ids) data.push_back(json::object{{"type", "workspaces"}, {"id", id}});
      return json::object{{"data", std::move(data)}};
    };
    auto shown = [&]() -> Task<std::string> {
      TestAnswer answer = co_await stage.get(path);
      std::string out;
      const json::value data = answer.at("/data");
      for (const json::value& item : data.as_array()) out += std::string(item.at("id").as_string()) + " ";
      co_return out;
    };
    TestAnswer third = co_await stage.create({{"name", "three"}});
    const std::string extra = third.text("/data/id");
    EXPECT_EQ((co_await stage.post(path, list({"ws-2"}))).status, 204);
    EXPECT_EQ((co_await stage.post(path, list({"ws-2", extra}))).status, 204) << "adding again is no error";
    EXPECT_EQ(co_await shown(), extra + " ws-2 ");
    TestAnswer page = co_await stage.get(path + "?page[size]=1&page[number]=2");
    EXPECT_EQ(page.at("/data").as_array().size(), 1U);
    EXPECT_EQ(page.at("/meta/pagination/total-count"), json::value(2));
    EXPECT_EQ((co_await stage.call(Method::del, path, json::serialize(list({extra, "ws-none"})))).status,
              204);
    EXPECT_EQ(co_await shown(), "ws-2 ");
    EXPECT_EQ((co_await stage.patch(path, list({extra}))).status, 204);
    EXPECT_EQ(co_await shown(), extra + " ");
    for (const char* bad : {"ws-9", "ws-none"}) {
      EXPECT_EQ((co_await stage.post(path, list({"ws-2", bad}))).status, 404) << bad;
      EXPECT_EQ((co_await stage.patch(path, list({"ws-2", bad}))).status, 404) << bad;
    }
    EXPECT_EQ(co_await shown(), extra + " ") << "all or nothing";
    for (const char* bad :
         {"{}", "[]", R"({"data": {}})", R"({"data": [5]})", R"({"data": [{"id": 5}]})", "{"}) {
      for (Method method : {Method::post, Method::patch, Method::del}) {
        int status = (co_await stage.call(method, path, bad)).status;
        EXPECT_TRUE(status == 400 || status == 422) << bad << status;
      }
    }
  });
}

}  // namespace
}  // namespace terrane::workspace
