#include "installation/epoch.h"

#include <gtest/gtest.h>

#include "testing/child.h"
#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::installation {
namespace {

TEST(Epoch, HistoryIsJudgedByClusterTimelineLogAndEpoch) {
  const Position before{"7001", 1, 5000, 2};
  EXPECT_EQ(compare(before, {"7001", 1, 5000, 2}), History::goes_on);
  EXPECT_EQ(compare(before, {"7001", 1, 9000, 3}), History::goes_on);
  EXPECT_EQ(compare(before, {"7002", 1, 9000, 2}), History::another_cluster);
  EXPECT_EQ(compare(before, {"7001", 2, 9000, 2}), History::another_timeline);
  EXPECT_EQ(compare(before, {"7001", 1, 4999, 2}), History::went_back);
  EXPECT_EQ(compare(before, {"7001", 1, 9000, 1}), History::went_back);
}

TEST(Epoch, AnOlderCopyIsKnownByItsPulseHoweverMuchLogItHasWritten) {
  testing::TestDatabase base(testing::TestDatabase::Content::migrated);
  testing::run_task([&](net::Executor executor) -> Task<> {
    postgres::Database database(executor, base.options(2));
    base.run(
        "INSERT INTO terrane.installation (id, mode, hostname, system_identifier, timeline) VALUES ('i', "
        "'demo', 'h', '1', 1)");
    Position copy = co_await advance(database);
    Position witness = co_await advance(database);
    EXPECT_EQ(witness.pulse, copy.pulse + 1);
    EXPECT_EQ(compare(copy, witness), History::goes_on);
    copy.wal = witness.wal + 1'000'000;
    EXPECT_EQ(compare(witness, copy), History::went_back);
  });
}

TEST(Epoch, TheWitnessSurvivesItsFile) {
  testing::TestDirectory directory("epoch", "root");
  std::filesystem::path file = directory.path() / "witness.json";
  EXPECT_FALSE(read_witness(file));
  write_witness(file, {"7001", 3, 123456789012, 4, 55});
  std::optional<Position> read = read_witness(file);
  ASSERT_TRUE(read);
  EXPECT_EQ(compare(*read, {"7001", 3, 123456789012, 4, 55}), History::goes_on);
  EXPECT_EQ(read->epoch, 4);
  EXPECT_EQ(read->pulse, 55);
}

TEST(Epoch, TheNextEpochIsAboveEveryOneThatWasSeen) {
  testing::TestDatabase base(testing::TestDatabase::Content::migrated);
  testing::run_task([&](net::Executor executor) -> Task<> {
    postgres::Database database(executor, base.options(2));
    base.run(
        "INSERT INTO terrane.installation (id, mode, hostname, system_identifier, timeline) VALUES ('i', "
        "'demo', 'h', '1', 1)");
    Position now = co_await position(database);
    EXPECT_EQ(now.epoch, 1);
    EXPECT_GT(now.wal, 0);
    Position before = now;
    before.epoch = 7;
    before.wal = now.wal + 1;
    EXPECT_EQ(compare(before, now), History::went_back);
    postgres::Tx tx = co_await database.begin();
    std::int64_t number = co_await raise_epoch(tx, before, now, History::went_back);
    co_await tx.commit();
    EXPECT_EQ(number, 8);
    Position after = co_await position(database);
    EXPECT_EQ(after.epoch, 8);
    postgres::Tx look = co_await database.begin();
    std::optional<Raised> raised = co_await newest_epoch(look);
    EXPECT_TRUE(raised && raised->number == 8 && !raised->went_back_to);
  });
}

}  // namespace
}  // namespace terrane::installation
