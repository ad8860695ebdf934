#include "postgres/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::postgres {
namespace {

using testing::run_task;
using testing::TestDatabase;

constexpr Statement count_things{"count_things", "SELECT count(*) AS count FROM thing"};
constexpr Statement add_thing{"add_thing", "INSERT INTO thing (id, kind) VALUES ($1, $2) RETURNING id"};
constexpr Statement pid{"backend_pid", "SELECT pg_backend_pid() AS pid"};

constexpr const char* schema = R"sql(
CREATE TABLE kind (name text PRIMARY KEY);
INSERT INTO kind VALUES ('a'), ('b');
CREATE TABLE thing (id int CONSTRAINT thing_unique PRIMARY KEY, kind text CONSTRAINT thing_kind REFERENCES kind,
                    CONSTRAINT thing_positive CHECK (id > 0));
)sql";

Task<std::int64_t> things(Database& database) {
  Result result = co_await database.query(count_things);
  co_return result[0].integer("count");
}

/// The Error that the statement ends with.
Task<Error> failure_of(Database& database, Statement statement, Params params) {
  try {
    co_await database.query(statement, std::move(params));
  } catch (const Error& error) {
    co_return error;
  }
  throw std::runtime_error("the statement succeeded");
}

TEST(Database, MapsSqlstatesToErrors) {
  TestDatabase base;
  base.run(schema);
  run_task([&](net::Executor executor) -> Task<> {
    DatabaseOptions options = base.options(1);
    options.statement_time = std::chrono::milliseconds(200);
    Database database(executor, options);
    co_await database.query(add_thing, Params::of(1, "a"));
    struct Case {
      Statement statement;
      Params params;
      Code code;
      std::string_view constraint;
    };
    const Case cases[] = {
        {add_thing, Params::of(1, "a"), Code::conflict, "thing_unique"},
        {add_thing, Params::of(2, "no"), Code::unprocessable, "thing_kind"},
        {add_thing, Params::of(-1, "a"), Code::unprocessable, "thing_positive"},
        {{"too_slow", "SELECT pg_sleep(10)"}, {}, Code::unavailable, ""},
        {{"no_table", "SELECT * FROM missing"}, {}, Code::internal, ""},
        {{"no_syntax", "SELEC 1"}, {}, Code::internal, ""},
    };
    for (const Case& each : cases) {
      Error error = co_await failure_of(database, each.statement, each.params);
      EXPECT_EQ(error.code(), each.code) << each.statement.name;
      EXPECT_EQ(violated_constraint(error), each.constraint) << each.statement.name;
      EXPECT_FALSE(is_retryable(error));
      EXPECT_THAT(error.context(), ::testing::HasSubstr("statement=" + std::string(each.statement.name)));
    }
    EXPECT_EQ(co_await things(database), 1);
  });
}

TEST(Database, NeverQuotesAValueInAnError) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    Error error =
        co_await failure_of(database, {"cast_to_int", "SELECT $1::text::int"}, Params::of("hunter2"));
    EXPECT_EQ(error.code(), Code::internal);
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("hunter2")));
  });
}

TEST(Database, RefusesTwoStatementsOfOneName) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    co_await database.query({"twin", "SELECT 1"});
    Error error = co_await failure_of(database, {"twin", "SELECT 2"}, {});
    EXPECT_EQ(error.code(), Code::internal);
  });
}

TEST(Database, SetsItsSessionUp) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    DatabaseOptions options = base.options(1);
    options.url += "&options=-csearch_path%3Dpg_temp";
    Database database(executor, options);
    constexpr Statement settings{"show_settings", R"sql(
SELECT current_setting('timezone') AS timezone, current_setting('datestyle') AS datestyle,
       current_setting('client_encoding') AS encoding,
       current_setting('statement_timeout') AS statement_time, current_setting('lock_timeout') AS lock_time,
       current_setting('idle_in_transaction_session_timeout') AS idle_time, current_setting('search_path') AS path,
       current_setting('application_name') AS application)sql"};
    Row row = *(co_await database.query(settings)).one();
    EXPECT_EQ(row.text("timezone"), "UTC");
    EXPECT_EQ(row.text("datestyle"), "ISO, MDY");
    EXPECT_EQ(row.text("encoding"), "UTF8");
    EXPECT_EQ(row.text("statement_time"), "10s");
    EXPECT_EQ(row.text("lock_time"), "5s");
    EXPECT_EQ(row.text("idle_time"), "30s");
    EXPECT_EQ(row.text("path"), "pg_temp");
    EXPECT_EQ(row.text("application"), "test");
  });
}

TEST(Transaction, CommitsWhatItDid) {
  TestDatabase base;
  base.run(schema);
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options());
    Tx tx = co_await database.begin();
    co_await tx.run(add_thing, Params::of(1, "a"));
    Result second = co_await tx.run(add_thing, Params::of(2, "b"));
    EXPECT_EQ(second.affected(), 1U);
    EXPECT_EQ(co_await things(database), 0) << "seen before the commit";
    co_await tx.commit();
    EXPECT_EQ(co_await things(database), 2);
    EXPECT_THROW(co_await tx.run(count_things), Error);
  });
}

TEST(Transaction, RollsBackWhenItIsDestroyed) {
  TestDatabase base;
  base.run(schema);
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    std::int64_t before = (co_await database.query(pid))[0].integer("pid");
    {
      Tx tx = co_await database.begin();
      co_await tx.run(add_thing, Params::of(1, "a"));
    }
    EXPECT_EQ(co_await things(database), 0);
    EXPECT_EQ((co_await database.query(pid))[0].integer("pid"), before) << "the connection was not kept";
  });
}

TEST(Transaction, DoesNotCommitAfterAFailedStatement) {
  TestDatabase base;
  base.run(schema);
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    {
      Tx tx = co_await database.begin();
      co_await tx.run(add_thing, Params::of(1, "a"));
      EXPECT_THROW(co_await tx.run(add_thing, Params::of(1, "a")), Error);
      EXPECT_THROW(co_await tx.commit(), Error);
    }
    EXPECT_EQ(co_await things(database), 0);
  });
}

TEST(Transaction, RunsTheLastStatementAndCommitInOne) {
  TestDatabase base;
  base.run(schema);
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(2));
    Tx only = co_await database.begin();
    Result result = co_await only.run_and_commit(add_thing, Params::of(1, "a"));
    EXPECT_EQ(result[0].integer("id"), 1);
    Tx second = co_await database.begin();
    co_await second.run(add_thing, Params::of(2, "a"));
    co_await second.run_and_commit(add_thing, Params::of(3, "a"));
    EXPECT_EQ(co_await things(database), 3);
    {
      Tx third = co_await database.begin();
      co_await third.run(add_thing, Params::of(4, "a"));
      EXPECT_THROW(co_await third.run_and_commit(add_thing, Params::of(4, "a")), Error);
    }
    EXPECT_EQ(co_await things(database), 3);
  });
}

TEST(Transaction, OfNothingCostsNothing) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    Tx tx = co_await database.begin();
    co_await tx.commit();
    EXPECT_EQ((co_await database.query(pid)).size(), 1U);
  });
}

TEST(Transact, RepeatsAfterASerializationFailure) {
  TestDatabase base;
  base.run(schema);
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options());
    constexpr Statement fail_twice{"fail_serialization",
                                   "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"};
    int runs = 0;
    std::function<Task<int>(Tx&)> body = [&](Tx& tx) -> Task<int> {
      co_await tx.run(add_thing, Params::of(1, "a"));
      if (++runs < 3) co_await tx.run(fail_twice);
      co_return runs;
    };
    EXPECT_EQ(co_await database.transact<int>(body), 3);
    EXPECT_EQ(co_await things(database), 1);
    int attempts = 0;
    std::function<Task<>(Tx&)> hopeless = [&](Tx& tx) -> Task<> {
      ++attempts;
      co_await tx.run(fail_twice);
    };
    EXPECT_THROW(co_await database.transact_void(hopeless), Error);
    EXPECT_EQ(attempts, 3);
  });
}

TEST(Transact, SolvesARealDeadlock) {
  TestDatabase base;
  base.run(schema);
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options());
    constexpr Statement lock{"lock_kind", "UPDATE kind SET name = name WHERE name = $1"};
    int first_locks = 0;
    int done = 0;
    auto cross = [&](std::string first, std::string second) {
      std::function<Task<>(Tx&)> body = [&, first, second](Tx& tx) -> Task<> {
        co_await tx.run(lock, Params::of(first));
        ++first_locks;
        co_await testing::eventually("both hold a lock", [&] { return first_locks >= 2; });
        co_await tx.run(lock, Params::of(second));
      };
      return body;
    };
    std::exception_ptr failure;
    auto ended = [&](std::exception_ptr problem) {
      if (problem) failure = problem;
      ++done;
    };
    net::spawn(executor, database.transact_void(cross("a", "b")), ended);
    net::spawn(executor, database.transact_void(cross("b", "a")), ended);
    co_await testing::eventually("both ended", [&] { return done == 2; });
    EXPECT_FALSE(failure);
    EXPECT_GE(first_locks, 3) << "there was no deadlock";
  });
}

TEST(Transact, LetsOtherErrorsThroughAtOnce) {
  TestDatabase base;
  base.run(schema);
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    int attempts = 0;
    std::function<Task<>(Tx&)> body = [&](Tx& tx) -> Task<> {
      ++attempts;
      co_await tx.run(add_thing, Params::of(1, "a"));
      throw std::logic_error("body");
    };
    EXPECT_THROW(co_await database.transact_void(body), std::logic_error);
    EXPECT_EQ(attempts, 1);
    EXPECT_EQ(co_await things(database), 0);
  });
}

TEST(Database, PreparesAgainWhenATableHasChanged) {
  TestDatabase base;
  base.run(schema);
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    constexpr Statement all{"all_kinds", "SELECT * FROM kind"};
    EXPECT_EQ((co_await database.query(all)).size(), 2U);
    EXPECT_EQ((co_await database.query(all)).size(), 2U);
    base.run("ALTER TABLE kind ADD COLUMN extra int DEFAULT 7");
    Result result = co_await database.query(all);
    EXPECT_EQ(result[0].integer("extra"), 7);
  });
}

TEST(Database, QueuesStatementsOfManyCoroutinesOnFewConnections) {
  TestDatabase base;
  base.run(schema);
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(3));
    int done = 0;
    auto add = [&](int id) -> Task<> { co_await database.query(add_thing, Params::of(id, "a")); };
    for (int id = 1; id <= 200; ++id) {
      net::spawn(executor, add(id), [&](std::exception_ptr problem) { done += problem ? 1000 : 1; });
    }
    co_await testing::eventually("all are added", [&] { return done >= 200; });
    EXPECT_EQ(done, 200);
    EXPECT_EQ(co_await things(database), 200);
    constexpr Statement sessions{"count_sessions",
                                 "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = "
                                 "current_database() AND application_name = 'test'"};
    EXPECT_LE((co_await database.query(sessions))[0].integer("count"), 3);
  });
}

TEST(Database, RefusesInTimeWhenAllConnectionsAreBusyAndServesInOrder) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    DatabaseOptions options = base.options(1);
    options.acquire_time = std::chrono::milliseconds(200);
    Database database(executor, options);
    std::optional<Tx> holder = co_await database.begin();
    co_await holder->run(pid);
    try {
      co_await database.query(pid);
      ADD_FAILURE() << "a second connection was opened";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
    }
    std::vector<int> order;
    auto wait = [&](int number) -> Task<> {
      co_await database.query(pid);
      order.push_back(number);
    };
    for (int number : {1, 2, 3}) net::spawn(executor, "waiter", wait(number));
    co_await net::sleep_for(std::chrono::milliseconds(0));  // lets them begin
    holder.reset();
    co_await testing::eventually("all were served", [&] { return order.size() == 3; });
    EXPECT_THAT(order, ::testing::ElementsAre(1, 2, 3));
  });
}

}  // namespace
}  // namespace terrane::postgres
