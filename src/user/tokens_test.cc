#include "user/tokens.h"

#include <gtest/gtest.h>

#include "postgres/listener.h"
#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::user {
namespace {

using testing::TestDatabase;
using Kind = api::Principal::Kind;

constexpr std::string_view rows = R"sql(
  INSERT INTO terrane.users (id, username, email, is_site_admin) VALUES ('user-1', 'ann', 'ann@x', true), ('user-2', 'bob', 'bob@x', false);
  INSERT INTO terrane.organizations (id, name, email) VALUES ('org-1', 'acme', 'acme@x');
  INSERT INTO terrane.teams (id, organization_id, name) VALUES ('team-1', 'org-1', 'owners');
  INSERT INTO terrane.projects (id, organization_id, name) VALUES ('prj-1', 'org-1', 'Default Project');
  INSERT INTO terrane.workspaces (id, organization_id, project_id, name) VALUES ('ws-1', 'org-1', 'prj-1', 'one');
  INSERT INTO terrane.objects (id, kind, workspace) VALUES ('obj-1', 'configuration', 'ws-1');
  INSERT INTO terrane.configuration_versions (id, workspace_id, object_id) VALUES ('cv-1', 'ws-1', 'obj-1');
  INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, message, terraform_version, sealed_variables, epoch)
    VALUES ('run-1', 'ws-1', 'cv-1', 'm', '1.0.0', 's', 1);
)sql";

class TokensTest : public ::testing::Test {
 protected:
  TokensTest() { database_.run(std::string(rows)); }

  struct Stage {
    postgres::Database database;
    Tokens tokens;
    std::string url;
    Stage(net::Executor executor, const TestDatabase& at)
        : database(executor, at.options()), tokens(database, Secret("a key of the tests")), url(at.url()) {}

    Task<NewToken> make(std::string_view kind, std::string owner, std::optional<Time> expires = {}) {
      postgres::Tx tx = co_await database.begin();
      NewToken made = co_await tokens.create(tx, kind, owner, "a token", std::nullopt, expires);
      co_await tx.commit();
      co_return made;
    }
  };

  void run(std::function<Task<>(Stage&)> body) {
    testing::run_task([&](net::Executor executor) -> Task<> {
      Stage stage(executor, database_);
      co_await body(stage);
    });
  }

  TestDatabase database_{TestDatabase::Content::migrated};
};

TEST_F(TokensTest, StandForTheirOwners) {
  run([](Stage& stage) -> Task<> {
    NewToken user = co_await stage.make("user", "user-1");
    NewToken organization = co_await stage.make("organization", "org-1");
    NewToken team = co_await stage.make("team", "team-1");
    NewToken of_run = co_await stage.make("run", "run-1");

    auto ann = co_await stage.tokens.authenticate(user.token.reveal());
    EXPECT_TRUE(ann && ann->kind == Kind::user && ann->id == "user-1" && ann->name == "ann" &&
                ann->site_admin);
    EXPECT_TRUE(ann && ann->token_id == user.row.id.text());
    auto acme = co_await stage.tokens.authenticate(organization.token.reveal());
    EXPECT_TRUE(acme && acme->kind == Kind::organization && acme->organization_id == "org-1" &&
                !acme->site_admin);
    auto owners = co_await stage.tokens.authenticate(team.token.reveal());
    EXPECT_TRUE(owners && owners->kind == Kind::team && owners->id == "team-1" &&
                owners->organization_id == "org-1");
    auto running = co_await stage.tokens.authenticate(of_run.token.reveal());
    EXPECT_TRUE(running && running->kind == Kind::run && running->workspace_id == "ws-1" &&
                running->organization_id == "org-1");
  });
}

TEST_F(TokensTest, HaveTheVendorsShapeAndAreNotStored) {
  run([](Stage& stage) -> Task<> {
    NewToken made = co_await stage.make("user", "user-2");
    const std::string& text = made.token.reveal();
    EXPECT_EQ(text.size(), 14 + 9 + 67);
    EXPECT_EQ(text.substr(14, 9), ".atlasv1.");
    EXPECT_EQ(made.row.id.text().substr(0, 3), "at-");
    postgres::Tx tx = co_await stage.database.begin();
    postgres::Result stored =
        co_await tx.run({"test_token_hash", "SELECT hash, tokens::text AS whole FROM terrane.tokens"});
    EXPECT_EQ(stored[0].bytes("hash"), stage.tokens.hash(text));
    EXPECT_EQ(stored[0].string("whole").find(text.substr(23)), std::string::npos);
    EXPECT_NE(stage.tokens.hash(text), Tokens(stage.database, Secret("another key")).hash(text));
  });
}

TEST_F(TokensTest, RefusesWhatIsNoToken) {
  run([](Stage& stage) -> Task<> {
    NewToken gone = co_await stage.make("user", "user-of-nobody");
    NewToken expired = co_await stage.make("user", "user-1", now() - std::chrono::seconds(1));
    for (const std::string& text : {std::string(), std::string("x"), std::string(100'000, 'x'),
                                    std::string("a\0b", 3), gone.token.reveal(), expired.token.reveal()}) {
      EXPECT_FALSE(co_await stage.tokens.authenticate(text)) << text.substr(0, 20);
    }
  });
}

TEST_F(TokensTest, AreRememberedUntilForgotten) {
  run([](Stage& stage) -> Task<> {
    NewToken made = co_await stage.make("user", "user-2");
    const std::string text = made.token.reveal();
    EXPECT_TRUE(co_await stage.tokens.authenticate(text));
    co_await stage.database.query({"test_drop_tokens", "DELETE FROM terrane.tokens"});
    EXPECT_TRUE(co_await stage.tokens.authenticate(text)) << "the answer is kept for a while";
    stage.tokens.forget("at-another");
    EXPECT_TRUE(co_await stage.tokens.authenticate(text));
    stage.tokens.forget(made.row.id.text());
    EXPECT_FALSE(co_await stage.tokens.authenticate(text));
  });
}

TEST_F(TokensTest, AreNotRememberedBeyondTheirEnd) {
  run([](Stage& stage) -> Task<> {
    NewToken made = co_await stage.make("user", "user-2", now() + std::chrono::milliseconds(700));
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(co_await stage.tokens.authenticate(made.token.reveal()));
    bool valid = true;
    while (valid && std::chrono::steady_clock::now() - start < std::chrono::seconds(4)) {
      valid = (co_await stage.tokens.authenticate(made.token.reveal())).has_value();
      co_await net::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_FALSE(valid);
  });
}

TEST_F(TokensTest, NoteTheirUseOnceAMinute) {
  run([](Stage& stage) -> Task<> {
    NewToken made = co_await stage.make("user", "user-2");
    const Statement used{"test_last_used", "SELECT last_used_at FROM terrane.tokens"};
    co_await stage.tokens.authenticate(made.token.reveal());
    postgres::Result first = co_await stage.database.query(used);
    EXPECT_FALSE(first[0].is_null("last_used_at"));
    stage.tokens.forget("");
    co_await stage.tokens.authenticate(made.token.reveal());
    postgres::Result second = co_await stage.database.query(used);
    EXPECT_EQ(first[0].time("last_used_at"), second[0].time("last_used_at"));
    co_await stage.database.query(
        {"test_age", "UPDATE terrane.tokens SET last_used_at = now() - interval '61 seconds'"});
    stage.tokens.forget("");
    co_await stage.tokens.authenticate(made.token.reveal());
    postgres::Result third = co_await stage.database.query(used);
    EXPECT_GE(third[0].time("last_used_at"), first[0].time("last_used_at"));
  });
}

TEST_F(TokensTest, EndTogetherWithTheirOwnersAndTellOthers) {
  run([](Stage& stage) -> Task<> {
    net::Executor executor = co_await boost::asio::this_coro::executor;
    bool connected = false;
    std::set<std::string> told;
    postgres::Listener listener(executor, stage.url, {"terrane_tokens"},
                                [&](const std::string& channel, const std::string& payload) {
                                  if (channel.empty())
                                    connected = true;
                                  else
                                    told.insert(payload);
                                });
    co_await testing::eventually("the listener listens", [&] { return connected; });
    NewToken one = co_await stage.make("run", "run-1");
    NewToken two = co_await stage.make("run", "run-1");
    NewToken other = co_await stage.make("user", "user-1");
    {
      postgres::Tx tx = co_await stage.database.begin();
      EXPECT_EQ(co_await stage.tokens.revoke_all(tx, "run", "run-1"), 2U);
      EXPECT_EQ(co_await stage.tokens.revoke_all(tx, "run", "run-1"), 0U);
      EXPECT_FALSE(co_await stage.tokens.revoke(tx, "user", "user-2", other.row.id.text())) << "another's";
      co_await tx.commit();
    }
    EXPECT_FALSE(co_await stage.tokens.authenticate(one.token.reveal()));
    EXPECT_FALSE(co_await stage.tokens.authenticate(two.token.reveal()));
    EXPECT_TRUE(co_await stage.tokens.authenticate(other.token.reveal()));
    co_await testing::eventually("other nodes are told", [&] { return told.size() == 2; });
    EXPECT_EQ(told, (std::set<std::string>{one.row.id.text(), two.row.id.text()}));
  });
}

}  // namespace
}  // namespace terrane::user
