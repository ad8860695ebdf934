#include "blob/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blob/directory_store.h"
#include "blob/memory_store.h"
#include "blob/store_test_tools.h"
#include "testing/run.h"

namespace terrane::blob {
namespace {

using ::testing::HasSubstr;

/// What every store promises.
class Contract : public ::testing::TestWithParam<const char*> {
 protected:
  void run(std::function<Task<>(Store&)> body) {
    TemporaryDirectory directory;
    terrane::testing::run_task([&](net::Executor executor) -> Task<> {
      std::unique_ptr<Store> store;
      if (std::string(GetParam()) == "memory") {
        store = std::make_unique<MemoryStore>();
      } else {
        store = std::make_unique<DirectoryStore>(executor, directory.path());
      }
      co_await body(*store);
    });
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, Contract, ::testing::Values("memory", "directory"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Contract, AnObjectIsSeenWhenItIsCommittedAndNotBefore) {
  run([](Store& store) -> Task<> {
    auto writer = co_await store.create("state/ab/cd/sv-1");
    co_await writer->write("first ");
    co_await writer->write("");
    co_await writer->write("second");
    EXPECT_EQ(co_await store.size("state/ab/cd/sv-1"), std::nullopt);
    EXPECT_EQ(co_await failure(store.open("state/ab/cd/sv-1")), Code::not_found);
    co_await writer->commit();
    EXPECT_EQ(co_await store.size("state/ab/cd/sv-1"), 12u);
    EXPECT_EQ(co_await read_all(store, "state/ab/cd/sv-1"), "first second");
  });
}

TEST_P(Contract, EmptyAndLargeObjectsComeBackFromEveryOffset) {
  run([](Store& store) -> Task<> {
    co_await put(store, "empty", "");
    EXPECT_EQ(co_await store.size("empty"), 0u);
    EXPECT_EQ(co_await read_all(store, "empty"), "");
    std::string large = pattern(20 * 1024 * 1024 + 3);
    co_await put(store, "large", large);
    for (std::uint64_t offset :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{262144}, large.size() - 1, large.size()}) {
      EXPECT_TRUE(co_await read_all(store, "large", offset) == large.substr(offset)) << offset;
    }
    EXPECT_EQ(co_await failure(store.open("large", large.size() + 1)), Code::invalid);
    auto reader = co_await store.open("large", 100);
    EXPECT_EQ(reader->size(), large.size());
    EXPECT_EQ(co_await reader->read({}), 0u);
  });
}

TEST_P(Contract, NamesComePageByPageInTheirOrder) {
  run([](Store& store) -> Task<> {
    const std::vector<std::string> names{"state/00/aa/obj-2", "state/00/aa/obj-1", "state/00/ab/obj-9",
                                         "state/0f/00/obj-A", "state/0f/00/obj-a", "state/ff/ff/obj-0"};
    for (const std::string& name : names) co_await put(store, name, "x");
    for (const char* other : {"plan/00/aa/obj-1", "states/00/aa/obj-1", "stat", "log/x"})
      co_await put(store, other, "x");
    co_await store.create("state/00/aa/obj-3");  // never committed
    std::vector<std::string> wanted = names;
    std::sort(wanted.begin(), wanted.end());
    for (std::size_t page : {1u, 2u, 5u, 100u}) {
      std::vector<std::string> all, more;
      do {
        more = co_await store.list("state/", all.empty() ? "" : all.back(), page);
        EXPECT_LE(more.size(), page);
        all.insert(all.end(), more.begin(), more.end());
      } while (!more.empty());
      EXPECT_EQ(all, wanted) << page;
    }
    // A place to go on from need not be there any more.
    co_await store.remove("state/00/ab/obj-9");
    EXPECT_EQ(co_await store.list("state/", "state/00/ab/obj-9", 1),
              std::vector<std::string>{"state/0f/00/obj-A"});
    EXPECT_EQ(co_await store.list("nothing/", "", 10), std::vector<std::string>{});
    if (std::string(GetParam()) == "directory")
      EXPECT_EQ(co_await failure(store.list("../", "", 10)), Code::invalid);
  });
}

TEST_P(Contract, ATakenNameIsRefusedAndTheObjectStays) {
  run([](Store& store) -> Task<> {
    auto first = co_await store.create("plan/x");
    auto second = co_await store.create("plan/x");
    co_await first->write("first");
    co_await second->write("second");
    co_await first->commit();
    EXPECT_EQ(co_await failure(second->commit()), Code::conflict);
    second.reset();
    EXPECT_EQ(co_await read_all(store, "plan/x"), "first");
    EXPECT_EQ(co_await failure(store.append("plan/x", 5, "more")), Code::conflict);
    EXPECT_EQ(co_await read_all(store, "plan/x"), "first");
  });
}

TEST_P(Contract, AWriterThatIsDroppedLeavesNothing) {
  run([](Store& store) -> Task<> {
    {
      auto writer = co_await store.create("plan/x");
      co_await writer->write(pattern(1024 * 1024));
    }
    EXPECT_EQ(co_await store.size("plan/x"), std::nullopt);
    co_await put(store, "plan/x", "again");
    EXPECT_EQ(co_await read_all(store, "plan/x"), "again");
  });
}

TEST_P(Contract, RemovingIsIdempotentAndAnOpenReaderGoesOn) {
  run([](Store& store) -> Task<> {
    co_await put(store, "state/x", "text");
    auto reader = co_await store.open("state/x");
    co_await store.remove("state/x");
    co_await store.remove("state/x");
    co_await store.remove("never/was/there");
    EXPECT_EQ(co_await store.size("state/x"), std::nullopt);
    char buffer[10];
    EXPECT_EQ(co_await reader->read(buffer), 4u);
  });
}

TEST_P(Contract, ALogGrowsAtItsEndOnly) {
  run([](Store& store) -> Task<> {
    EXPECT_EQ(co_await store.log_size("log/a"), 0u);
    EXPECT_EQ(co_await store.append("log/a", 0, "hello "), 6u);
    EXPECT_EQ(co_await store.append("log/a", 6, "world"), 11u);
    EXPECT_EQ(co_await store.log_size("log/a"), 11u);
    EXPECT_EQ(co_await read_all(store, "log/a", 6), "world");
    // Repetition, also of a part and together with more.
    EXPECT_EQ(co_await store.append("log/a", 0, "hello "), 11u);
    EXPECT_EQ(co_await store.append("log/a", 3, "lo wor"), 11u);
    EXPECT_EQ(co_await store.append("log/a", 6, "world!"), 12u);
    EXPECT_EQ(co_await store.append("log/a", 12, ""), 12u);
    EXPECT_EQ(co_await read_all(store, "log/a"), "hello world!");
  });
}

TEST_P(Contract, AGapOrDifferentBytesAreRefusedWithThePresentSize) {
  run([](Store& store) -> Task<> {
    EXPECT_EQ(co_await position_conflict(store, "log/a", 1, "x"), 0u);
    EXPECT_EQ(co_await store.size("log/a"), std::nullopt);
    co_await store.append("log/a", 0, "hello");
    EXPECT_EQ(co_await position_conflict(store, "log/a", 6, "x"), 5u);
    EXPECT_EQ(co_await position_conflict(store, "log/a", UINT64_MAX, "x"), 5u);
    EXPECT_EQ(co_await position_conflict(store, "log/a", 0, "hellO"), 5u);
    EXPECT_EQ(co_await position_conflict(store, "log/a", 0, "hellO and more"), 5u);
    EXPECT_EQ(co_await read_all(store, "log/a"), "hello");
    EXPECT_EQ(co_await failure(store.append("log/a", 5, std::string(append_limit + 1, 'x'))),
              Code::too_large);
  });
}

TEST_P(Contract, ASealedLogIsAnObject) {
  run([](Store& store) -> Task<> {
    EXPECT_EQ(co_await failure(store.seal_log("log/a")), Code::not_found);
    co_await store.append("log/a", 0, "hello");
    co_await store.seal_log("log/a");
    co_await store.seal_log("log/a");
    EXPECT_EQ(co_await failure(store.append("log/a", 5, "!")), Code::conflict);
    EXPECT_EQ(co_await store.append("log/a", 0, "hello"), 5u) << "a repetition is answered as the first time";
    EXPECT_EQ(co_await read_all(store, "log/a"), "hello");
    auto writer = co_await store.create("log/a");
    EXPECT_EQ(co_await failure(writer->commit()), Code::conflict);
    co_await store.remove("log/a");
    EXPECT_EQ(co_await store.log_size("log/a"), 0u);
  });
}

TEST_P(Contract, AReaderOfAGrowingLogEndsWhereItWasOpened) {
  run([](Store& store) -> Task<> {
    co_await store.append("log/a", 0, "hello");
    auto reader = co_await store.open("log/a");
    co_await store.append("log/a", 5, " world");
    EXPECT_EQ(reader->size(), 5u);
    char buffer[100];
    EXPECT_EQ(co_await reader->read(buffer), 5u);
    EXPECT_EQ(co_await reader->read(buffer), 0u);
  });
}

TEST_P(Contract, BadNamesAreRefusedEverywhere) {
  run([](Store& store) -> Task<> {
    for (std::string name : {"", "/", "/etc/passwd", "a/", "a//b", "..", "../a", "a/../b", "a/./b", ".hidden",
                             "a/.b", "a b", "a\nb", "\xc3\xa4"}) {
      EXPECT_EQ(co_await failure(store.create(name)), Code::invalid) << name;
      EXPECT_EQ(co_await failure(store.open(name)), Code::invalid) << name;
      EXPECT_EQ(co_await failure(store.size(name)), Code::invalid) << name;
      EXPECT_EQ(co_await failure(store.remove(name)), Code::invalid) << name;
      EXPECT_EQ(co_await failure(store.append(name, 0, "x")), Code::invalid) << name;
      EXPECT_EQ(co_await failure(store.log_size(name)), Code::invalid) << name;
      EXPECT_EQ(co_await failure(store.seal_log(name)), Code::invalid) << name;
    }
    EXPECT_EQ(co_await failure(store.size(std::string(256, 'a'))), Code::invalid);
    EXPECT_EQ(co_await failure(store.size(std::string("a\0b", 3))), Code::invalid);
  });
}

TEST(Names, SpreadByTheIdAndStayTheSame) {
  EXPECT_EQ(object_name("state", "sv-1"), object_name("state", "sv-1"));
  EXPECT_EQ(object_name("state", "sv-abc"), "state/dd/e5/sv-abc");
  std::set<std::string> folders;
  for (int i = 0; i < 1000; ++i) folders.insert(object_name("log", "log-" + std::to_string(i)).substr(0, 6));
  EXPECT_GT(folders.size(), 200u);
  for (const char* id : {"", "..", "a/b", ".a", "a b"}) EXPECT_THROW(object_name("state", id), Error) << id;
  EXPECT_THROW(object_name("a/b", "id"), Error);
  EXPECT_THROW(object_name("", "id"), Error);
}

TEST(Names, PositionConflictTellsTheSize) {
  PositionConflict conflict("log/a", 42, "a gap in front of 50");
  EXPECT_EQ(conflict.code(), Code::conflict);
  EXPECT_EQ(conflict.size(), 42u);
  EXPECT_THAT(conflict.context(), HasSubstr("size=42"));
}

}  // namespace
}  // namespace terrane::blob
