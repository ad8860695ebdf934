#include "postgres/migrator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::postgres {
namespace {

using testing::eventually;
using testing::run_task;
using testing::TestDatabase;

constexpr Migration first{
    1, "0001_create_thing",
    "CREATE TABLE thing (id int PRIMARY KEY);\nINSERT INTO thing VALUES (1); -- a comment"};
constexpr Migration second{2, "0002_add_note", "ALTER TABLE thing ADD COLUMN note text DEFAULT 'it''s'"};
constexpr Migration broken{3, "0003_break_thing", "CREATE TABLE half (id int);\nSELECT * FROM missing;"};

constexpr Statement things{"migrated_things", "SELECT id, note FROM terrane.thing"};
constexpr Statement recorded{
    "recorded_migrations",
    "SELECT number, name, length(sha256) AS length FROM terrane.migrations ORDER BY number"};

TEST(Migrator, BringsAnEmptyDatabaseUpOnce) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    const std::vector<Migration> both{first, second};
    EXPECT_EQ(co_await migrate(database, std::span(both).first(1)), 1);
    EXPECT_EQ(co_await migrate(database, both), 1);
    EXPECT_EQ(co_await migrate(database, both), 0);
    Result rows = co_await database.query(things);
    EXPECT_EQ(rows[0].string("note"), "it's");
    Result records = co_await database.query(recorded);
    EXPECT_EQ(records.size(), 2U);
    EXPECT_EQ(records[1].string("name"), "0002_add_note");
    EXPECT_EQ(records[1].integer("length"), 64);
  });
}

TEST(Migrator, RefusesAChangedTextAndRunsNothing) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    const std::vector<Migration> list{first};
    co_await migrate(database, list);
    const std::vector<Migration> changed{{1, first.name, "CREATE TABLE other (id int)"}, second};
    try {
      co_await migrate(database, changed);
      ADD_FAILURE() << "a changed migration was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::conflict);
      EXPECT_THAT(error.detail(), ::testing::HasSubstr("0001_create_thing"));
    }
    EXPECT_EQ((co_await database.query(recorded)).size(), 1U);
  });
}

TEST(Migrator, LeavesNothingOfAFailedMigration) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    const std::vector<Migration> list{first, second, broken};
    try {
      co_await migrate(database, list);
      ADD_FAILURE() << "a broken migration was taken";
    } catch (const Error& error) {
      EXPECT_THAT(error.context(), ::testing::HasSubstr("migration=0003_break_thing"));
    }
    EXPECT_EQ((co_await database.query(recorded)).size(), 2U);
    constexpr Statement half{"half_table", "SELECT to_regclass('terrane.half') IS NULL AS absent"};
    EXPECT_TRUE((co_await database.query(half))[0].boolean("absent"));
  });
}

TEST(Migrator, LeavesTheMigrationsOfANewerReleaseAlone) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    const std::vector<Migration> newer{first, second};
    co_await migrate(database, newer);
    EXPECT_EQ(co_await migrate(database, std::span(newer).first(1)), 0);
    EXPECT_EQ((co_await database.query(recorded)).size(), 2U);
  });
}

TEST(Migrator, RunsOnceWhenSeveralStartAtOnce) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    const std::vector<Migration> list{first, second};
    std::vector<std::unique_ptr<Database>> databases;
    int ran = 0;
    int done = 0;
    auto run = [&](Database& database) -> Task<> { ran += co_await migrate(database, list); };
    for (int i = 0; i < 4; ++i) {
      databases.push_back(std::make_unique<Database>(executor, base.options(1)));
      net::spawn(executor, run(*databases.back()), [&](std::exception_ptr problem) {
        EXPECT_FALSE(problem);
        ++done;
      });
    }
    co_await eventually("all ended", [&] { return done == 4; });
    EXPECT_EQ(ran, 2);
  });
}

TEST(Migrator, EmbedsTheMigrationsInAscendingOrderAndTheyRun) {
  std::span<const Migration> all = migrations();
  ASSERT_FALSE(all.empty());
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i - 1].number, all[i].number);
  TestDatabase base(TestDatabase::Content::migrated);
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    EXPECT_EQ(co_await migrate(database), 0);
    EXPECT_EQ((co_await database.query(recorded)).size(), migrations().size());
  });
}

}  // namespace
}  // namespace terrane::postgres
