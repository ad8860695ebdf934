#include "postgres/duty.h"

#include <gtest/gtest.h>

#include "postgres/database.h"
#include "postgres/listener.h"
#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::postgres {
namespace {

using testing::eventually;
using testing::run_task;
using testing::TestDatabase;

constexpr std::int64_t key = 4711;
constexpr Statement end_lock_holder{"end_lock_holder", R"sql(
SELECT count(pg_terminate_backend(l.pid, 5000)) AS count FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))sql"};

/// Works until its stop and counts.
struct Worker {
  int begun = 0;
  bool working = false;
  bool fails = false;
  Duty::Work work() {
    return [this](net::Stop& stop) -> Task<> {
      ++begun;
      if (fails) throw std::runtime_error("a defect");
      working = true;
      while (!co_await stop.wait_for(std::chrono::hours(1))) {
      }
      working = false;
    };
  }
};

TEST(Duty, IsDoneByOneAtATimeAndTakenOverWhenTheLockIsLost) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    net::Stop stop(executor), stop_of_other(executor);
    Worker one, other;
    int woken = 0;
    Duty first(executor, base.url(), key, true, one.work(), [&] { ++woken; });
    Duty second(executor, base.url(), key, true, other.work());
    net::spawn(executor, "first", first.run(stop));
    co_await eventually("the first works", [&] { return one.working; });
    net::spawn(executor, "second", second.run(stop_of_other));
    // Time enough for the second to take the lock, if it could.
    co_await database.query(Statement{"sleep", "SELECT pg_sleep(0.2)::text"});
    EXPECT_EQ(other.begun, 0);

    Result ended = co_await database.query(end_lock_holder);
    EXPECT_EQ(ended[0].integer("count"), 1);
    co_await eventually("the second works", [&] { return other.working && !one.working; });
    EXPECT_EQ(woken, 1) << "work that waits for something else is woken";
    stop_of_other.request();
    co_await eventually("the first works again once the second has left", [&] { return one.working; });
    EXPECT_EQ(one.begun, 2);
    stop.request();
    co_await eventually("it ends", [&] { return !one.working; });
  });
}

TEST(Duty, DoesNotRestOnAHolderThatHangs) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    net::Stop stop(executor);
    AdvisoryLock hung(executor, base.url(), key);
    EXPECT_TRUE(co_await hung.acquire(stop));
    Worker other;
    Duty duty(executor, base.url(), key, true, other.work(), {}, std::chrono::milliseconds(300));
    net::spawn(executor, "duty", duty.run(stop));
    co_await eventually("it works all the same", [&] { return other.working; });
    co_await eventually("for a moment", [&] { return !other.working; });
    co_await eventually("and again", [&] { return other.begun == 2; });
    EXPECT_TRUE(hung.held());
    stop.request();
    co_await eventually("it ends", [&] { return !other.working; });
  });
}

TEST(Duty, WithoutItsLockIsDoneByAll) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    net::Stop stop(executor);
    Worker one, other;
    Duty first(executor, base.url(), key, false, one.work());
    Duty second(executor, base.url(), key, false, other.work());
    Duty third(executor, "host=/nowhere", key, false, other.work());
    for (Duty* each : {&first, &second, &third}) net::spawn(executor, "duty", each->run(stop));
    co_await eventually("all work", [&] { return one.begun == 1 && other.begun == 2; });
    stop.request();
    co_await eventually("all have ended", [&] { return !one.working && !other.working; });
  });
}

TEST(Duty, BeginsAgainAfterADefect) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    net::Stop stop(executor);
    Worker one;
    one.fails = true;
    Duty duty(executor, base.url(), key, true, one.work());
    net::spawn(executor, "duty", duty.run(stop));
    co_await eventually("it begins again", [&] { return one.begun == 2; });
    one.fails = false;
    co_await eventually("it works", [&] { return one.working; });
    stop.request();
    co_await eventually("it ends", [&] { return !one.working; });
  });
}

}  // namespace
}  // namespace terrane::postgres
