#include "installation/installation.h"

#include <gtest/gtest.h>

#include "installation/secrets.h"
#include "testing/run.h"
#include "testing/test_database.h"
#include "vault_client/fake_vault.h"

namespace terrane::installation {
namespace {

using testing::TestDatabase;

void run(std::function<Task<>(postgres::Database&)> body) {
  TestDatabase at(TestDatabase::Content::migrated);
  testing::run_task([&](net::Executor executor) -> Task<> {
    postgres::Database database(executor, at.options());
    co_await body(database);
  });
}

TEST(Installation, IsMadeOnceAndFoundAgain) {
  run([](postgres::Database& database) -> Task<> {
    Opened first = co_await open(database, "demo", "one.example.com");
    EXPECT_TRUE(first.is_first_start);
    EXPECT_EQ(first.installation.epoch, 1);
    EXPECT_EQ(first.installation.id.size(), 36U);
    EXPECT_GT(first.system_identifier.size(), 10U);
    EXPECT_EQ(first.timeline, 1);
    Opened second = co_await open(database, "demo", "one.example.com");
    EXPECT_FALSE(second.is_first_start);
    EXPECT_EQ(second.installation.id, first.installation.id);
    EXPECT_FALSE(second.another_cluster() || second.another_timeline() || second.another_hostname());
  });
}

TEST(Installation, SaysWhatChanged) {
  run([](postgres::Database& database) -> Task<> {
    co_await open(database, "demo", "one.example.com");
    Opened moved = co_await open(database, "demo", "two.example.com");
    EXPECT_TRUE(moved.another_hostname());
    EXPECT_EQ(moved.hostname_before, "one.example.com");
    EXPECT_EQ(moved.installation.hostname, "two.example.com");
    EXPECT_FALSE((co_await open(database, "demo", "two.example.com")).another_hostname());

    co_await database.query({"test_timeline", "UPDATE terrane.installation SET timeline = 7"});
    EXPECT_TRUE((co_await open(database, "demo", "two.example.com")).another_timeline());
    co_await database.query(
        {"test_cluster", "UPDATE terrane.installation SET timeline = 1, system_identifier = '42'"});
    Opened other = co_await open(database, "demo", "two.example.com");
    EXPECT_TRUE(other.another_cluster());
    EXPECT_FALSE(other.another_timeline());
    EXPECT_EQ(other.installation.system_identifier, "42") << "the caller decides, not the look";
  });
}

TEST(Installation, KeepsItsMode) {
  run([](postgres::Database& database) -> Task<> {
    co_await open(database, "demo", "one.example.com");
    std::string detail;
    try {
      co_await open(database, "external", "two.example.com");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::conflict);
      detail = error.detail();
    }
    EXPECT_NE(detail.find("'demo'"), std::string::npos);
    EXPECT_NE(detail.find("'external'"), std::string::npos);
    EXPECT_EQ((co_await open(database, "demo", "one.example.com")).hostname_before, "one.example.com");
  });
}

TEST(Secrets, AreTheSameForAllAndForEver) {
  run([](postgres::Database& database) -> Task<> {
    vault_client::FakeVault vault;
    net::Executor executor = co_await boost::asio::this_coro::executor;
    std::vector<std::string> seen;
    auto load = [&]() -> Task<> {
      Secret secret = co_await load_or_create(database, vault, "token-hmac", 32);
      seen.push_back(secret.reveal());
    };
    for (int i = 0; i < 4; ++i) net::spawn(executor, "load", load());
    co_await testing::eventually("all have the secret", [&] { return seen.size() == 4; });
    for (const std::string& secret : seen) EXPECT_EQ(secret, seen.front());
    EXPECT_EQ(seen.front().size(), 32U);
    Secret other = co_await load_or_create(database, vault, "url-signing", 32);
    EXPECT_NE(other.reveal(), seen.front());
    vault.rotate("terrane");
    EXPECT_EQ((co_await load_or_create(database, vault, "token-hmac", 32)).reveal(), seen.front());
  });
}

TEST(Secrets, AreNeverReplaced) {
  run([](postgres::Database& database) -> Task<> {
    vault_client::FakeVault vault;
    Secret good = co_await load_or_create(database, vault, "session", 32);
    auto code_of = [&](vault_client::Vault& with, std::string name,
                       std::size_t size) -> Task<std::optional<Code>> {
      try {
        co_await load_or_create(database, with, name, size);
      } catch (const Error& error) {
        co_return error.code();
      }
      co_return std::nullopt;
    };
    EXPECT_EQ(co_await code_of(vault, "session", 16), Code::internal);
    vault_client::FakeVault stranger;
    EXPECT_EQ(co_await code_of(stranger, "session", 32), Code::internal);
    vault.set_sealed(true);
    EXPECT_EQ(co_await code_of(vault, "session", 32), Code::unavailable);
    EXPECT_EQ(co_await code_of(vault, "another", 32), Code::unavailable);
    vault.set_sealed(false);
    // A row moved to another name does not open.
    co_await database.query(
        {"test_move", "UPDATE terrane.wrapped_secrets SET name = 'moved' WHERE name = 'session'"});
    EXPECT_EQ(co_await code_of(vault, "moved", 32), Code::internal);
    co_await database.query(
        {"test_move_back", "UPDATE terrane.wrapped_secrets SET name = 'session' WHERE name = 'moved'"});
    EXPECT_EQ((co_await load_or_create(database, vault, "session", 32)).reveal(), good.reveal());
  });
}

}  // namespace
}  // namespace terrane::installation
