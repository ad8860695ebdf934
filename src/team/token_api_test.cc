#include "team/testing_stage.h"

namespace terrane::team::test {
namespace {

using Names = std::vector<std::string>;

json::object wanted(json::object attributes = {}) {
  return test_document("authentication-tokens", std::move(attributes));
}

TEST(TokenApi, ShowsAndEndsTokensOfTheirOwnerOnly) {
  run([](Stage& stage) -> Task<> {
    postgres::Tx tx = co_await stage.database.begin();
    user::NewToken made =
        co_await stage.tokens.create(tx, "user", "user-bob", "ci", "user-bob", std::nullopt);
    user::NewToken of_run = co_await stage.tokens.create(tx, "run", "run-1", {}, {}, {});
    co_await tx.commit();
    const std::string one = "authentication-tokens/" + made.row.id.text();
    EXPECT_EQ((co_await stage.get("teams/team-devs", made.token.reveal())).status, 200);
    TestAnswer shown = co_await stage.get(one, "user-bob");
    EXPECT_EQ(shown.status, 200);
    EXPECT_TRUE(shown.at("/data/attributes/token").is_null());
    EXPECT_TRUE(shown.text("/data/attributes/last-used-at").starts_with("20")) << shown.body;
    EXPECT_EQ(shown.text("/data/relationships/created-by/data/id"), "user-bob");
    for (const char* who : {"user-ann", "user-root", "org-1", "team-devs", "user-eve"}) {
      EXPECT_EQ((co_await stage.get(one, who)).status, 404) << who;
      EXPECT_EQ((co_await stage.del(one, who)).status, 404) << who;
    }
    EXPECT_EQ((co_await stage.get("authentication-tokens/" + of_run.row.id.text())).status, 404);
    EXPECT_EQ((co_await stage.get("authentication-tokens/nonexisting")).status, 404);
    EXPECT_EQ((co_await stage.del(one, "user-bob")).status, 204);
    EXPECT_EQ((co_await stage.get("teams/team-devs", made.token.reveal())).status, 401) << "at once";
    EXPECT_EQ((co_await stage.del(one, "user-bob")).status, 404);
  });
}

TEST(TokenApi, KeepsOneTokenWithoutDescriptionAndManyWith) {
  run([](Stage& stage) -> Task<> {
    const std::string legacy = "teams/team-open/authentication-token";
    const std::string named = "teams/team-open/authentication-tokens";
    EXPECT_EQ((co_await stage.get(legacy)).status, 404);
    EXPECT_EQ((co_await stage.del(legacy)).status, 404);
    TestAnswer first = co_await stage.post(legacy, wanted());
    EXPECT_EQ(first.status, 201) << first.body;
    EXPECT_TRUE(first.at("/data/attributes/description").is_null());
    EXPECT_EQ(first.text("/data/relationships/created-by/data/type"), "users");
    EXPECT_EQ(first.text("/data/relationships/team/data/id"), "team-open");
    const std::string old = first.text("/data/attributes/token");
    EXPECT_EQ((co_await stage.get("teams/team-open", old)).status, 200);
    TestAnswer second =
        co_await stage.post(legacy, wanted({{"expired-at", "2099-01-01T00:00:00Z"}}), "org-1");
    EXPECT_EQ(second.status, 201) << second.body;
    EXPECT_EQ(second.text("/data/relationships/created-by/data/id"), "acme") << "by name";
    EXPECT_EQ(second.text("/data/relationships/created-by/data/type"), "organizations");
    EXPECT_EQ((co_await stage.get("teams/team-open", old)).status, 401) << "replaced at once";
    EXPECT_EQ((co_await stage.get(legacy)).text("/data/id"), second.text("/data/id"));

    TestAnswer ci = co_await stage.post(named, wanted({{"description", "ci"}}));
    EXPECT_EQ(ci.status, 201) << ci.body;
    EXPECT_EQ((co_await stage.post(named, wanted({{"description", ""}}))).status, 201);
    TestAnswer again = co_await stage.post(named, wanted({{"description", "ci"}}));
    EXPECT_EQ(again.text("/errors/0/title") + "\n\n" + again.text("/errors/0/detail"),
              "invalid attributes\n\nValidation failed: Description has already been taken");
    EXPECT_EQ((co_await stage.post(named, wanted())).status, 422);
    EXPECT_EQ((co_await stage.get(named)).text("/meta/pagination/total-count"), "3");
    EXPECT_EQ((co_await stage.get("authentication-tokens/" + ci.text("/data/id"), "org-1")).status, 200);
    EXPECT_EQ((co_await stage.del(legacy)).status, 204);
    EXPECT_EQ((co_await stage.get(named)).text("/meta/pagination/total-count"), "2");
    EXPECT_EQ((co_await stage.get("teams/team-open", ci.text("/data/attributes/token"))).status, 200);
    EXPECT_EQ((co_await stage.del("teams/team-open")).status, 204);
    EXPECT_EQ((co_await stage.get("teams/team-open", ci.text("/data/attributes/token"))).status, 401)
        << "a team's tokens go with it";
  });
}

TEST(TokenApi, LetsMembersWhereTheTeamLetsThem) {
  run([](Stage& stage) -> Task<> {
    const std::string devs = "teams/team-devs/authentication-token";
    for (const char* who : {"user-bob", "team-devs", "user-ann", "org-1"})
      EXPECT_EQ((co_await stage.post(devs, wanted(), who)).status, 201) << who;
    for (const char* who : {"user-carl", "user-mia", "user-tom", "user-eve"})
      EXPECT_EQ((co_await stage.post(devs, wanted(), who)).status, 404) << who;
    EXPECT_EQ((co_await stage.post("teams/team-open/authentication-token", wanted(), "user-tom")).status, 201)
        << "he manages the teams that he sees";
    for (const char* who : {"user-oli", "org-1"})
      EXPECT_EQ((co_await stage.post("teams/team-owners/authentication-token", wanted(), who)).status, 404)
          << who << " gets no owner's rights by a token";
    const json::object closed = test_document("teams", {{"allow-member-token-management", false}});
    EXPECT_EQ((co_await stage.patch("teams/team-devs", closed)).status, 200);
    EXPECT_EQ((co_await stage.post(devs, wanted(), "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.get(devs, "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.get(devs)).status, 200);
  });
}

TEST(TokenApi, ListsAndEndsTokensOfAnOrganizationsTeams) {
  run([](Stage& stage) -> Task<> {
    const std::string all = "organizations/acme/team-tokens";
    TestAnswer late =
        co_await stage.post("teams/team-open/authentication-tokens",
                            wanted({{"description", "a"}, {"expired-at", "2099-01-02T00:00:00Z"}}));
    TestAnswer soon =
        co_await stage.post("teams/team-adm/authentication-tokens",
                            wanted({{"description", "a"}, {"expired-at", "2099-01-01T00:00:00Z"}}));
    const std::string l = late.text("/data/id"), s = soon.text("/data/id");
    EXPECT_EQ(ids(co_await stage.get(all + "?q=open")), Names{l});
    Names up = ids(co_await stage.get(all + "?sort=expired-at"));
    Names down = ids(co_await stage.get(all + "?sort=-expired-at"));
    EXPECT_EQ(up.size(), 3U) << "with the tests' own, which has no end";
    EXPECT_EQ((Names{up[0], up[1]}), (Names{s, l}));
    EXPECT_EQ((Names{down[0], down[1]}), (Names{l, s}));
    EXPECT_EQ((co_await stage.get(all + "?sort=odd")).status, 400);
    EXPECT_EQ((co_await stage.get(all + "?filter[status]=odd")).status, 400);
    EXPECT_EQ(ids(co_await stage.get(all + "?filter[status]=no_expiration")).size(), 1U);
    EXPECT_EQ(ids(co_await stage.get(all + "?filter[expiry_status]=active")).size(), 3U);
    EXPECT_EQ(ids(co_await stage.get(all + "?filter[status]=expired")).size(), 0U);
    EXPECT_EQ(ids(co_await stage.get(all, "user-tom")), (Names{s, l}))
        << "his own team's and a visible one's";
    EXPECT_EQ(ids(co_await stage.get(all, "user-bob")).size(), 1U);
    EXPECT_EQ((co_await stage.get(all, "user-carl")).text("/data"), "[]");
    EXPECT_EQ((co_await stage.get(all, "user-eve")).status, 404);
    EXPECT_EQ((co_await stage.del(all, "user-bob", people("authentication-tokens", {l}))).status, 404);
    EXPECT_EQ((co_await stage.del(all, "user-ann", people("authentication-tokens", {l, "at-none"}))).status,
              404);
    EXPECT_EQ((co_await stage.get("authentication-tokens/" + l)).status, 200) << "all or nothing";
    EXPECT_EQ((co_await stage.del(all, "user-ann", people("authentication-tokens", {l, s}))).status, 204);
    EXPECT_EQ((co_await stage.get("authentication-tokens/" + l)).status, 404);
  });
}

}  // namespace
}  // namespace terrane::team::test
