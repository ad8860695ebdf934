#include "team/testing_stage.h"

namespace terrane::team::test {
namespace {

using Names = std::vector<std::string>;
const std::string all = "organizations/acme/teams";

json::object named(const char* name, json::object more = {}) {
  more["name"] = name;
  return test_document("teams", std::move(more));
}

TEST(TeamApi, MakesShowsChangesAndRemovesTeams) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.post(
        all, named("ops", {{"sso-team-id", "s-1"},
                           {"organization-access", json::object{{"manage-policies", true}}}}));
    EXPECT_EQ(made.status, 201) << made.body;
    const std::string one = "teams/" + made.text("/data/id");
    EXPECT_EQ(made.text("/data/attributes/visibility"), "secret");
    EXPECT_EQ(made.text("/data/attributes/sso-team-id"), "s-1");
    EXPECT_EQ(made.text("/data/attributes/allow-member-token-management"), "true");
    EXPECT_EQ(made.text("/data/attributes/organization-access/manage-policies"), "true");
    EXPECT_EQ(made.text("/data/attributes/organization-access/manage-teams"), "false");
    EXPECT_EQ(made.text("/data/attributes/permissions/can-destroy"), "true");
    EXPECT_EQ(made.text("/data/relationships/users/data"), "[]");
    EXPECT_EQ((co_await stage.get(one)).json, made.json);

    TestAnswer changed = co_await stage.patch(
        one, named("operators", {{"visibility", "organization"},
                                 {"organization-access", json::object{{"manage-teams", true}}}}));
    EXPECT_EQ(changed.status, 200) << changed.body;
    EXPECT_EQ(changed.text("/data/attributes/name"), "operators");
    EXPECT_EQ(changed.text("/data/attributes/visibility"), "organization");
    EXPECT_EQ(changed.text("/data/attributes/organization-access/manage-policies"), "true") << "stays";
    EXPECT_EQ(changed.text("/data/attributes/organization-access/manage-teams"), "true");
    EXPECT_EQ(changed.text("/data/attributes/sso-team-id"), "s-1");
    EXPECT_EQ((co_await stage.patch(one, named("devs"))).text("/errors/0/source/pointer"),
              "/data/attributes/name")
        << "taken";
    EXPECT_EQ((co_await stage.del(one)).status, 204);
    EXPECT_EQ((co_await stage.get(one)).status, 404);
    EXPECT_EQ((co_await stage.del(one)).status, 404);
  });
}

TEST(TeamApi, ListsWhatTheCallerSees) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ(ids(co_await stage.get(all)),
              (Names{"team-acc", "team-adm", "team-devs", "team-mem", "team-open", "team-owners"}));
    EXPECT_EQ(ids(co_await stage.get(all, "org-1")).size(), 6U);
    EXPECT_EQ(ids(co_await stage.get(all, "user-root")).size(), 6U);
    for (const char* who : {"user-bob", "team-devs"})
      EXPECT_EQ(ids(co_await stage.get(all, who)), (Names{"team-devs", "team-open", "team-owners"})) << who;
    TestAnswer carl = co_await stage.get(all, "user-carl");
    EXPECT_EQ(ids(carl), (Names{"team-open", "team-owners"}));
    EXPECT_EQ(carl.text("/meta/pagination/total-count"), "2");
    EXPECT_EQ((co_await stage.get("teams/team-devs", "user-carl")).status, 404);
    EXPECT_EQ((co_await stage.get("teams/team-open", "user-carl")).status, 200);
    EXPECT_EQ((co_await stage.get(all, "user-eve")).status, 404);
    EXPECT_EQ((co_await stage.get("teams/team-open", "user-eve")).status, 404);
    EXPECT_EQ(ids(co_await stage.get(all + "?filter[names]=devs,open")), (Names{"team-devs", "team-open"}));
    EXPECT_EQ(ids(co_await stage.get(all + "?q=EV")), Names{"team-devs"});
    TestAnswer beyond = co_await stage.get(all + "?page[number]=999&page[size]=100");
    EXPECT_EQ(beyond.text("/data"), "[]");
    EXPECT_EQ(beyond.text("/meta/pagination/total-count"), "6");
    EXPECT_EQ((co_await stage.get(all + "?include=nonsense")).status, 400);
    TestAnswer with = co_await stage.get("teams/team-devs?include=users");
    EXPECT_EQ(ids(with, "/included"), Names{"user-bob"});
    EXPECT_TRUE(with.at("/included/0/attributes/email").is_null()) << "addresses are not shown";
  });
}

TEST(TeamApi, LetsTeamManagersDoWhatTheyMay) {
  run([](Stage& stage) -> Task<> {
    const json::object visible = named("new", {{"visibility", "organization"}});
    for (const char* who : {"user-bob", "user-carl", "user-mia", "user-eve", "team-devs"})
      EXPECT_EQ((co_await stage.post(all, visible, who)).status, 404) << who;
    EXPECT_EQ((co_await stage.post(all, named("hidden"), "user-tom")).status, 422) << "sees no secret teams";
    const json::object grabbing = named(
        "grab",
        {{"visibility", "organization"}, {"organization-access", json::object{{"manage-workspaces", true}}}});
    EXPECT_EQ((co_await stage.post(all, grabbing, "user-tom")).status, 404);
    EXPECT_EQ((co_await stage.post(all, grabbing, "user-oli")).status, 201);
    EXPECT_EQ((co_await stage.post(all, visible, "user-tom")).status, 201);
    const json::object rights =
        test_document("teams", {{"organization-access", json::object{{"manage-workspaces", true}}}});
    EXPECT_EQ((co_await stage.patch("teams/team-open", rights, "user-tom")).status, 404);
    EXPECT_EQ((co_await stage.patch("teams/team-open", rights, "user-oli")).status, 200);
    EXPECT_EQ((co_await stage.patch("teams/team-devs", named("x-y"), "user-tom")).status, 404) << "secret";
    // Nobody touches the owners but they themselves, and nobody unmakes them.
    EXPECT_EQ((co_await stage.patch("teams/team-owners", named("x-y"), "user-oli")).status, 404);
    EXPECT_EQ((co_await stage.patch("teams/team-owners", named("x-y"))).status, 422);
    EXPECT_EQ((co_await stage.patch("teams/team-owners", rights)).status, 422);
    EXPECT_EQ((co_await stage.del("teams/team-owners")).status, 404);
    EXPECT_EQ((co_await stage.del("teams/team-open", "user-mia")).status, 404);
    EXPECT_EQ((co_await stage.del("teams/team-open", "user-tom")).status, 204);
  });
}

TEST(TeamApi, PutsPeopleIntoTeamsAndOut) {
  run([](Stage& stage) -> Task<> {
    const std::string users = "teams/team-open/relationships/users";
    const std::string members = "teams/team-open/relationships/organization-memberships";
    EXPECT_EQ((co_await stage.post(users, people("users", {"CARL", "bob"}))).status, 204);
    EXPECT_EQ((co_await stage.post(users, people("users", {"bob"}))).status, 204) << "again is no error";
    TestAnswer shown = co_await stage.get("teams/team-open");
    EXPECT_EQ(ids(shown, "/data/relationships/users/data"), (Names{"user-bob", "user-carl"}));
    EXPECT_EQ(shown.text("/data/attributes/users-count"), "2");
    EXPECT_EQ((co_await stage.del(users, "user-ann", people("users", {"bob", "nobody"}))).status, 204);
    EXPECT_EQ(ids(co_await stage.get("teams/team-open"), "/data/relationships/users/data"),
              Names{"user-carl"});
    for (const char* stranger : {"eve", "nobody"})
      EXPECT_EQ((co_await stage.post(users, people("users", {"bob", stranger}))).status, 422) << stranger;
    EXPECT_EQ((co_await stage.get("teams/team-open")).text("/data/attributes/users-count"), "1")
        << "all or nothing";
    EXPECT_EQ(
        (co_await stage.del(members, "user-ann", people("organization-memberships", {"ou-carl"}))).status,
        204);
    EXPECT_EQ((co_await stage.post(members, people("organization-memberships", {"ou-carl"}))).status, 204);
    TestAnswer list = co_await stage.get(members);
    EXPECT_EQ(ids(list), Names{"ou-carl"});
    EXPECT_EQ((co_await stage.get(members + "?filter[status]=invited")).text("/data"), "[]");
    TestAnswer with = co_await stage.get("teams/team-open?include=organization-memberships");
    EXPECT_EQ(ids(with, "/included"), Names{"ou-carl"});

    EXPECT_EQ((co_await stage.post(users, people("users", {"mia"}), "user-mia")).status, 204);
    const std::string owners = "teams/team-owners/relationships/users";
    for (const char* who : {"user-mia", "user-tom", "user-oli", "user-bob"})
      EXPECT_EQ((co_await stage.post(owners, people("users", {"mia"}), who)).status, 404)
          << who << " makes nobody an owner";
    EXPECT_EQ(
        (co_await stage.post("teams/team-devs/relationships/users", people("users", {"mia"}), "user-mia"))
            .status,
        404)
        << "a secret team";
    EXPECT_EQ((co_await stage.del(owners, "user-ann", people("users", {"ann"}))).status, 422)
        << "the last owner stays";
    for (const char* bad : {"{}", R"({"data": {}})", R"({"data": [5]})", R"({"data": [{"id": 5}]})"})
      EXPECT_EQ((co_await stage.post(users, parse_json(bad).as_object())).status, 422) << bad;
  });
}

TEST(TeamApi, RefusesBadInput) {
  struct Bad {
    json::object attributes;
    const char* pointer;
  };
  const std::vector<Bad> bad{
      {{}, "/data/attributes/name"},
      {{{"name", ""}}, "/data/attributes/name"},
      {{{"name", "! / nope"}}, "/data/attributes/name"},
      {{{"name", std::string(91, 'x')}}, "/data/attributes/name"},
      {{{"name", "owners"}}, "/data/attributes/name"},
      {{{"name", "x"}, {"visibility", "all"}}, "/data/attributes/visibility"},
      {{{"name", "x"}, {"sso-team-id", std::string(256, 'x')}}, "/data/attributes/sso-team-id"},
      {{{"name", "x"}, {"organization-access", 5}}, "/data/attributes/organization-access"},
      {{{"name", "x"}, {"organization-access", json::object{{"manage-teams", "yes"}}}},
       "/data/attributes/organization-access/manage-teams"},
  };
  run([&](Stage& stage) -> Task<> {
    for (const Bad& item : bad) {
      TestAnswer answer = co_await stage.post(all, test_document("teams", item.attributes));
      EXPECT_EQ(answer.status, 422) << answer.body;
      EXPECT_EQ(answer.text("/errors/0/source/pointer"), item.pointer) << answer.body;
    }
    EXPECT_EQ((co_await stage.get(all)).text("/meta/pagination/total-count"), "6");
  });
}

}  // namespace
}  // namespace terrane::team::test
