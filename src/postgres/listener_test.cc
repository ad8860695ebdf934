#include "postgres/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::postgres {
namespace {

using testing::eventually;
using testing::run_task;
using testing::TestDatabase;
using testing::TestServer;

constexpr Statement notify{"notify", "SELECT pg_notify($1, $2)"};
constexpr Statement end_listeners{"end_listeners", R"sql(
SELECT count(pg_terminate_backend(pid, 5000)) AS count FROM pg_stat_activity
WHERE datname = current_database() AND application_name = $1)sql"};

using Heard = std::vector<std::pair<std::string, std::string>>;

TEST(Listener, HearsItsChannelsAndEveryReconnect) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(2));
    Heard heard;
    auto hear = [&](const std::string& channel, const std::string& payload) {
      heard.emplace_back(channel, payload);
      if (payload == "throw") throw std::runtime_error("the callback's own problem");
    };
    Listener listener(executor, base.url(), {"runs", "odd \"name\""}, hear);
    co_await eventually("it listens", [&] { return heard.size() == 1; });
    co_await database.query(notify, Params::of("runs", "throw"));
    co_await database.query(notify, Params::of("other", "not for us"));
    co_await database.query(notify, Params::of("odd \"name\"", "2"));
    co_await eventually("both came", [&] { return heard.size() == 3; });
    Result ended = co_await database.query(end_listeners, Params::of("terrane listener"));
    EXPECT_EQ(ended[0].integer("count"), 1);
    co_await eventually("it is back", [&] { return heard.size() == 4; });
    co_await database.query(notify, Params::of("runs", "3"));
    co_await eventually("it hears again", [&] { return heard.size() == 5; });
    EXPECT_EQ(heard, (Heard{{"", ""}, {"runs", "throw"}, {"odd \"name\"", "2"}, {"", ""}, {"runs", "3"}}));
  });
}

TEST(Listener, IsSilentOnceItIsDestroyed) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    int heard = 0;
    auto listener = std::make_unique<Listener>(executor, base.url(), std::vector<std::string>{"runs"},
                                               [&](const std::string&, const std::string&) { ++heard; });
    co_await eventually("it listens", [&] { return heard == 1; });
    listener.reset();
    co_await database.query(notify, Params::of("runs", "late"));
    constexpr Statement listening{
        "count_listeners",
        "SELECT count(*) AS count FROM pg_stat_activity WHERE application_name = 'terrane listener'"};
    while ((co_await database.query(listening))[0].integer("count") > 0)
      co_await net::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(heard, 1);
  });
}

TEST(AdvisoryLock, IsHeldByOneAndPassesOn) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    net::Stop stop(executor);
    auto first = std::make_unique<AdvisoryLock>(executor, base.url(), 42);
    AdvisoryLock second(executor, base.url(), 42);
    AdvisoryLock elsewhere(executor, base.url(), 43);
    EXPECT_TRUE(co_await first->acquire(stop));
    EXPECT_TRUE(first->held());
    EXPECT_TRUE(co_await elsewhere.acquire(stop));
    bool taken = false;
    auto take = [&]() -> Task<> { taken = co_await second.acquire(stop); };
    net::spawn(executor, "second", take());
    Database database(executor, base.options(1));
    constexpr Statement waiting{
        "count_waiting",
        "SELECT count(*) AS count FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"};
    while ((co_await database.query(waiting))[0].integer("count") == 0)
      co_await net::sleep_for(std::chrono::milliseconds(5));
    EXPECT_FALSE(second.held());
    first.reset();
    co_await eventually("the second has it", [&] { return taken; });
    EXPECT_TRUE(second.held());
  });
}

TEST(AdvisoryLock, IsNotHeldAfterItsSessionEndedAndCanBeTakenAgain) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    net::Stop stop(executor);
    Database database(executor, base.options(1));
    AdvisoryLock lock(executor, base.url(), 42);
    EXPECT_FALSE(lock.held());
    EXPECT_TRUE(co_await lock.acquire(stop));
    co_await database.query(end_listeners, Params::of("terrane lock"));
    co_await eventually("it noticed", [&] { return !lock.held(); });
    EXPECT_TRUE(co_await lock.acquire(stop));
    EXPECT_TRUE(lock.held());
  });
}

TEST(AdvisoryLock, StopsWaitingWhenAsked) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    net::Stop stop(executor);
    AdvisoryLock first(executor, base.url(), 42);
    AdvisoryLock second(executor, base.url(), 42);
    co_await first.acquire(stop);
    std::optional<bool> taken;
    auto take = [&]() -> Task<> { taken = co_await second.acquire(stop); };
    net::spawn(executor, "second", take());
    co_await net::sleep_for(std::chrono::milliseconds(0));  // lets it begin
    stop.request();
    co_await eventually("it gave up", [&] { return taken.has_value(); }, std::chrono::seconds(2));
    EXPECT_FALSE(*taken);
    EXPECT_FALSE(second.held());
  });
}

}  // namespace
}  // namespace terrane::postgres
