// What happens to statements and transactions when server, backend or caller go away in the middle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include "postgres/database.h"
#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::postgres {
namespace {

using testing::eventually;
using testing::run_task;
using testing::TestDatabase;
using testing::TestServer;

constexpr Statement pid{"backend_pid", "SELECT pg_backend_pid() AS pid"};
constexpr Statement add_note{"add_note", "INSERT INTO note (text) VALUES ($1)"};
constexpr Statement count_notes{"count_notes", "SELECT count(*) AS count FROM note"};
constexpr Statement terminate{"terminate", "SELECT pg_terminate_backend($1::int, 5000) AS done"};
constexpr Statement sleepers{"sleepers", R"sql(
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')sql"};

Task<std::int64_t> notes(Database& database) {
  Result result = co_await database.query(count_notes);
  co_return result[0].integer("count");
}

/// Ends the backend that sleeps, as soon as there is one.
Task<> end_sleeper(Database& other) {
  for (;;) {
    Result found = co_await other.query(sleepers);
    if (!found.empty()) {
      co_await other.query(terminate, Params::of(found[0].integer("pid")));
      co_return;
    }
    co_await net::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST(Faults, QueriesGoOnAfterTheirBackendsWereKilled) {
  TestDatabase base;
  base.run("CREATE TABLE note (text text)");
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    Database other(executor, base.options(1));
    for (bool write : {false, true}) {
      Result before = co_await database.query(pid);
      EXPECT_TRUE((co_await other.query(terminate, Params::of(before[0].integer("pid"))))[0].boolean("done"));
      if (write) co_await database.query(add_note, Params::of("x"));
      Result after = co_await database.query(pid);
      EXPECT_NE(before[0].integer("pid"), after[0].integer("pid"));
    }
    EXPECT_EQ(co_await notes(database), 1);
  });
}

TEST(Faults, AReadWhoseBackendDiesUnderItIsTriedOnceMore) {
  TestDatabase base;
  base.run("CREATE SEQUENCE attempt");
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    Database other(executor, base.options(1));
    co_await database.query(pid);
    net::spawn(executor, "killer", end_sleeper(other));
    constexpr Statement once_slow{"once_slow", R"sql(
SELECT attempt, CASE attempt WHEN 1 THEN pg_sleep(9)::text END
FROM (SELECT nextval('attempt') AS attempt OFFSET 0) AS sub)sql"};
    Result result = co_await database.query(once_slow);
    EXPECT_EQ(result[0].integer("attempt"), 2);
  });
}

TEST(Faults, AWriteWhoseBackendDiesUnderItIsNotTriedAgain) {
  TestDatabase base;
  base.run("CREATE TABLE note (text text)");
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    Database other(executor, base.options(1));
    co_await database.query(pid);
    net::spawn(executor, "killer", end_sleeper(other));
    constexpr Statement slow{"slow_write", "INSERT INTO note SELECT pg_sleep(9)::text"};
    EXPECT_THROW(co_await database.query(slow), UnknownCommit);
    EXPECT_EQ(co_await notes(database), 0);
  });
}

TEST(Faults, ATransactionThatHasNotBegunSurvivesTheDeathOfItsConnection) {
  TestDatabase base;
  base.run("CREATE TABLE note (text text)");
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    Database other(executor, base.options(1));
    Result before = co_await database.query(pid);
    Tx tx = co_await database.begin();
    co_await other.query(terminate, Params::of(before[0].integer("pid")));
    co_await tx.run(add_note, Params::of("x"));
    co_await tx.commit();
    EXPECT_EQ(co_await notes(database), 1);
  });
}

TEST(Faults, ATransactionThatLostItsConnectionSaysSoAndLeavesNothing) {
  TestDatabase base;
  base.run("CREATE TABLE note (text text)");
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    Database other(executor, base.options(1));
    {
      Tx tx = co_await database.begin();
      co_await tx.run(add_note, Params::of("x"));
      Result mine = co_await tx.run(pid);
      co_await other.query(terminate, Params::of(mine[0].integer("pid")));
      try {
        co_await tx.run(add_note, Params::of("y"));
        ADD_FAILURE() << "a dead connection answered";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::unavailable);
        EXPECT_FALSE(is_retryable(error));
      }
    }
    EXPECT_EQ(co_await notes(database), 0);
  });
}

TEST(Faults, ACommitWhoseBackendDiesIsUnknown) {
  TestDatabase base;
  base.run(R"sql(
CREATE TABLE note (text text);
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(9); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON note DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.text = 'slow') EXECUTE FUNCTION linger();
)sql");
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    Database other(executor, base.options(1));
    {
      Tx tx = co_await database.begin();
      co_await tx.run(add_note, Params::of("slow"));
      net::spawn(executor, "killer", end_sleeper(other));
      EXPECT_THROW(co_await tx.commit(), UnknownCommit);
    }
    {
      Tx tx = co_await database.begin();
      co_await tx.run(add_note, Params::of("quick"));
      net::spawn(executor, "killer", end_sleeper(other));
      EXPECT_THROW(co_await tx.run_and_commit(add_note, Params::of("slow")), UnknownCommit);
    }
    EXPECT_EQ(co_await notes(database), 0);
  });
}

TEST(Faults, AFailureOfADeferredConstraintIsNoUnknownCommit) {
  TestDatabase base;
  base.run("CREATE TABLE note (text text CONSTRAINT note_once UNIQUE DEFERRABLE INITIALLY DEFERRED)");
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    Tx tx = co_await database.begin();
    co_await tx.run(add_note, Params::of("x"));
    co_await tx.run(add_note, Params::of("x"));
    try {
      co_await tx.commit();
      ADD_FAILURE() << "the constraint was not checked";
    } catch (const UnknownCommit&) {
      ADD_FAILURE() << "the outcome is known";
    } catch (const Error& error) {
      EXPECT_EQ(violated_constraint(error), "note_once");
    }
  });
}

TEST(Faults, ACancelledCallerLeavesNoHalfReadConnectionBehind) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    Database other(executor, base.options(1));
    Result before = co_await database.query(pid);
    boost::asio::cancellation_signal cancel;
    bool ended = false;
    auto slow = [&]() -> Task<> {
      co_await database.query({"slow_read", "SELECT pg_sleep(5), 4711 AS pid"});
    };
    auto done = [&](std::exception_ptr problem) { ended = problem != nullptr; };
    boost::asio::co_spawn(executor, slow(), boost::asio::bind_cancellation_slot(cancel.slot(), done));
    while ((co_await other.query(sleepers)).empty()) co_await net::sleep_for(std::chrono::milliseconds(5));
    cancel.emit(boost::asio::cancellation_type::terminal);
    co_await eventually("the caller was cancelled", [&] { return ended; });
    Result after = co_await database.query(pid);
    EXPECT_NE(after[0].integer("pid"), 4711);
    EXPECT_NE(after[0].integer("pid"), before[0].integer("pid"));
  });
}

TEST(Faults, TheWholeServerMayRestartOrCrash) {
  TestServer server;
  TestDatabase base(TestDatabase::Content::empty, server);
  base.run("CREATE TABLE note (text text)");
  run_task([&](net::Executor executor) -> Task<> {
    DatabaseOptions options = base.options(3);
    options.acquire_time = std::chrono::milliseconds(300);
    Database database(executor, options);
    co_await database.query(add_note, Params::of("before"));
    server.stop();
    try {
      co_await database.query(pid);
      ADD_FAILURE() << "a stopped server answered";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
    }
    server.start();
    EXPECT_EQ(co_await notes(database), 1);
    co_await database.query(add_note, Params::of("between"));
    server.kill();
    server.start();
    constexpr Statement any{"any_answer", "SELECT 1 AS one"};
    EXPECT_EQ((co_await database.query(any))[0].integer("one"), 1);
  });
}

TEST(Faults, AWaiterIsServedAsSoonAsTheServerIsBack) {
  TestServer server;
  TestDatabase base(TestDatabase::Content::empty, server);
  server.stop();
  run_task([&](net::Executor executor) -> Task<> {
    DatabaseOptions options = base.options(3);
    options.acquire_time = std::chrono::seconds(10);
    Database database(executor, options);
    bool served = false;
    auto wait = [&]() -> Task<> {
      co_await database.query(pid);
      served = true;
    };
    net::spawn(executor, "waiter", wait());
    co_await net::sleep_for(std::chrono::milliseconds(0));  // lets it begin
    EXPECT_FALSE(served);
    server.start();
    co_await eventually("the waiter was served", [&] { return served; }, std::chrono::seconds(3));
  });
}

TEST(Faults, LeavesAStandbyThatTakesNoWrites) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    DatabaseOptions options = base.options(1);
    options.url += "&options=-cdefault_transaction_read_only%3Don";
    options.acquire_time = std::chrono::milliseconds(300);
    Database database(executor, options);
    try {
      co_await database.query(pid);
      ADD_FAILURE() << "a read-only session was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
      EXPECT_THAT(error.context(), ::testing::HasSubstr("read-only"));
    }
  });
}

TEST(Faults, TriesEachHostOfTheUrl) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    DatabaseOptions options = base.options(1);
    options.url = "user=terrane dbname=" + base.name() + " host=/nonexistent,127.0.0.1," +
                  TestServer::shared().directory().string() + " port=5432," +
                  std::to_string(testing::free_port()) + ",5432";
    Database database(executor, options);
    EXPECT_EQ((co_await database.query(pid)).size(), 1U);
  });
}

}  // namespace
}  // namespace terrane::postgres
