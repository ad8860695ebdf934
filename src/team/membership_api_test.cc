#include "team/testing_stage.h"

namespace terrane::team::test {
namespace {

using Names = std::vector<std::string>;
const std::string all = "organizations/acme/organization-memberships";

json::object invitation(const char* email, const std::vector<std::string>& teams = {}) {
  json::object document = test_document("organization-memberships", {{"email", email}});
  if (!teams.empty())
    document["data"].as_object()["relationships"] = json::object{{"teams", people("teams", teams)}};
  return document;
}

TEST(MembershipApi, InvitesByAddressWithoutMail) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.post(all, invitation("new.one@tfe.local", {"team-devs", "team-open"}));
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.text("/data/attributes/status"), "invited");
    EXPECT_EQ(made.text("/data/attributes/email"), "new.one@tfe.local");
    EXPECT_EQ(made.text("/data/relationships/organization/data/id"), "acme");
    EXPECT_EQ(ids(made, "/data/relationships/teams/data"), (Names{"team-devs", "team-open"}));
    EXPECT_EQ(made.text("/included/0/attributes/username"), "new-one");
    const std::string user = made.text("/data/relationships/user/data/id");
    const std::string one = "organization-memberships/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.get(one + "?include=user")).json, made.json);
    TestAnswer devs = co_await stage.get("teams/team-devs");
    EXPECT_EQ(ids(devs, "/data/relationships/users/data"), Names{"user-bob"}) << "not there yet";
    EXPECT_EQ(devs.at("/data/relationships/organization-memberships/data").as_array().size(), 2U);
    EXPECT_EQ((co_await stage.post(all, invitation("NEW.one@tfe.local"))).status, 422) << "invited already";

    // Another one of the same name elsewhere gets a name of their own.
    TestAnswer twin = co_await stage.post(all, invitation("new.one@elsewhere.local"));
    EXPECT_EQ(twin.status, 201);
    EXPECT_TRUE(twin.text("/included/0/attributes/username").starts_with("new-one-"));
    EXPECT_EQ((co_await stage.get(all + "?filter[status]=invited")).text("/meta/pagination/total-count"),
              "2");

    // The first request with a token of their own accepts.
    postgres::Tx tx = co_await stage.database.begin();
    user::NewToken token =
        co_await stage.tokens.create(tx, "user", user, std::nullopt, std::nullopt, std::nullopt);
    co_await tx.commit();
    TestAnswer own = co_await stage.get("organization-memberships", token.token.reveal());
    EXPECT_EQ(own.status, 200) << own.body;
    EXPECT_EQ((co_await stage.get(one)).text("/data/attributes/status"), "active");
    EXPECT_EQ((co_await stage.get("teams/team-devs")).text("/data/attributes/users-count"), "2");
    EXPECT_EQ((co_await stage.get("teams/team-devs", token.token.reveal())).status, 200);

    EXPECT_EQ((co_await stage.del(one)).status, 204);
    EXPECT_EQ((co_await stage.get(one)).status, 404);
    EXPECT_EQ((co_await stage.get("teams/team-devs", token.token.reveal())).status, 404)
        << "out of all teams";
    EXPECT_EQ((co_await stage.get("teams/team-devs")).text("/data/attributes/users-count"), "1");
  });
}

TEST(MembershipApi, TakesWhoIsHereAtOnce) {
  run([](Stage& stage) -> Task<> {
    TestAnswer eve = co_await stage.post(all, invitation("EVE@x"));
    EXPECT_EQ(eve.text("/data/attributes/status"), "active") << eve.body;
    EXPECT_EQ(eve.text("/data/relationships/user/data/id"), "user-eve");
    TestAnswer own = co_await stage.get("organization-memberships", "user-eve");
    EXPECT_EQ(own.text("/meta/pagination/total-count"), "2");
    EXPECT_EQ((co_await stage.get("organization-memberships", "org-1")).status, 404);
  });
}

TEST(MembershipApi, ListsForThoseWhoManageThem) {
  run([](Stage& stage) -> Task<> {
    for (const char* who : {"user-ann", "user-mia", "user-tom", "user-oli", "org-1", "user-root"})
      EXPECT_EQ((co_await stage.get(all, who)).text("/meta/pagination/total-count"), "6") << who;
    for (const char* who : {"user-bob", "user-carl", "user-eve", "team-devs"})
      EXPECT_EQ((co_await stage.get(all, who)).status, 404) << who;
    EXPECT_EQ(ids(co_await stage.get(all + "?filter[email]=carl@x")), Names{"ou-carl"});
    EXPECT_EQ(ids(co_await stage.get(all + "?q=CAR")), Names{"ou-carl"});
    EXPECT_EQ((co_await stage.get(all + "?filter[status]=odd")).status, 400);
    EXPECT_EQ((co_await stage.get(all + "?include=users")).status, 400);
    TestAnswer beyond = co_await stage.get(all + "?page[number]=999&page[size]=100");
    EXPECT_EQ(beyond.text("/data"), "[]");
    EXPECT_EQ(beyond.text("/meta/pagination/total-count"), "6");
    // Of bob's teams mia sees none, since `devs` is secret.
    TestAnswer seen = co_await stage.get(all + "?q=bob&include=teams,user", "user-mia");
    EXPECT_EQ(seen.text("/data/0/relationships/teams/data"), "[]");
    EXPECT_EQ(ids(seen, "/included"), Names{"user-bob"});
    EXPECT_EQ(ids(co_await stage.get(all + "?q=bob&include=teams"), "/included"), Names{"team-devs"});
    EXPECT_EQ((co_await stage.get("organization-memberships/ou-carl", "user-carl")).status, 200)
        << "one's own";
    EXPECT_EQ((co_await stage.get("organization-memberships/ou-carl", "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.get("organization-memberships/ou-carl", "user-eve")).status, 404);
  });
}

TEST(MembershipApi, EndsOnlyByThoseWhoMay) {
  run([](Stage& stage) -> Task<> {
    auto membership = [&](const char* name) -> Task<std::string> {
      TestAnswer found = co_await stage.get(all + "?q=" + name);
      co_return "organization-memberships/" + found.text("/data/0/id");
    };
    const std::string ann = co_await membership("ann@x"), bob = co_await membership("bob@x");
    EXPECT_EQ((co_await stage.del(bob, "user-mia")).status, 404) << "he is in a team that she does not see";
    EXPECT_EQ((co_await stage.del(ann, "user-oli")).status, 404) << "an owner";
    EXPECT_EQ((co_await stage.del(ann)).status, 422) << "the last owner";
    EXPECT_EQ((co_await stage.del("organization-memberships/ou-carl", "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.del("organization-memberships/ou-carl", "user-mia")).status, 204);
    EXPECT_EQ((co_await stage.del(bob, "user-bob")).status, 204) << "who wants may leave";
    EXPECT_EQ((co_await stage.del("organization-memberships/not-an-identifier")).status, 404);
    for (const char* who : {"user-bob", "user-carl", "user-eve", "team-devs"})
      EXPECT_EQ((co_await stage.post(all, invitation("x@y.z"), who)).status, 404) << who;
    EXPECT_EQ((co_await stage.post(all, invitation("x@y.z", {"team-owners"}), "user-mia")).status, 422)
        << "no invitation makes an owner";
    EXPECT_EQ((co_await stage.post(all, invitation("x@y.z", {"team-evil"}))).status, 422);
    EXPECT_EQ((co_await stage.get(all + "?q=x@y.z")).text("/data"), "[]") << "all or nothing";
    EXPECT_EQ((co_await stage.post(all, invitation("not-an-address"))).text("/errors/0/source/pointer"),
              "/data/attributes/email");
    EXPECT_EQ((co_await stage.post(all, test_document("organization-memberships", {}))).status, 422);
  });
}

}  // namespace
}  // namespace terrane::team::test
