#include "team/testing_stage.h"

namespace terrane::team::test {
namespace {

using Names = std::vector<std::string>;

json::object in_workspace(json::object attributes, const char* team = "team-devs",
                          const char* place = "ws-1") {
  return granted("team-workspaces", std::move(attributes), team, "workspace", place);
}
json::object in_project(json::object attributes, const char* team = "team-devs",
                        const char* place = "prj-1") {
  return granted("team-projects", std::move(attributes), team, "project", place);
}

TEST(GrantApi, WritesFixedLevelsOut) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.post("team-workspaces", in_workspace({{"access", "admin"}}));
    EXPECT_EQ(made.status, 201) << made.body;
    const std::string one = "team-workspaces/" + made.text("/data/id");
    EXPECT_EQ(made.text("/data/attributes/runs"), "apply");
    EXPECT_EQ(made.text("/data/attributes/sentinel-mocks"), "read");
    EXPECT_EQ(made.text("/data/attributes/run-tasks"), "true");
    EXPECT_EQ(made.text("/data/relationships/team/data/id"), "team-devs");
    EXPECT_EQ(made.text("/data/relationships/workspace/data/id"), "ws-1");
    EXPECT_EQ((co_await stage.get(one)).json, made.json);
    EXPECT_EQ((co_await stage.post("team-workspaces", in_workspace({{"access", "read"}}))).status, 422)
        << "one for each team and workspace";
    TestAnswer custom =
        co_await stage.patch(one, test_document("team-workspaces", {{"access", "custom"}, {"runs", "plan"}}));
    EXPECT_EQ(custom.text("/data/attributes/runs"), "plan") << custom.body;
    EXPECT_EQ(custom.text("/data/attributes/variables"), "write") << "what is not said stays";
    TestAnswer wrong =
        co_await stage.patch(one, test_document("team-workspaces", {{"access", "read"}, {"runs", "apply"}}));
    EXPECT_EQ(wrong.text("/errors/0/title") + "\n\n" + wrong.text("/errors/0/detail"),
              "invalid attribute\n\nRuns is read-only when access level is 'read'; use the 'custom' access "
              "level to set this attribute.");
    TestAnswer list = co_await stage.get("team-workspaces?filter[workspace][id]=ws-1");
    EXPECT_EQ(list.at("/data").as_array().size(), 1U);
    EXPECT_EQ(list.text("/data/0/attributes/runs"), "plan");
    EXPECT_EQ((co_await stage.get("team-workspaces")).status, 400);
    EXPECT_EQ((co_await stage.del(one)).status, 204);
    EXPECT_EQ((co_await stage.get(one)).status, 404);
    EXPECT_EQ((co_await stage.del(one)).status, 404);
  });
}

TEST(GrantApi, HoldsForProjectsToo) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.post(
        "team-projects",
        in_project({{"access", "custom"},
                    {"project-access", json::object{{"settings", "update"}}},
                    {"workspace-access", json::object{{"runs", "apply"}, {"create", true}}}}));
    EXPECT_EQ(made.status, 201) << made.body;
    const std::string one = "team-projects/" + made.text("/data/id");
    EXPECT_EQ(made.text("/data/attributes/project-access/settings"), "update");
    EXPECT_EQ(made.text("/data/attributes/project-access/teams"), "none");
    EXPECT_EQ(made.text("/data/attributes/workspace-access/runs"), "apply");
    EXPECT_EQ(made.text("/data/attributes/workspace-access/create"), "true");
    EXPECT_EQ(made.text("/data/attributes/workspace-access/delete"), "false");
    EXPECT_EQ((co_await stage.get(one)).json, made.json);
    TestAnswer maintain = co_await stage.patch(one, test_document("team-projects", {{"access", "maintain"}}));
    EXPECT_EQ(maintain.text("/data/attributes/project-access/settings"), "read");
    EXPECT_EQ(maintain.text("/data/attributes/workspace-access/delete"), "true");
    EXPECT_EQ(maintain.text("/data/attributes/workspace-access/run-tasks"), "false");
    TestAnswer list = co_await stage.get("team-projects?filter[project][id]=prj-1&page[number]=999");
    EXPECT_EQ(list.text("/data"), "[]");
    EXPECT_EQ(list.text("/meta/pagination/total-count"), "1");
    TestAnswer wrong = co_await stage.patch(
        one, test_document("team-projects",
                           {{"access", "custom"}, {"project-access", json::object{{"teams", "! / nope"}}}}));
    EXPECT_EQ(wrong.status, 422);
    EXPECT_EQ(wrong.text("/errors/0/source/pointer"), "/data/attributes/project-access/teams");
    EXPECT_EQ((co_await stage.del(one)).status, 204);
  });
}

/// The way from a grant to what its people may do, and back.
TEST(GrantApi, IsWhatTheTeamMay) {
  run([](Stage& stage) -> Task<> {
    const std::string list = "team-workspaces?filter[workspace][id]=ws-1";
    EXPECT_EQ((co_await stage.get(list, "user-bob")).status, 404);
    TestAnswer made = co_await stage.post("team-workspaces", in_workspace({{"access", "write"}}));
    const std::string one = "team-workspaces/" + made.text("/data/id");
    for (const char* who : {"user-bob", "team-devs", "user-carl", "user-oli", "user-eve"}) {
      EXPECT_EQ((co_await stage.get(list, who)).status, 404) << who;
      EXPECT_EQ((co_await stage.get(one, who)).status, 404) << who;
      EXPECT_EQ((co_await stage.patch(one, in_workspace({{"access", "admin"}}), who)).status, 404) << who;
      EXPECT_EQ((co_await stage.del(one, who)).status, 404) << who;
      EXPECT_EQ(
          (co_await stage.post("team-workspaces", in_workspace({{"access", "admin"}}, "team-open"), who))
              .status,
          404)
          << who;
    }
    EXPECT_EQ((co_await stage.patch(one, in_workspace({{"access", "admin"}}))).status, 200);
    EXPECT_EQ((co_await stage.get(one, "user-bob")).status, 200) << "now he administers the workspace";
    EXPECT_EQ(
        (co_await stage.post("team-workspaces", in_workspace({{"access", "read"}}, "team-open"), "user-bob"))
            .status,
        201);
    EXPECT_EQ(
        (co_await stage.post("team-workspaces", in_workspace({{"access", "read"}}, "team-mem"), "user-bob"))
            .status,
        404)
        << "a secret team";
    co_await stage.post("team-workspaces", in_workspace({{"access", "read"}}, "team-mem"));
    EXPECT_EQ((co_await stage.get(list, "user-bob")).text("/meta/pagination/total-count"), "2");
    EXPECT_EQ((co_await stage.get(list, "org-1")).text("/meta/pagination/total-count"), "3");
    EXPECT_EQ(
        (co_await stage.post("team-workspaces", in_workspace({{"access", "read"}}, "team-evil"))).status,
        404);
    EXPECT_EQ(
        (co_await stage.post("team-workspaces", in_workspace({{"access", "read"}}, "team-open", "ws-9")))
            .status,
        404);
    EXPECT_EQ((co_await stage.get("team-workspaces?filter[workspace][id]=ws-9")).status, 404);

    // In a project custom rights may let teams be seen and not changed.
    const json::object seeing =
        in_project({{"access", "custom"}, {"project-access", json::object{{"teams", "read"}}}});
    TestAnswer granted = co_await stage.post("team-projects", seeing);
    EXPECT_EQ(granted.status, 201) << granted.body;
    const std::string project = "team-projects/" + granted.text("/data/id");
    EXPECT_EQ((co_await stage.get(project, "user-bob")).status, 200);
    EXPECT_EQ((co_await stage.patch(project, in_project({{"access", "admin"}}), "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.del(project, "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.get(project, "user-carl")).status, 404);
  });
}

TEST(GrantApi, RefusesBadInput) {
  run([](Stage& stage) -> Task<> {
    const std::vector<std::pair<json::object, const char*>> bad{
        {in_workspace({}), "/data/attributes/access"},
        {in_workspace({{"access", "owner"}}), "/data/attributes/access"},
        {in_workspace({{"access", 5}}), "/data/attributes/access"},
        {in_workspace({{"access", "custom"}, {"runs", "none"}}), "/data/attributes/runs"},
        {in_workspace({{"access", "custom"}, {"run-tasks", "yes"}}), "/data/attributes/run-tasks"},
        {test_document("team-workspaces", {{"access", "read"}}), "/data/relationships/team"},
    };
    for (const auto& [body, pointer] : bad) {
      TestAnswer answer = co_await stage.post("team-workspaces", body);
      EXPECT_EQ(answer.status, 422) << answer.body;
      EXPECT_EQ(answer.text("/errors/0/source/pointer"), pointer) << answer.body;
    }
  });
}

}  // namespace
}  // namespace terrane::team::test
