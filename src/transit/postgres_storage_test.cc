#include "transit/postgres_storage.h"

#include <gtest/gtest.h>

#include "testing/run.h"
#include "testing/test_database.h"
#include "transit/vault_fixture.h"

namespace terrane::transit {
namespace {

const std::string odd_bytes("\0\xff\\'\"\n\x01", 7);

Task<> verbs(net::Executor executor) {
  testing::TestDatabase place;
  postgres::Database database(executor, place.options());
  PostgresStorage storage(database);
  co_await storage.migrate();
  co_await storage.migrate();
  EXPECT_EQ(co_await storage.get("a"), std::nullopt);
  EXPECT_TRUE(co_await storage.put("a", odd_bytes, std::nullopt));
  EXPECT_FALSE(co_await storage.put("a", "other", std::nullopt)) << "it is there already";
  EXPECT_EQ(co_await storage.get("a"), odd_bytes);
  EXPECT_FALSE(co_await storage.put("a", "other", "not what is there"));
  EXPECT_TRUE(co_await storage.put("a", "two", odd_bytes));
  EXPECT_FALSE(co_await storage.put("absent", "x", "y"));
  EXPECT_TRUE(co_await storage.put("a%b_c/1", "", std::nullopt));
  EXPECT_TRUE(co_await storage.put("a%b_c/2", "x", std::nullopt));
  EXPECT_EQ(co_await storage.list("a%b_c/"), (std::vector<std::string>{"a%b_c/1", "a%b_c/2"}));
  EXPECT_EQ(co_await storage.list("%"), std::vector<std::string>{});
  EXPECT_EQ(co_await storage.get("a%b_c/1"), "");
  EXPECT_FALSE(co_await storage.erase("a", "one"));
  EXPECT_TRUE(co_await storage.erase("a", "two"));
  EXPECT_EQ(co_await storage.get("a"), std::nullopt);
}
TEST(PostgresStorage, ComparesAndSets) { testing::run_task(verbs); }

Task<> all_or_nothing(net::Executor executor) {
  testing::TestDatabase place;
  postgres::Database database(executor, place.options());
  PostgresStorage storage(database);
  co_await storage.migrate();
  std::vector<std::pair<std::string, std::string>> entries{{"x", "1"}, {"y", "2"}};
  EXPECT_TRUE(co_await storage.insert_all(entries));
  std::vector<std::pair<std::string, std::string>> more{{"w", "0"}, {"y", "3"}, {"z", "4"}};
  EXPECT_FALSE(co_await storage.insert_all(more));
  EXPECT_EQ(co_await storage.list(""), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(co_await storage.get("y"), "2");
}
TEST(PostgresStorage, InsertsAllOrNothing) { testing::run_task(all_or_nothing); }

Task<> whole_vault(net::Executor executor) {
  testing::TestDatabase place;
  postgres::Database database(executor, place.options());
  PostgresStorage storage(database);
  co_await storage.migrate();
  Directory directory;
  std::string ciphertext;
  {
    TestVault vault(storage, directory.path() / "material");
    co_await vault.open();
    ciphertext = co_await vault.encrypt("app", "kept");
    Reply rotated = co_await vault.post("transit/keys/app/rotate");
    EXPECT_EQ(rotated.status, 200);
  }
  TestVault again(storage, directory.path() / "material");
  co_await again.open();
  EXPECT_EQ(co_await again.decrypt("app", ciphertext), "kept");
  Reply key = co_await again.get("transit/keys/app");
  EXPECT_EQ(key.number("data.latest_version"), 2);
}
TEST(PostgresStorage, CarriesAVault) { testing::run_task(whole_vault); }

Task<> server_away(net::Executor executor) {
  testing::TestServer server(testing::ServerOptions{.fsync = true});  // else a kill loses the last commits
  testing::TestDatabase place(testing::TestDatabase::Content::empty, server);
  postgres::DatabaseOptions options = place.options();
  options.acquire_time = std::chrono::milliseconds(300);
  postgres::Database database(executor, options);
  PostgresStorage storage(database);
  co_await storage.migrate();
  Directory directory;
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  std::string ciphertext = co_await vault.encrypt("app", "kept");
  server.kill();
  EXPECT_EQ(co_await vault.decrypt("app", ciphertext), "kept");
  Reply rotated = co_await vault.post("transit/keys/app/rotate");
  EXPECT_EQ(rotated.status, 503) << rotated.error();
  EXPECT_EQ(co_await vault.decrypt("app", co_await vault.encrypt("app", "during")), "during");
  server.start();
  Reply again = co_await vault.post("transit/keys/app/rotate");
  EXPECT_EQ(again.status, 200) << again.error();
  std::string later = co_await vault.encrypt("app", "later");
  EXPECT_TRUE(later.starts_with("vault:v2:")) << later;
  EXPECT_EQ(co_await vault.decrypt("app", ciphertext), "kept");
}
TEST(PostgresStorage, AVaultOutlivesItsDatabasesOutage) {
  testing::run_task(server_away, std::chrono::seconds(60));
}

}  // namespace
}  // namespace terrane::transit
