#include "postgres/known_commit.h"

#include <gtest/gtest.h>

#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::postgres {
namespace {

using testing::TestDatabase;

constexpr Statement insert_one{"test_known_insert", "INSERT INTO things (id) VALUES ($1)"};
constexpr Statement find_one{"test_known_find", "SELECT id FROM things WHERE id = $1"};
constexpr Statement delete_one{"test_known_delete", "DELETE FROM things WHERE id = $1"};
constexpr Statement count_all{"test_known_count", "SELECT count(*) AS n FROM things"};

void run(std::function<Task<>(Database&)> body) {
  TestDatabase at;
  at.run("CREATE TABLE things (id text PRIMARY KEY)");
  testing::run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, at.options());
    co_await body(database);
  });
}

Task<std::optional<int>> find(Tx& tx) {
  Result result = co_await tx.run(find_one, Params::of("a"));
  co_return result.empty() ? std::nullopt : std::optional(1);
}

Task<std::int64_t> count(Database& database) {
  Result result = co_await database.query(count_all);
  co_return result[0].integer("n");
}

/// What the first attempt does before the connection breaks off while committing.
enum class Fate { committed, lost, still_committing };

/// Runs a creation whose first COMMIT has an unknown outcome; returns how many attempts there were.
Task<int> create_with(Database& database, Fate fate) {
  int attempts = 0;
  int lookups = 0;
  std::function<Task<int>(Tx&)> create = [&](Tx& tx) -> Task<int> {
    if (++attempts == 1) {
      if (fate == Fate::committed) co_await database.query(insert_one, Params::of("a"));
      throw UnknownCommit();
    }
    if (fate == Fate::still_committing) co_await database.query(insert_one, Params::of("a"));
    co_await tx.run(insert_one, Params::of("a"));
    co_return 2;
  };
  std::function<Task<std::optional<int>>(Tx&)> lookup = [&](Tx& tx) {
    ++lookups;
    return find(tx);
  };
  int result = co_await transact_create<int>(database, create, lookup);
  EXPECT_EQ(result, fate == Fate::lost ? 2 : 1);
  EXPECT_EQ(lookups, fate == Fate::still_committing ? 2 : 1);
  co_return attempts;
}

TEST(KnownCommit, FindsWhatWasCommitted) {
  run([](Database& database) -> Task<> {
    EXPECT_EQ(co_await create_with(database, Fate::committed), 1);
    EXPECT_EQ(co_await count(database), 1);
  });
}

TEST(KnownCommit, MakesAgainWhatWasLost) {
  run([](Database& database) -> Task<> {
    EXPECT_EQ(co_await create_with(database, Fate::lost), 2);
    EXPECT_EQ(co_await count(database), 1);
  });
}

TEST(KnownCommit, FindsWhatWasCommittedLate) {
  run([](Database& database) -> Task<> {
    EXPECT_EQ(co_await create_with(database, Fate::still_committing), 2);
    EXPECT_EQ(co_await count(database), 1);
  });
}

TEST(KnownCommit, PassesOnAConflictOfOthers) {
  run([](Database& database) -> Task<> {
    std::function<Task<int>(Tx&)> create = [&](Tx&) -> Task<int> { throw Error(Code::conflict, "taken"); };
    std::optional<Code> code;
    try {
      co_await transact_create<int>(database, create, find);
    } catch (const Error& error) {
      code = error.code();
    }
    EXPECT_EQ(code, Code::conflict);
  });
}

TEST(KnownCommit, RepeatsAChangeOnce) {
  run([](Database& database) -> Task<> {
    int attempts = 0;
    std::function<Task<int>(Tx&)> change = [&](Tx&) -> Task<int> {
      if (++attempts == 1) throw UnknownCommit();
      co_return attempts;
    };
    EXPECT_EQ(co_await transact_change<int>(database, change), 2);
    attempts = 0;
    std::function<Task<int>(Tx&)> never = [&](Tx&) -> Task<int> {
      ++attempts;
      throw UnknownCommit();
    };
    bool thrown = false;
    try {
      co_await transact_change<int>(database, never);
    } catch (const UnknownCommit&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    EXPECT_EQ(attempts, 2);
  });
}

TEST(KnownCommit, TakesARemovalThatWasDoneForDone) {
  run([](Database& database) -> Task<> {
    co_await database.query(insert_one, Params::of("a"));
    int attempts = 0;
    std::function<Task<>(Tx&)> remove = [&](Tx& tx) -> Task<> {
      if (++attempts == 1) {
        co_await database.query(delete_one, Params::of("a"));
        throw UnknownCommit();
      }
      Result gone = co_await tx.run(delete_one, Params::of("a"));
      if (gone.affected() == 0) throw Error(Code::not_found, "");
    };
    co_await transact_remove(database, remove);
    EXPECT_EQ(attempts, 2);
    std::optional<Code> code;
    try {
      co_await transact_remove(database, remove);
    } catch (const Error& error) {
      code = error.code();
    }
    EXPECT_EQ(code, Code::not_found) << "without an unknown commit nothing is nothing";
  });
}

}  // namespace
}  // namespace terrane::postgres
