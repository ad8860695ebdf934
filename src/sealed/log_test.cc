#include "sealed/log.h"

#include <gtest/gtest.h>
#include <random>

#include "crypto/random.h"

namespace terrane::sealed {
namespace {

struct Log {
  std::vector<Secret> keys;
  std::string bytes;
  std::string plaintext;
};

// Adds one attempt of `records` records with 1 to `largest` bytes each.
void add_segment(Log& log, std::size_t records, std::size_t largest, std::mt19937& random) {
  log.keys.push_back(crypto::random_key(32));
  Identity identity{"log-1", "", "ws-1", {{"attempt", std::to_string(log.keys.size())}}};
  LogSealer sealer({log.keys.back(), "vault:v1:abc"}, identity, log.plaintext.size());
  log.bytes += sealer.begin();
  for (std::size_t i = 0; i < records; ++i) {
    std::string text = crypto::random_bytes(1 + random() % largest);
    log.bytes += sealer.record(text);
    log.plaintext += text;
  }
  EXPECT_EQ(sealer.end(), log.plaintext.size());
}

Log make_log(std::vector<std::size_t> segments, std::size_t largest) {
  std::mt19937 random(5);  // the same sizes in every run
  Log log;
  for (std::size_t records : segments) add_segment(log, records, largest, random);
  return log;
}

// Reads as archivist does: place from the index, then segment after segment. Counts the sealed bytes it had
// to look at.
std::string read_range(const Log& log, const LogIndex& index, std::uint64_t from, std::uint64_t to,
                       std::size_t piece, std::uint64_t* looked_at) {
  std::string text;
  auto place = index.find(from);
  for (std::size_t i = place.value().segment; i < index.segments().size() && from + text.size() < to; ++i) {
    const LogIndex::Segment& segment = index.segments()[i];
    LogReader reader(log.keys[i], segment.header, "log-1", "ws-1");
    reader.want(from, to);
    std::uint64_t position = segment.position + segment.header.size();
    if (i == place->segment) {
      reader.start_at(*place);
      position = place->position;
    }
    while (position < segment.end && !reader.done()) {
      std::uint64_t size = std::min<std::uint64_t>(piece, segment.end - position);
      for (Piece& found : reader.feed(std::string_view(log.bytes).substr(position, size))) {
        EXPECT_EQ(found.offset, from + text.size());
        text += found.text;
      }
      position += size;
      *looked_at += size;
    }
  }
  return text;
}

TEST(Log, EveryRangeComesBackAcrossAttempts) {
  Log log = make_log({300, 0, 1, 200}, 2000);
  LogIndex index;
  for (std::size_t i = 0; i < log.bytes.size(); i += 777)
    index.feed(std::string_view(log.bytes).substr(i, 777));
  EXPECT_EQ(index.fed(), log.bytes.size());
  EXPECT_EQ(index.plain_end(), log.plaintext.size());
  EXPECT_EQ(index.sealed_end(), log.bytes.size());
  ASSERT_EQ(index.segments().size(), 4u);
  EXPECT_EQ(index.segments()[3].header.identity.extra.at("attempt"), "4");

  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::uint64_t from = random() % (log.plaintext.size() + 1);
    std::uint64_t length = round % 10 == 0 ? log.plaintext.size() : random() % 5000;
    std::uint64_t to = std::min<std::uint64_t>(from + length, log.plaintext.size());
    std::uint64_t looked_at = 0;
    EXPECT_TRUE(read_range(log, index, from, to, 1 + random() % 9000, &looked_at) ==
                log.plaintext.substr(from, to - from))
        << from;
    EXPECT_LE(looked_at, 2 * (to - from) + 3 * 65536) << "a range must not need the whole log";
  }
}

TEST(Log, TheIndexGrowsWithTheLogByteByByte) {
  Log log = make_log({3, 2}, 20);
  LogIndex index;
  EXPECT_EQ(index.find(0), std::nullopt);
  std::uint64_t last = 0;
  for (char c : log.bytes) {
    index.feed(std::string_view(&c, 1));
    EXPECT_GE(index.plain_end(), last);
    last = index.plain_end();
    EXPECT_LE(index.sealed_end(), index.fed());
  }
  EXPECT_EQ(last, log.plaintext.size());
  // A torn tail counts for nothing.
  LogIndex torn;
  torn.feed(std::string_view(log.bytes).substr(0, log.bytes.size() - 1));
  EXPECT_LT(torn.plain_end(), log.plaintext.size());
  EXPECT_LT(torn.sealed_end(), torn.fed());
}

TEST(Log, ManyRecordsNeedFewPlaces) {
  Log log = make_log({3000}, 400);
  LogIndex index;
  index.feed(log.bytes);
  std::set<std::uint64_t> places;
  for (std::uint64_t offset = 0; offset <= log.plaintext.size(); offset += 100)
    places.insert(index.find(offset)->position);
  EXPECT_GE(places.size(), 5u);
  EXPECT_LE(places.size(), log.bytes.size() / 65536 + 2);
}

std::string open_all(const Secret& key, std::string_view bytes) {
  auto header = parse_header(bytes);
  if (!header) throw Damaged({}, "cut header");
  bytes.remove_prefix(header->size());
  LogReader reader(key, std::move(*header), "log-1", "ws-1");
  std::string text;
  for (Piece& piece : reader.feed(bytes)) text += piece.text;
  return text;
}

TEST(Log, RefusesEveryChangedByte) {
  Log log = make_log({2}, 20);
  for (std::size_t i = 0; i < log.bytes.size(); ++i) {
    for (int bit : {0, 6}) {
      std::string changed = log.bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      // A changed length may only ask for more bytes than there are; what comes out is then a true beginning.
      try {
        std::string text = open_all(log.keys[0], changed);
        EXPECT_LT(text.size(), log.plaintext.size()) << i;
        EXPECT_TRUE(log.plaintext.starts_with(text)) << i;
      } catch (const Damaged&) {
      }
    }
  }
  EXPECT_EQ(open_all(log.keys[0], log.bytes), log.plaintext);
}

TEST(Log, RefusesReorderedRepeatedForeignAndMissingRecords) {
  Secret key = crypto::random_key(32);
  Identity identity{"log-1", "log", "ws-1", {}};
  LogSealer sealer({key, "w"}, identity, 100);
  std::string head = sealer.begin();
  std::string first = sealer.record("same size 1");
  std::string second = sealer.record("same size 2");
  LogSealer sibling({key, "w"}, identity, 100);
  std::string foreign = sibling.record("same size 1");
  EXPECT_EQ(open_all(key, head + first + second), "same size 1same size 2");
  for (const std::string& body : {second + first, first + first, second, foreign + second}) {
    EXPECT_THROW(open_all(key, head + body), Damaged);
  }
  // The offset in a record's head is bound too.
  std::string moved = second;
  moved.replace(4, 8, first, 4, 8);
  EXPECT_THROW(open_all(key, head + moved), Damaged);
  EXPECT_THROW(open_all(crypto::random_key(32), head + first), Damaged);
  EXPECT_THROW(open_all(Secret("short"), head + first), Damaged);

  LogIndex index;
  EXPECT_THROW(index.feed(head + second), Damaged);
  EXPECT_THROW(LogReader(key, *parse_header(head), "log-2", "ws-1"), Damaged);
  EXPECT_THROW(LogReader(key, *parse_header(head), "log-1", "ws-2"), Damaged);
}

TEST(Log, TheIndexRefusesWhatIsNoLog) {
  auto feed = [](const std::string& bytes) {
    LogIndex index;
    index.feed(bytes);
  };
  EXPECT_THROW(feed(std::string(20, 'x')), Damaged);
  EXPECT_THROW(feed("TRNB\1\x7f\xff\xff\xff" + std::string(20, ' ')), Damaged);
  EXPECT_THROW(feed(std::string("TRNB\1\0\0\0\2{}   ", 14)), Damaged);
  EXPECT_THROW(feed(make_header({"sv-1", "state", "ws-1", {}}, "w", "1234567").bytes), Damaged);
  EXPECT_THROW(feed(make_header({"log-1", "log", "ws-1", {{"base", "-1"}}}, "w", "1234").bytes), Damaged);
  EXPECT_THROW(feed(make_header({"log-1", "log", "ws-1", {{"base", "many"}}}, "w", "1234").bytes), Damaged);
  std::string head = make_header({"log-1", "log", "ws-1", {{"base", "0"}}}, "w", "1234").bytes;
  EXPECT_NO_THROW(feed(head));
  EXPECT_THROW(feed(head + std::string(12, '\xff')), Damaged);
  EXPECT_THROW(feed(head + std::string(12, '\0')), Damaged);
  // A segment that leaves a gap.
  EXPECT_THROW(feed(head + make_header({"log-1", "log", "ws-1", {{"base", "1"}}}, "w", "1234").bytes),
               Damaged);
}

TEST(Log, TakesRecordsOfEverySizeAndRefusesOthers) {
  Secret key = crypto::random_key(32);
  LogSealer sealer({key, "w"}, {"log-1", "log", "ws-1", {}}, 0);
  std::string largest(record_limit, 'x');
  std::string bytes = sealer.begin() + sealer.record(largest);
  bytes += sealer.record("y");
  EXPECT_EQ(open_all(key, bytes), largest + "y");
  EXPECT_THROW(sealer.record(""), Error);
  EXPECT_THROW(sealer.record(largest + "x"), Error);
}

}  // namespace
}  // namespace terrane::sealed
