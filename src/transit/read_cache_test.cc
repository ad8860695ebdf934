#include "transit/read_cache.h"

#include <gtest/gtest.h>

#include "testing/run.h"

namespace terrane::transit {
namespace {

using namespace std::chrono_literals;
using Cache = ReadCache<std::string>;

/// What the storage behind the cache holds.
struct Source {
  std::optional<std::string> value = "one";
  bool away = false;
  int reads = 0;

  Task<Cache::Pointer> read() {
    ++reads;
    if (away) throw Error(Code::unavailable, "away");
    if (!value) co_return nullptr;
    co_return std::make_shared<const std::string>(*value);
  }
  Cache::Load loader() {
    return [this] { return read(); };
  }
};

Task<> serves_without_reading(net::Executor) {
  Source source;
  Cache cache(1h, 1h, 10);
  EXPECT_EQ(*co_await cache.get("k", source.loader()), "one");
  source.value = "two";
  EXPECT_EQ(*co_await cache.get("k", source.loader()), "one");
  EXPECT_EQ(source.reads, 1);
}
TEST(ReadCache, ServesAFreshValueWithoutReading) { testing::run_task(serves_without_reading); }

Task<> reads_again(net::Executor) {
  Source source;
  Cache cache(0s, 1h, 10);
  EXPECT_EQ(*co_await cache.get("k", source.loader()), "one");
  source.value = "two";
  EXPECT_EQ(*co_await cache.get("k", source.loader()), "two");
  source.value.reset();
  EXPECT_EQ(co_await cache.get("k", source.loader()), nullptr) << "what is gone is gone";
  source.away = true;
  bool thrown = false;
  try {
    co_await cache.get("k", source.loader());
  } catch (const Error&) {
    thrown = true;
  }
  EXPECT_TRUE(thrown) << "absence must not be held";
}
TEST(ReadCache, ReadsAnOldValueAgain) { testing::run_task(reads_again); }

Task<> serves_while_away(net::Executor) {
  Source source;
  Cache cache(0s, 1h, 10);
  co_await cache.get("k", source.loader());
  source.away = true;
  EXPECT_EQ(*co_await cache.get("k", source.loader()), "one");
  int reads = source.reads;
  EXPECT_EQ(*co_await cache.get("k", source.loader()), "one");
  EXPECT_EQ(source.reads, reads) << "a storage that is away is not asked again at once";
}
TEST(ReadCache, ServesTheHeldValueWhileTheStorageIsAway) { testing::run_task(serves_while_away); }

Task<> not_older_than_stale(net::Executor) {
  Source source;
  Cache cache(-1s, -1s, 10);  // any held value is too old for either
  co_await cache.get("k", source.loader());
  source.away = true;
  bool thrown = false;
  try {
    co_await cache.get("k", source.loader());
  } catch (const Error& error) {
    thrown = error.code() == Code::unavailable;
  }
  EXPECT_TRUE(thrown);
}
TEST(ReadCache, DoesNotServeBeyondItsLimit) { testing::run_task(not_older_than_stale); }

Task<> write_wins(net::Executor) {
  Cache cache(1h, 1h, 10);
  // While the old value is being read, another coroutine writes a new one.
  Cache::Load slow = [&cache]() -> Task<Cache::Pointer> {
    cache.store("k", std::make_shared<const std::string>("new"));
    co_return std::make_shared<const std::string>("old");
  };
  co_await cache.get("k", slow);
  Source source;
  EXPECT_EQ(*co_await cache.get("k", source.loader()), "new");
}
TEST(ReadCache, AReadDoesNotOverwriteAWriteThatCameBetween) { testing::run_task(write_wins); }

Task<> bounded(net::Executor) {
  Source source;
  Cache cache(1h, 1h, 3);
  for (int i = 0; i < 10; ++i) co_await cache.get(std::to_string(i), source.loader());
  int held = 0;
  cache.for_each([&held](const std::string&, const Cache::Pointer&) { ++held; });
  EXPECT_EQ(held, 3);
}
TEST(ReadCache, HoldsNoMoreThanItsLimit) { testing::run_task(bounded); }

}  // namespace
}  // namespace terrane::transit
