// What a workspace takes from its project and organization, settings that exclude each other, and what other
// rows say about it.
#include <gtest/gtest.h>

#include "organization/organization_api.h"
#include "workspace/testing_stage.h"
#include "workspace/workspace_api.h"

namespace terrane::workspace {
namespace {

using api::test_document;
using api::TestAnswer;

const std::string all = "/api/v2/organizations/acme/workspaces";
const std::string one = "/api/v2/workspaces/ws-1";

struct Stage : test::Stage {
  Api workspaces;
  organization::OrganizationApi organizations;
  organization::ProjectApi projects;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : test::Stage(on, at),
        workspaces(database, includes),
        organizations(database, tokens, includes),
        projects(database, includes) {
    workspaces.add_routes(router);
    organizations.add_routes(router);
    projects.add_routes(router);
  }
  Task<TestAnswer> create(json::object attributes, std::string project = "prj-1") {
    json::object body = test_document("workspaces", std::move(attributes));
    json::object identifier{{"type", "projects"}, {"id", project}};
    body["data"].as_object()["relationships"] =
        json::object{{"project", json::object{{"data", std::move(identifier)}}}};
    co_return co_await post(all, std::move(body));
  }
  Task<TestAnswer> update(json::object attributes) {
    json::object body = test_document("workspaces", std::move(attributes));
    co_return co_await patch(one, std::move(body));
  }
  Task<TestAnswer> set_organization(json::object attributes) {
    json::object body = test_document("organizations", std::move(attributes));
    co_return co_await patch("/api/v2/organizations/acme", std::move(body));
  }
  Task<TestAnswer> set_project(std::string id, json::object attributes) {
    json::object body = test_document("projects", std::move(attributes));
    co_return co_await patch("/api/v2/projects/" + id, std::move(body));
  }
  /// execution-mode and whether the workspace says so itself.
  Task<std::string> mode(std::string id) {
    TestAnswer shown = co_await get("/api/v2/workspaces/" + id);
    co_return shown.text("/data/attributes/execution-mode") + " " +
        shown.text("/data/attributes/setting-overwrites/execution-mode");
  }
};

void run(std::function<Task<>(Stage&)> body) { test::run_on<Stage>(std::move(body)); }

json::object overwrites(bool yes) { return {{"execution-mode", yes}, {"agent-pool", yes}}; }

TEST(WorkspaceSettings, ExecutionModeComesFromAbove) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create({{"name", "heir"}});
    const std::string heir = made.text("/data/id");
    TestAnswer of_other = co_await stage.create({{"name", "other-heir"}}, "prj-2");
    const std::string other = of_other.text("/data/id");
    EXPECT_EQ(co_await stage.mode(heir), "remote false");
    EXPECT_EQ(co_await stage.mode("ws-1"), "remote true") << "made by a binary that knew no inheritance";

    EXPECT_EQ((co_await stage.set_organization({{"default-execution-mode", "local"}})).status, 200);
    EXPECT_EQ(co_await stage.mode(heir), "local false");
    EXPECT_EQ(co_await stage.mode(other), "local false");
    EXPECT_EQ(co_await stage.mode("ws-1"), "remote true");

    TestAnswer project = co_await stage.set_project("prj-2", {{"default-execution-mode", "remote"}});
    EXPECT_EQ(project.text("/data/attributes/default-execution-mode"), "remote") << project.body;
    EXPECT_EQ(project.at("/data/attributes/setting-overwrites/default-execution-mode"), json::value(true));
    EXPECT_EQ(co_await stage.mode(other), "remote false");
    json::object back{{"default-execution-mode", false}, {"default-agent-pool", false}};
    project = co_await stage.set_project("prj-2", {{"setting-overwrites", std::move(back)}});
    EXPECT_EQ(project.text("/data/attributes/default-execution-mode"), "local");
    EXPECT_EQ(co_await stage.mode(other), "local false");

    EXPECT_EQ((co_await stage.update({{"setting-overwrites", overwrites(false)}})).status, 200);
    EXPECT_EQ(co_await stage.mode("ws-1"), "local false");
    EXPECT_EQ((co_await stage.update({{"execution-mode", "remote"}})).status, 200);
    EXPECT_EQ(co_await stage.mode("ws-1"), "remote true");
    EXPECT_EQ((co_await stage.update({{"operations", false}})).status, 200);
    EXPECT_EQ(co_await stage.mode("ws-1"), "local true");
  });
}

TEST(WorkspaceSettings, AgentPoolsMustBeOfTheOrganizationAndAllowed) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(
        "INSERT INTO terrane.agent_pools (id, organization_id, name, organization_scoped) VALUES ('apool-1', "
        "'org-1', 'a', true), "
        "('apool-2', 'org-1', 'b', false), ('apool-9', 'org-2', 'c', true)");
    auto refusal = [&](json::object attributes) -> Task<std::string> {
      TestAnswer answer = co_await stage.update(std::move(attributes));
      EXPECT_EQ(answer.status, 422) << answer.body;
      co_return answer.text("/errors/0/detail");
    };
    EXPECT_EQ(co_await refusal({{"execution-mode", "agent"}, {"agent-pool-id", "apool-9"}}),
              "There is no such agent pool in this organization");
    EXPECT_EQ(co_await refusal({{"execution-mode", "agent"}, {"agent-pool-id", "apool-2"}}),
              "The agent pool is not allowed to be used here");
    EXPECT_EQ(co_await refusal({{"execution-mode", "remote"}, {"agent-pool-id", "apool-1"}}),
              "Agent pool must not be specified unless using 'agent' execution mode");
    json::object unequal{{"execution-mode", true}, {"agent-pool", false}};
    EXPECT_EQ(
        co_await refusal({{"execution-mode", "local"}, {"setting-overwrites", unequal}}),
        "If agent-pool and execution-mode are both included in setting-overwrites, their values must be "
        "the same.");
    TestAnswer taken = co_await stage.update({{"execution-mode", "agent"}, {"agent-pool-id", "apool-1"}});
    EXPECT_EQ(taken.status, 200) << taken.body;
    EXPECT_EQ(taken.text("/data/relationships/agent-pool/data/id"), "apool-1");
    co_await stage.sql("INSERT INTO terrane.agent_pool_allowed_projects VALUES ('apool-2', 'prj-1')");
    EXPECT_EQ((co_await stage.update({{"agent-pool-id", "apool-2"}})).status, 200);
    taken = co_await stage.update({{"execution-mode", "remote"}});
    EXPECT_TRUE(taken.at("/data/relationships/agent-pool/data").is_null()) << "a pool is for agents only";
  });
}

TEST(WorkspaceSettings, SomeExcludeEachOther) {
  run([](Stage& stage) -> Task<> {
    TestAnswer both = co_await stage.update(
        {{"trigger-prefixes", json::array{"/a"}}, {"trigger-patterns", json::array{"/b/**/*"}}});
    EXPECT_EQ(both.status, 422);
    EXPECT_EQ((co_await stage.update({{"trigger-prefixes", json::array{"/a"}}})).status, 200);
    TestAnswer patterns = co_await stage.update({{"trigger-patterns", json::array{"/b/**/*"}}});
    EXPECT_EQ(patterns.at("/data/attributes/trigger-patterns"), json::value(json::array{"/b/**/*"}));
    EXPECT_EQ(patterns.at("/data/attributes/trigger-prefixes"), json::value(json::array{}));

    TestAnswer sharing =
        co_await stage.update({{"global-remote-state", true}, {"project-remote-state", true}});
    EXPECT_EQ(sharing.status, 422);
    EXPECT_EQ(sharing.text("/errors/0/detail"),
              "Project remote state cannot be enabled when global remote state sharing is enabled");
    EXPECT_EQ((co_await stage.update({{"global-remote-state", true}})).status, 200);
    sharing = co_await stage.update({{"project-remote-state", true}});
    EXPECT_EQ(sharing.at("/data/attributes/global-remote-state"), json::value(false));
    EXPECT_EQ(sharing.at("/data/attributes/project-remote-state"), json::value(true));
  });
}

TEST(WorkspaceSettings, ProjectSharingReadsWithTheProject) {
  run([](Stage& stage) -> Task<> {
    const std::string consumers = "/api/v2/workspaces/ws-2/relationships/remote-state-consumers";
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-2", "run-1")).status, 404);
    co_await stage.sql("UPDATE terrane.workspaces SET project_remote_state = true WHERE id = 'ws-2'");
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-2", "run-1")).status, 200);
    TestAnswer list = co_await stage.get(consumers);
    EXPECT_EQ(list.text("/data/0/id"), "ws-1");
    EXPECT_EQ(list.at("/meta/pagination/total-count"), json::value(1));
    co_await stage.sql("UPDATE terrane.workspaces SET project_id = 'prj-2' WHERE id = 'ws-2'");
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-2", "run-1")).status, 404);
    EXPECT_EQ((co_await stage.get(consumers)).at("/meta/pagination/total-count"), json::value(0));
  });
}

TEST(WorkspaceSettings, AutoDestroyComesFromTheProjectUnlessItIsSet) {
  run([](Stage& stage) -> Task<> {
    const std::string duration = "/data/attributes/auto-destroy-activity-duration";
    EXPECT_EQ((co_await stage.set_project("prj-1", {{"auto-destroy-activity-duration", "3d"}})).status, 200);
    EXPECT_EQ((co_await stage.get(one)).text(duration), "3d");
    TestAnswer own = co_await stage.update({{"auto-destroy-activity-duration", "14d"}});
    EXPECT_EQ(own.text(duration), "14d");
    EXPECT_EQ(own.at("/data/attributes/inherits-project-auto-destroy"), json::value(false));
    TestAnswer none = co_await stage.update({{"auto-destroy-activity-duration", nullptr}});
    EXPECT_TRUE(none.at(duration).is_null());
    TestAnswer inherited = co_await stage.update({{"inherits-project-auto-destroy", true}});
    EXPECT_EQ(inherited.text(duration), "3d");
    TestAnswer at = co_await stage.update({{"auto-destroy-at", "2030-01-01T00:00:00Z"}});
    EXPECT_EQ(at.text("/data/attributes/auto-destroy-at"), "2030-01-01T00:00:00.000Z");
    EXPECT_TRUE(at.at(duration).is_null());
  });
}

TEST(WorkspaceSettings, MovesBetweenProjectsOfOneOrganization) {
  run([](Stage& stage) -> Task<> {
    auto document = [](std::vector<std::string> ids) {
      json::array data;
      for (const std::string& id : ids) data.push_back(json::object{{"type", "workspaces"}, {"id", id}});
      return json::object{{"data", std::move(data)}};
    };
    const std::string into = "/api/v2/projects/prj-2/relationships/workspaces";
    EXPECT_EQ((co_await stage.post(into, document({"ws-1", "ws-9"}))).status, 404);
    EXPECT_EQ((co_await stage.post(into, document({"ws-1", "ws-9"}), "user-root")).status, 404)
        << "another organization's";
    EXPECT_EQ((co_await stage.post(into, document({"ws-1"}), "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.get(one)).text("/data/relationships/project/data/id"), "prj-1");
    EXPECT_EQ((co_await stage.post(into, document({"ws-1", "ws-2"}))).status, 204);
    EXPECT_EQ((co_await stage.get(one)).text("/data/relationships/project/data/id"), "prj-2");
    TestAnswer projects = co_await stage.get("/api/v2/organizations/acme/projects?sort=-name");
    EXPECT_EQ(projects.text("/data/0/attributes/name"), "other") << projects.body;
    EXPECT_EQ(projects.at("/data/0/attributes/workspace-count"), json::value(2));
    EXPECT_EQ(projects.at("/data/1/attributes/workspace-count"), json::value(0));
    EXPECT_EQ((co_await stage.del("/api/v2/projects/prj-2")).status, 409);
  });
}

TEST(WorkspaceSettings, OnlyWhoMayDeleteByForceTakesManagedResources) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(
        "INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-s', 'state', "
        "'ws-1', 'ws-1', 'live');"
        "INSERT INTO terrane.state_versions (id, workspace_id, serial, md5, status, object_id, "
        "resources_processed, resources) "
        "VALUES ('sv-1', 'ws-1', 1, 'm', 'finalized', 'obj-s', true, '[{\"address\": \"a.b\", \"count\": "
        "2}]');"
        "UPDATE terrane.workspaces SET current_state_version_id = 'sv-1' WHERE id = 'ws-1'");
    postgres::Tx tx = co_await stage.database.begin();
    std::optional<Workspace> found = co_await find(tx, "ws-1");
    EXPECT_EQ(found->resource_count, 2);
    organization::WorkspaceAccess admin;
    admin.read = admin.destroy = true;
    EXPECT_FALSE(may_force_delete(*found, admin));
    found->others_may_force_delete = true;
    EXPECT_TRUE(may_force_delete(*found, admin));
    admin.destroy = false;
    EXPECT_FALSE(may_force_delete(*found, admin));
    TestAnswer shown = co_await stage.get(one);
    EXPECT_EQ(shown.at("/data/attributes/permissions/can-force-delete"), json::value(true)) << "an owner";
    EXPECT_EQ((co_await stage.post(one + "/actions/safe-delete")).status, 409);
    EXPECT_EQ((co_await stage.del(one)).status, 204);
  });
}

TEST(WorkspaceSettings, HistoryIsOfTheRunsThatEnded) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(
        "INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, status, message, "
        "terraform_version, epoch) "
        "VALUES ('run-2', 'ws-1', 'cv-1', 'applying', 'm', '1.0.0', 1);"
        "INSERT INTO terrane.plans (id, run_id, log_id, status_timestamps) VALUES ('plan-2', 'run-2', "
        "'obj-log1', "
        "'{\"started-at\": \"2026-01-01T00:00:00+00:00\", \"finished-at\": \"2026-01-01T00:00:04+00:00\"}');"
        "INSERT INTO terrane.applies (id, run_id, log_id, status_timestamps) VALUES ('apply-2', 'run-2', "
        "'obj-log2', "
        "'{\"started-at\": \"2026-01-01T00:00:10+00:00\"}')");
    EXPECT_EQ((co_await stage.get(one)).at("/data/attributes/workspace-kpis-runs-count"), json::value(0));
    // The apply's time is written after the run's status, as the product does.
    co_await stage.sql(
        "BEGIN; UPDATE terrane.runs SET status = 'errored' WHERE id = 'run-2';"
        "UPDATE terrane.applies SET status_timestamps = status_timestamps || "
        "'{\"finished-at\": \"2026-01-01T00:00:12+00:00\"}' WHERE id = 'apply-2'; COMMIT");
    TestAnswer shown = co_await stage.get(one);
    json::object expected{{"workspace-kpis-runs-count", 2},
                          {"run-failures", 1},
                          {"plan-duration-average", 4000},
                          {"apply-duration-average", 2000},
                          {"policy-check-failures", nullptr}};
    for (const auto& [key, value] : expected)
      EXPECT_EQ(shown.at("/data/attributes/" + std::string(key)), value) << key;
  });
}

TEST(WorkspaceSettings, ListsInstancesOfResources) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ((co_await stage.get(one + "/resources")).at("/data"), json::value(json::array{}));
    co_await stage.sql(
        "INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-s', 'state', "
        "'ws-1', 'ws-1', 'live');"
        "INSERT INTO terrane.state_versions (id, workspace_id, serial, md5, status, object_id, "
        "resources_processed, resources) "
        "VALUES ('sv-1', 'ws-1', 1, 'm', 'finalized', 'obj-s', true, '["
        "{\"name\": \"this\", \"type\": \"aws_s3_bucket\", \"module\": \"module.media\", \"count\": 2, "
        "\"keys\": [0, 1], "
        "\"provider\": \"provider[\\\"registry.terraform.io/hashicorp/aws\\\"]\"},"
        "{\"name\": \"a\", \"type\": \"null_resource\", \"module\": \"root\", \"count\": 1, \"provider\": "
        "\"p\"},"
        "{\"name\": \"each\", \"type\": \"null_resource\", \"module\": \"module.x.module.y[\\\"k\\\"]\", "
        "\"count\": 1, \"keys\": [\"b\"], "
        "\"provider\": \"p\"}]');"
        "UPDATE terrane.workspaces SET current_state_version_id = 'sv-1' WHERE id = 'ws-1'");
    TestAnswer list = co_await stage.get(one + "/resources");
    std::vector<std::string> addresses;
    const json::value data = list.at("/data");
    for (const json::value& item : data.as_array())
      addresses.emplace_back(item.at("attributes").at("address").as_string());
    EXPECT_EQ(addresses,
              (std::vector<std::string>{"media.aws_s3_bucket.this[0]", "media.aws_s3_bucket.this[1]",
                                        "null_resource.a", R"(x.y["k"].null_resource.each["b"])"}));
    EXPECT_EQ(list.at("/meta/pagination/total-count"), json::value(4));
    EXPECT_EQ(list.text("/data/0/attributes/provider"), "hashicorp/aws");
    EXPECT_EQ(list.text("/data/0/attributes/module"), "media");
    EXPECT_EQ(list.text("/data/2/attributes/module"), "root");
    TestAnswer second = co_await stage.get(one + "/resources?page[size]=3&page[number]=2");
    EXPECT_EQ(second.text("/data/0/attributes/name"), "each");
    EXPECT_EQ((co_await stage.get(one + "/resources?page[number]=999")).at("/data"),
              json::value(json::array{}));
  });
}

}  // namespace
}  // namespace terrane::workspace
