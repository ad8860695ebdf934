#include "user/user_api.h"

#include <gtest/gtest.h>

#include "api/testing_client.h"
#include "testing/run.h"
#include "testing/test_database.h"
#include "user/initial_admin.h"
#include "user/user.h"

namespace terrane::user {
namespace {

using api::test_document;
using api::TestAnswer;
using http::Method;
using testing::TestDatabase;

constexpr std::string_view rows = R"sql(
  INSERT INTO terrane.users (id, username, email, is_site_admin) VALUES
    ('user-ann', 'ann', 'ann@example.com', false), ('user-bob', 'bob', 'bob@example.com', false),
    ('user-far', 'far', 'far@example.com', false), ('user-root', 'root', 'root@example.com', true);
  INSERT INTO terrane.organizations (id, name, email) VALUES ('org-1', 'acme', 'a@x'), ('org-2', 'other', 'o@x');
  INSERT INTO terrane.teams (id, organization_id, name) VALUES ('team-1', 'org-1', 'owners'), ('team-2', 'org-2', 'owners');
  INSERT INTO terrane.team_members (team_id, user_id) VALUES ('team-1', 'user-ann'), ('team-1', 'user-bob'), ('team-2', 'user-far');
)sql";

/// The API over a database of its own, with a token of each kind.
struct Stage {
  postgres::Database database;
  Tokens tokens;
  api::Includes includes;
  UserApi users;
  http::Router router;
  std::optional<api::TestClient> client;
  std::map<std::string, std::string> token_of;

  Stage(net::Executor executor, const TestDatabase& at)
      : database(executor, at.options(8)),
        tokens(database, Secret("a key of the tests")),
        users(database, tokens, includes) {
    users.add_routes(router);
    client.emplace(router, [this](const std::string& token) { return tokens.authenticate(token); });
  }

  Task<> make_tokens() {
    postgres::Tx tx = co_await database.begin();
    for (auto [kind, owner] :
         {std::pair("user", "user-ann"), std::pair("user", "user-bob"), std::pair("user", "user-root"),
          std::pair("organization", "org-1"), std::pair("team", "team-1")}) {
      NewToken made = co_await tokens.create(tx, kind, owner, std::nullopt, std::nullopt, std::nullopt);
      token_of[owner] = made.token.reveal();
    }
    co_await tx.commit();
  }

  Task<TestAnswer> call(Method method, std::string path, json::object body, std::string as) {
    std::string token = token_of[as];
    co_return co_await client->call(method, std::move(path), body, std::move(token));
  }
  Task<TestAnswer> get(std::string path, std::string as) {
    std::string token = token_of[as];
    co_return co_await client->call(Method::get, std::move(path), std::string(), std::move(token));
  }
  Task<std::int64_t> count(const char* name, const char* sql) {
    postgres::Result result = co_await database.query({name, sql});
    co_return result[0].integer("n");
  }
};

class UserApiTest : public ::testing::Test {
 protected:
  /// With `filled` there are users and tokens, else nothing.
  void run(bool filled, std::function<Task<>(Stage&)> body) {
    TestDatabase database(TestDatabase::Content::migrated);
    if (filled) database.run(std::string(rows));
    testing::run_task([&](net::Executor executor) -> Task<> {
      Stage stage(executor, database);
      if (filled) co_await stage.make_tokens();
      co_await body(stage);
    });
  }
};

TEST_F(UserApiTest, ShowsTheOwnAccount) {
  run(true, [](Stage& stage) -> Task<> {
    TestAnswer answer = co_await stage.get("/api/v2/account/details", "user-ann");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.text("/data/id"), "user-ann");
    EXPECT_EQ(answer.text("/data/type"), "users");
    EXPECT_EQ(answer.text("/data/attributes/username"), "ann");
    EXPECT_EQ(answer.text("/data/attributes/email"), "ann@example.com");
    EXPECT_EQ(answer.at("/data/attributes/two-factor/enabled"), json::value(false));
    EXPECT_NE(answer.text("/data/attributes/avatar-url"), "");

    TestAnswer service = co_await stage.get("/api/v2/account/details", "org-1");
    EXPECT_EQ(service.text("/data/attributes/username"), "api-org-acme");
    EXPECT_EQ(service.at("/data/attributes/is-service-account"), json::value(true));
    TestAnswer nobody = co_await stage.client->call(Method::get, "/api/v2/account/details", "", "");
    EXPECT_EQ(nobody.status, 401);
  });
}

TEST_F(UserApiTest, ChangesTheOwnAccount) {
  run(true, [](Stage& stage) -> Task<> {
    json::object body = test_document("users", {{"username", "Anna"}, {"is-site-admin", true}});
    TestAnswer answer = co_await stage.call(Method::patch, "/api/v2/account/update", body, "user-ann");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.text("/data/attributes/username"), "Anna");
    EXPECT_EQ(answer.text("/data/attributes/email"), "ann@example.com") << "what is not given stays";
    EXPECT_EQ(answer.at("/data/attributes/is-site-admin"), json::value(false)) << "nobody raises himself";
    TestAnswer empty =
        co_await stage.call(Method::patch, "/api/v2/account/update", test_document("users", {}), "user-ann");
    EXPECT_EQ(empty.status, 200);
    EXPECT_EQ(empty.text("/data/attributes/username"), "Anna");

    json::object same_name = test_document("users", {{"username", "BOB"}});
    TestAnswer taken = co_await stage.call(Method::patch, "/api/v2/account/update", same_name, "user-ann");
    EXPECT_EQ(taken.status, 422);
    EXPECT_EQ(taken.text("/errors/0/source/pointer"), "/data/attributes/username");
    EXPECT_EQ(taken.text("/errors/0/detail"), "Username has already been taken");
    TestAnswer service =
        co_await stage.call(Method::patch, "/api/v2/account/update", test_document("users", {}), "org-1");
    EXPECT_EQ(service.status, 404);
  });
}

TEST_F(UserApiTest, ChangesThePassword) {
  run(true, [](Stage& stage) -> Task<> {
    auto document = [](const char* current, const char* password, const char* again) {
      return test_document(
          "users", {{"current_password", current}, {"password", password}, {"password_confirmation", again}});
    };
    const std::string path = "/api/v2/account/password";
    TestAnswer first = co_await stage.call(Method::patch, path,
                                           document("", "a first password", "a first password"), "user-ann");
    EXPECT_EQ(first.status, 200) << "there was none";
    TestAnswer wrong = co_await stage.call(
        Method::patch, path, document("guess", "a second password", "a second password"), "user-ann");
    EXPECT_EQ(wrong.status, 422);
    EXPECT_EQ(wrong.text("/errors/0/source/pointer"), "/data/attributes/current_password");
    TestAnswer differ = co_await stage.call(
        Method::patch, path, document("a first password", "a second password", "typo"), "user-ann");
    EXPECT_EQ(differ.text("/errors/0/source/pointer"), "/data/attributes/password_confirmation");
    TestAnswer brief =
        co_await stage.call(Method::patch, path, document("a first password", "short", "short"), "user-ann");
    EXPECT_EQ(brief.text("/errors/0/source/pointer"), "/data/attributes/password");
    TestAnswer good = co_await stage.call(
        Method::patch, path, document("a first password", "a second password", "a second password"),
        "user-ann");
    EXPECT_EQ(good.status, 200);
    EXPECT_EQ(good.body.find("second password"), std::string::npos);
  });
}

TEST_F(UserApiTest, ShowsUsersOfTheSameOrganizationOnly) {
  run(true, [](Stage& stage) -> Task<> {
    for (const char* as : {"user-ann", "org-1", "team-1", "user-root"}) {
      TestAnswer near = co_await stage.get("/api/v2/users/user-bob", as);
      EXPECT_EQ(near.status, 200) << as;
      EXPECT_EQ(near.text("/data/attributes/username"), "bob");
      EXPECT_EQ(near.json.at("data").at("attributes").as_object().contains("email"),
                std::string_view(as) == "user-root")
          << as;
    }
    for (const char* as : {"user-ann", "org-1", "team-1"}) {
      TestAnswer far = co_await stage.get("/api/v2/users/user-far", as);
      EXPECT_EQ(far.status, 404) << as;
    }
    for (const char* path : {"/api/v2/users/user-none", "/api/v2/users/%00", "/api/v2/users/%F0%28"}) {
      TestAnswer none = co_await stage.get(path, "user-root");
      EXPECT_GE(none.status, 400) << path;
      EXPECT_LT(none.status, 500) << path;
    }
  });
}

TEST_F(UserApiTest, MakesTokensAndShowsThemOnce) {
  run(true, [](Stage& stage) -> Task<> {
    const std::string all = "/api/v2/users/user-ann/authentication-tokens";
    json::object body = test_document("authentication-tokens",
                                      {{"description", "ci"}, {"expired-at", "2099-01-01T00:00:00Z"}});
    TestAnswer made = co_await stage.call(Method::post, all, body, "user-ann");
    EXPECT_EQ(made.status, 201);
    EXPECT_EQ(made.text("/data/type"), "authentication-tokens");
    EXPECT_EQ(made.text("/data/attributes/description"), "ci");
    EXPECT_EQ(made.text("/data/attributes/expired-at"), "2099-01-01T00:00:00.000Z");
    EXPECT_EQ(made.text("/data/relationships/created-by/data/id"), "user-ann");
    stage.token_of["new"] = made.text("/data/attributes/token");
    TestAnswer used = co_await stage.get("/api/v2/account/details", "new");
    EXPECT_EQ(used.text("/data/id"), "user-ann");

    const std::string one = "/api/v2/authentication-tokens/" + made.text("/data/id");
    TestAnswer shown = co_await stage.get(one, "user-ann");
    EXPECT_EQ(shown.status, 200);
    EXPECT_TRUE(shown.at("/data/attributes/token").is_null());
    EXPECT_TRUE(shown.text("/data/attributes/last-used-at").starts_with("20"));
    TestAnswer list = co_await stage.get(all, "user-ann");
    EXPECT_EQ(list.text("/data/0/id"), made.text("/data/id")) << "newest first";
    EXPECT_EQ(list.text("/meta/pagination/total-count"), "2");
    TestAnswer beyond = co_await stage.get(all + "?page[number]=999&page[size]=1", "user-ann");
    EXPECT_EQ(beyond.text("/data"), "[]");
    EXPECT_EQ(beyond.text("/meta/pagination/current-page"), "999");
    EXPECT_EQ(beyond.text("/meta/pagination/total-count"), "2");

    for (const char* as : {"user-bob", "user-root", "org-1", "team-1"}) {
      EXPECT_EQ((co_await stage.get(all, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get(one, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.call(Method::post, all, body, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.call(Method::del, one, {}, as)).status, 404) << as;
    }
    TestAnswer gone = co_await stage.call(Method::del, one, {}, "user-ann");
    EXPECT_EQ(gone.status, 204);
    TestAnswer after = co_await stage.get("/api/v2/account/details", "new");
    EXPECT_EQ(after.status, 401) << "a deleted token ends at once";
    TestAnswer again = co_await stage.call(Method::del, one, {}, "user-ann");
    EXPECT_EQ(again.status, 404);
    TestAnswer without_body = co_await stage.client->call(Method::post, all, "", stage.token_of["user-ann"]);
    EXPECT_EQ(without_body.status, 201);
  });
}

TEST_F(UserApiTest, RefusesBadInputAndStoresNothing) {
  struct Bad {
    Method method;
    const char* path;
    std::string body;
    int status;
    const char* pointer;
  };
  const char* tokens = "/api/v2/users/user-ann/authentication-tokens";
  const char* account = "/api/v2/account/update";
  const char* password = "/api/v2/account/password";
  auto attributes = [](const std::string& inner) { return R"({"data":{"attributes":{)" + inner + "}}}"; };
  const std::vector<Bad> all{
      {Method::patch, account, "{", 400, ""},
      {Method::patch, account, "[]", 422, "/data"},
      {Method::patch, account, R"({"data":{"type":"runs"}})", 422, "/data/type"},
      {Method::patch, account, R"({"data":{"attributes":7}})", 422, "/data/attributes"},
      {Method::patch, account, attributes(R"("username":7)"), 422, "/data/attributes/username"},
      {Method::patch, account, attributes(R"("username":null)"), 422, "/data/attributes/username"},
      {Method::patch, account, attributes(R"("email":"notamailaddress")"), 422, "/data/attributes/email"},
      {Method::patch, account, attributes(R"("email":"a\u0000@b")"), 422, "/data/attributes/email"},
      {Method::patch, account, std::string(2 * 1024 * 1024, ' '), 413, ""},
      {Method::patch, password, "", 400, ""},
      {Method::patch, password, attributes(R"("password":["x"])"), 422, "/data/attributes/password"},
      {Method::post, tokens, "{", 400, ""},
      {Method::post, tokens, attributes(R"("expired-at":"tomorrow")"), 422, "/data/attributes/expired-at"},
      {Method::post, tokens, attributes(R"("expired-at":"2001-01-01T00:00:00Z")"), 422,
       "/data/attributes/expired-at"},
      {Method::post, tokens, attributes(R"("description":{})"), 422, "/data/attributes/description"},
      {Method::post, tokens, attributes(R"("description":")" + std::string(256, 'x') + '"'), 422,
       "/data/attributes/description"},
      {Method::post, tokens, std::string(65 * 1024, ' '), 413, ""},
      {Method::get, "/api/v2/authentication-tokens/nonexisting", "", 404, ""},
      {Method::get, "/api/v2/users/user-ann/authentication-tokens?page[number]=x", "", 400, ""},
  };
  run(true, [&](Stage& stage) -> Task<> {
    const char* whole = "SELECT count(*) + sum(hashtext(u::text)) AS n FROM terrane.users u";
    const std::int64_t users = co_await stage.count("test_users", whole);
    for (const Bad& bad : all) {
      TestAnswer answer =
          co_await stage.client->call(bad.method, bad.path, bad.body, stage.token_of["user-ann"]);
      EXPECT_EQ(answer.status, bad.status) << bad.path << " " << bad.body.substr(0, 80) << answer.body;
      if (*bad.pointer)
        EXPECT_EQ(answer.text("/errors/0/source/pointer"), bad.pointer) << bad.body.substr(0, 80);
    }
    EXPECT_EQ(co_await stage.count("test_users", whole), users);
    EXPECT_EQ(co_await stage.count("test_tokens", "SELECT count(*) AS n FROM terrane.tokens"), 5);
  });
}

TEST_F(UserApiTest, MakesTheFirstAdminOnce) {
  run(false, [](Stage& stage) -> Task<> {
    Secret right = co_await issue_initial_admin_token(stage.database, stage.tokens);
    const std::string path = "/admin/initial-admin-user?token=";
    json::object body{
        {"username", "boss"}, {"email", "boss@example.com"}, {"password", "thisisabadpassword"}};
    TestAnswer stranger = co_await stage.client->call(Method::post, path + "guess", body, "");
    EXPECT_EQ(stranger.status, 401);
    EXPECT_EQ(stranger.text("/status"), "error");
    for (auto [key, value] :
         {std::pair("username", json::value("a b")), std::pair("email", json::value(7)),
          std::pair("password", json::value("short")), std::pair("password", json::value())}) {
      json::object bad = body;
      bad[key] = value;
      TestAnswer answer = co_await stage.client->call(Method::post, path + right.reveal(), bad, "");
      EXPECT_EQ(answer.status, 422) << key;
      EXPECT_NE(answer.text("/error"), "null") << key;
    }
    for (std::string text : {std::string("{"), std::string("[]"), std::string()}) {
      TestAnswer answer = co_await stage.client->call(Method::post, path + right.reveal(), text, "");
      EXPECT_TRUE(answer.status == 400 || answer.status == 422) << text;
    }
    EXPECT_EQ(co_await stage.count("test_users", "SELECT count(*) AS n FROM terrane.users"), 0)
        << "nothing was stored";

    TestAnswer made = co_await stage.client->call(Method::post, path + right.reveal(), body, "");
    EXPECT_EQ(made.status, 200);
    EXPECT_EQ(made.text("/status"), "created");
    stage.token_of["boss"] = made.text("/token");
    TestAnswer account = co_await stage.get("/api/v2/account/details", "boss");
    EXPECT_EQ(account.at("/data/attributes/is-site-admin"), json::value(true));
    EXPECT_EQ(account.text("/data/attributes/username"), "boss");

    TestAnswer again = co_await stage.client->call(Method::post, path + right.reveal(), body, "");
    EXPECT_EQ(again.status, 404);
    bool refused = false;
    try {
      co_await issue_initial_admin_token(stage.database, stage.tokens);
    } catch (const Error& error) {
      refused = error.code() == Code::conflict;
    }
    EXPECT_TRUE(refused);
  });
}

TEST_F(UserApiTest, TwoRightsAtOnceMakeOneAdmin) {
  run(false, [](Stage& stage) -> Task<> {
    Secret one = co_await issue_initial_admin_token(stage.database, stage.tokens);
    Secret two = co_await issue_initial_admin_token(stage.database, stage.tokens);
    net::Executor executor = co_await boost::asio::this_coro::executor;
    int done = 0;
    int made = 0;
    net::Event changed(executor);
    auto attempt = [&](std::string name, const Secret& right) -> Task<> {
      try {
        InitialAdmin admin{name, name + "@example.com", Secret("thisisabadpassword")};
        co_await user::create_initial_admin(stage.database, stage.tokens, right.reveal(), std::move(admin));
        ++made;
      } catch (const Error& error) {
        EXPECT_TRUE(error.code() == Code::not_found || error.code() == Code::unauthorized) << error.what();
      }
      ++done;
      changed.notify();
    };
    net::spawn(executor, "one", attempt("one", one));
    net::spawn(executor, "two", attempt("two", two));
    co_await testing::eventually("both attempts ended", [&] { return done == 2; });
    EXPECT_EQ(made, 1);
    EXPECT_EQ(co_await stage.count("test_users", "SELECT count(*) AS n FROM terrane.users"), 1);
  });
}

TEST_F(UserApiTest, ExpiredRightsMakeNobody) {
  run(false, [](Stage& stage) -> Task<> {
    Secret right = co_await issue_initial_admin_token(stage.database, stage.tokens);
    co_await stage.database.query(
        {"test_expire", "UPDATE terrane.initial_admin_tokens SET expires_at = now() - interval '1 second'"});
    json::object body{
        {"username", "boss"}, {"email", "boss@example.com"}, {"password", "thisisabadpassword"}};
    TestAnswer answer = co_await stage.client->call(
        Method::post, "/admin/initial-admin-user?token=" + right.reveal(), body, "");
    EXPECT_EQ(answer.status, 401);
    EXPECT_EQ(co_await stage.count("test_users", "SELECT count(*) AS n FROM terrane.users"), 0);
  });
}

TEST_F(UserApiTest, DemoAlwaysGetsAFreshTokenOfTheFirstAdmin) {
  run(false, [](Stage& stage) -> Task<> {
    std::vector<std::string> seen;
    for (int i = 0; i < 2; ++i) {
      postgres::Tx tx = co_await stage.database.begin();
      NewToken made = co_await ensure_demo_admin(tx, stage.tokens);
      co_await tx.commit();
      seen.push_back(made.token.reveal());
      auto principal = co_await stage.tokens.authenticate(seen.back());
      EXPECT_TRUE(principal && principal->site_admin && principal->name == "admin");
    }
    EXPECT_NE(seen[0], seen[1]);
    EXPECT_EQ(co_await stage.count("test_users", "SELECT count(*) AS n FROM terrane.users"), 1);
  });
}

}  // namespace
}  // namespace terrane::user
