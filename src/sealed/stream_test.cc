#include "sealed/stream.h"

#include <gtest/gtest.h>
#include <random>

#include "crypto/random.h"

namespace terrane::sealed {
namespace {

const Identity state_identity{"sv-1", "state", "ws-1", {{"serial", "7"}}};

struct Sealed {
  Secret key;
  std::string bytes;
};

Sealed seal_in_pieces(std::string_view plaintext, std::size_t piece, Identity identity = state_identity) {
  Secret key = crypto::random_key(32);
  Sealer sealer({key, "vault:v1:abc"}, std::move(identity));
  std::string bytes = sealer.begin();
  for (; plaintext.size() > piece; plaintext.remove_prefix(piece))
    bytes += sealer.update(plaintext.substr(0, piece));
  bytes += sealer.update(plaintext);
  bytes += sealer.finish();
  return {key, bytes};
}

std::string open_in_pieces(const Secret& key, std::string_view bytes, std::size_t piece) {
  auto header = parse_header(bytes);
  if (!header) throw Damaged({}, "cut header");
  bytes.remove_prefix(header->size());
  Opener opener(key, std::move(*header), "sv-1", "state", "ws-1");
  std::string plaintext;
  for (; bytes.size() > piece; bytes.remove_prefix(piece)) plaintext += opener.update(bytes.substr(0, piece));
  plaintext += opener.update(bytes);
  plaintext += opener.finish();
  return plaintext;
}

std::string random_text(std::size_t size) { return crypto::random_bytes(size); }

constexpr std::size_t whole = SIZE_MAX;

TEST(Stream, BringsBackWhatWasSealed) {
  std::mt19937 random(7);  // the same pieces in every run
  for (std::size_t size :
       {0ul, 1ul, 65535ul, 65536ul, 65537ul, 131071ul, 131072ul, 131073ul, 3'000'001ul, 5'242'880ul}) {
    std::string plaintext = random_text(size);
    for (std::size_t piece : {whole, std::size_t{1} + random() % 200'000, sealed_chunk_size, chunk_size}) {
      Sealed sealed = seal_in_pieces(plaintext, piece);
      std::size_t header = parse_header(sealed.bytes)->size();
      EXPECT_EQ(sealed_size(size, header), sealed.bytes.size());
      EXPECT_EQ(plain_size(sealed.bytes.size(), header), size);
      EXPECT_TRUE(open_in_pieces(sealed.key, sealed.bytes, 1 + random() % 200'000) == plaintext)
          << size << " in " << piece;
      EXPECT_TRUE(open_in_pieces(sealed.key, sealed.bytes, sealed_chunk_size) == plaintext) << size;
    }
  }
}

TEST(Stream, ManyBytesOneByOne) {
  std::string plaintext = random_text(chunk_size + 100);
  Sealed sealed = seal_in_pieces(plaintext, 1);
  EXPECT_TRUE(open_in_pieces(sealed.key, sealed.bytes, 1) == plaintext);
}

TEST(Stream, RefusesEveryChangedByteOfHeaderAndBody) {
  for (std::string plaintext : {"", "a small state"}) {
    Sealed sealed = seal_in_pieces(plaintext, whole);
    for (std::size_t i = 0; i < sealed.bytes.size(); ++i) {
      for (int bit : {0, 5, 7}) {
        std::string changed = sealed.bytes;
        changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
        EXPECT_THROW(open_in_pieces(sealed.key, changed, whole), Damaged) << "byte " << i << " bit " << bit;
      }
    }
    EXPECT_EQ(open_in_pieces(sealed.key, sealed.bytes, whole), plaintext);
  }
}

TEST(Stream, RefusesEveryTruncationOfASmallObject) {
  Sealed sealed = seal_in_pieces("a small state", whole);
  for (std::size_t size = 0; size < sealed.bytes.size(); ++size) {
    EXPECT_THROW(open_in_pieces(sealed.key, sealed.bytes.substr(0, size), whole), Damaged) << size;
  }
}

class Chunks : public testing::Test {
 protected:
  Chunks()
      : sealed_(seal_in_pieces(random_text(4 * chunk_size), whole)),
        header_(parse_header(sealed_.bytes)->size()) {}
  std::string chunk(std::size_t number) const {
    return sealed_.bytes.substr(header_ + number * sealed_chunk_size, sealed_chunk_size);
  }
  std::string header() const { return sealed_.bytes.substr(0, header_); }
  void expect_damaged(const std::string& bytes) const {
    EXPECT_THROW(open_in_pieces(sealed_.key, bytes, 100'000), Damaged);
  }

  Sealed sealed_;
  std::size_t header_;
};

TEST_F(Chunks, RefusesTruncationAtAndAroundEachBorder) {
  for (std::size_t number = 0; number < 4; ++number) {
    std::size_t border = header_ + number * sealed_chunk_size;
    for (std::size_t size : {border - 1, border, border + 1, border + 16})
      expect_damaged(sealed_.bytes.substr(0, size));
  }
}

TEST_F(Chunks, RefusesReorderedRepeatedMissingAndAddedChunks) {
  expect_damaged(header() + chunk(1) + chunk(0) + chunk(2) + chunk(3));
  expect_damaged(header() + chunk(0) + chunk(1) + chunk(3) + chunk(2));
  expect_damaged(header() + chunk(0) + chunk(1) + chunk(1) + chunk(3));
  expect_damaged(header() + chunk(1) + chunk(2) + chunk(3));
  expect_damaged(header() + chunk(0) + chunk(3));
  expect_damaged(header() + chunk(3));
  expect_damaged(sealed_.bytes + chunk(3));
  expect_damaged(sealed_.bytes + "x");
  expect_damaged(sealed_.bytes + std::string(16, '\0'));
}

TEST_F(Chunks, RefusesTheHeaderOrBodyOfAnother) {
  Sealer other({sealed_.key, "vault:v1:abc"}, state_identity);
  expect_damaged(other.begin() + chunk(0) + chunk(1) + chunk(2) + chunk(3));
  expect_damaged(sealed_.bytes + sealed_.bytes);
  expect_damaged(sealed_.bytes + other.begin() + other.finish());
  EXPECT_THROW(open_in_pieces(crypto::random_key(32), sealed_.bytes, whole), Damaged);
  EXPECT_THROW(open_in_pieces(Secret("short"), sealed_.bytes, whole), Damaged);
}

TEST_F(Chunks, OpensForTheAskedIdentityOnly) {
  auto try_as = [this](const char* object, const char* kind, const char* workspace) {
    Opener(sealed_.key, *parse_header(sealed_.bytes), object, kind, workspace);
  };
  EXPECT_NO_THROW(try_as("sv-1", "state", "ws-1"));
  EXPECT_THROW(try_as("sv-2", "state", "ws-1"), Damaged);
  EXPECT_THROW(try_as("sv-1", "plan", "ws-1"), Damaged);
  EXPECT_THROW(try_as("sv-1", "state", "ws-2"), Damaged);
  try {
    try_as("sv-2", "state", "ws-1");
    FAIL();
  } catch (const Damaged& error) {
    EXPECT_EQ(error.code(), Code::internal);
    EXPECT_NE(error.context().find("sv-1"), std::string::npos) << error.context();
    EXPECT_EQ(error.detail().find("sv-1"), std::string::npos);
  }
}

TEST(Stream, OpensAnyRangeFromItsChunksAlone) {
  std::mt19937_64 random(11);  // the same ranges in every run
  for (std::size_t size : {std::size_t{0}, std::size_t{10}, chunk_size, 3 * chunk_size, 3 * chunk_size + 5}) {
    std::string plaintext = random_text(size);
    Sealed sealed = seal_in_pieces(plaintext, whole);
    Header header = *parse_header(sealed.bytes);
    for (int round = 0; round < 60; ++round) {
      std::uint64_t offset =
          round % 3 == 0 ? std::min(size, chunk_size * (random() % 4)) : random() % (size + 1);
      std::uint64_t length = round % 2 == 0 ? random() % 50 : random() % (2 * size + 1);
      Range range = locate(size, header.size(), offset, length);
      ASSERT_LE(range.sealed_end, sealed.bytes.size());
      EXPECT_LE(range.sealed_end - range.sealed_begin, (range.length / chunk_size + 2) * sealed_chunk_size);
      Opener opener(sealed.key, header, "sv-1", "state", "ws-1");
      opener.at_chunk(range.first_chunk, range.to_the_end);
      std::string_view part =
          std::string_view(sealed.bytes).substr(range.sealed_begin, range.sealed_end - range.sealed_begin);
      std::string opened = opener.update(part);
      opened += opener.finish();
      EXPECT_TRUE(opened.substr(range.skip, range.length) == plaintext.substr(offset, length))
          << size << " " << offset << " " << length;
    }
    EXPECT_THROW(locate(size, header.size(), size + 1, 1), Error);
  }
}

TEST(Stream, RefusesARangeOfAnotherPlace) {
  Sealed sealed = seal_in_pieces(random_text(3 * chunk_size), whole);
  Header header = *parse_header(sealed.bytes);
  auto open_as = [&](std::uint32_t number, bool to_the_end) {
    Opener opener(sealed.key, header, "sv-1", "state", "ws-1");
    opener.at_chunk(number, to_the_end);
    opener.update(
        std::string_view(sealed.bytes).substr(header.size() + sealed_chunk_size, sealed_chunk_size));
    return opener.finish();
  };
  EXPECT_EQ(open_as(1, false).size(), chunk_size);
  EXPECT_THROW(open_as(1, true), Damaged);
  EXPECT_THROW(open_as(0, false), Damaged);
  EXPECT_THROW(open_as(2, true), Damaged);
}

TEST(Stream, KnowsImpossibleSizes) {
  for (std::uint64_t total : {std::uint64_t{0}, std::uint64_t{99}, std::uint64_t{115},
                              100 + sealed_chunk_size + 1, 100 + sealed_chunk_size + 16}) {
    EXPECT_EQ(plain_size(total, 100), std::nullopt) << total;
  }
  EXPECT_EQ(plain_size(116, 100), 0u);
  EXPECT_EQ(plain_size(100 + sealed_chunk_size + 17, 100), chunk_size + 1);
}

TEST(Stream, RefusesMisuse) {
  Sealer sealer({crypto::random_key(32), "w"}, state_identity);
  sealer.finish();
  EXPECT_THROW(sealer.finish(), Error);
  EXPECT_THROW(sealer.update("x"), Error);
  EXPECT_THROW(Sealer({crypto::random_key(32), "w"}, state_identity, "short"), Error);
}

TEST(Header, IsReadAsSoonAsItIsWhole) {
  Header made = make_header({"cv-1", "configuration", "ws-1", {{"a", "\"quoted\"\n"}}}, "vault:v1:x",
                            std::string("\0\1\2\3\4\5\6", 7));
  for (std::size_t size = 0; size < made.size(); ++size)
    EXPECT_EQ(parse_header(made.bytes.substr(0, size)), std::nullopt);
  for (std::string rest : {"", "what follows"}) {
    Header read = parse_header(made.bytes + rest).value();
    EXPECT_EQ(read.bytes, made.bytes);
    EXPECT_EQ(read.prefix, made.prefix);
    EXPECT_EQ(read.wrapped, "vault:v1:x");
    EXPECT_EQ(read.identity.object, "cv-1");
    EXPECT_EQ(read.identity.extra, made.identity.extra);
  }
}

TEST(Header, RefusesWhatIsNone) {
  auto with_json = [](std::string text) {
    return std::string("TRNB\1\0\0\0", 8) + static_cast<char>(text.size()) + text;
  };
  EXPECT_THROW(parse_header("X"), Damaged);
  EXPECT_THROW(parse_header("TRNC"), Damaged);
  EXPECT_THROW(parse_header(std::string("TRNB\2\0\0\0\2{}", 11)), Damaged);
  EXPECT_THROW(parse_header("TRNB\1\x7f\xff\xff\xff"), Damaged);
  for (const char* text :
       {"", "{", "[]", "{}", "7", R"({"object":1})", R"({"object":"a","kind":"b","workspace":"c","key":"d"})",
        R"({"object":"a","kind":"b","workspace":"c","key":"d","prefix":"!"})",
        R"({"object":"a","kind":"b","workspace":"c","key":"d","prefix":"","extra":{"a":1}})"}) {
    EXPECT_THROW(parse_header(with_json(text)), Damaged) << text;
  }
  EXPECT_THROW(make_header({"sv-1", "state", "ws-1", {{"a", std::string(header_limit, 'x')}}}, "w", "p"),
               Error);
  EXPECT_THROW(make_header({"sv-\xff", "state", "ws-1", {}}, "w", "p"), Error);
}

}  // namespace
}  // namespace terrane::sealed
