#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "sealed/log.h"
#include "sealed/stream.h"

namespace terrane::sealed {
namespace {

// The bytes under tests/golden/sealed come from another implementation (make.py there) and never change.
std::string golden(const std::string& name) {
  auto path = std::filesystem::path(TERRANE_GOLDEN_SEALED) / name;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Secret counting_key(char first) {
  std::string bytes(32, '\0');
  for (char& byte : bytes) byte = first++;
  return Secret(bytes);
}

const std::string wrapped = "vault:v1:d3JhcHBlZA==";

class GoldenObject : public testing::TestWithParam<std::pair<const char*, std::string>> {};

TEST_P(GoldenObject, OpensAndIsMadeAgain) {
  const auto& [name, plaintext] = GetParam();
  std::string bytes = golden(name);

  auto header = parse_header(bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->wrapped, wrapped);
  EXPECT_EQ(header->identity.extra,
            (std::map<std::string, std::string>{{"lineage", "3f2a"}, {"serial", "7"}}));
  std::size_t begin = header->size();
  Opener opener(counting_key(0), std::move(*header), "sv-Golden1", "state", "ws-Golden1");
  std::string opened = opener.update(std::string_view(bytes).substr(begin));
  opened += opener.finish();
  EXPECT_EQ(opened, plaintext);

  Sealer sealer({counting_key(0), wrapped},
                {"sv-Golden1", "state", "ws-Golden1", {{"serial", "7"}, {"lineage", "3f2a"}}}, "prefix7");
  std::string made = sealer.begin();
  made += sealer.update(plaintext);
  made += sealer.finish();
  EXPECT_EQ(made, bytes);
}

std::string counting_text(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i % 251);
  return text;
}

INSTANTIATE_TEST_SUITE_P(Version1, GoldenObject,
                         testing::Values(std::pair{"object_empty.bin", std::string()},
                                         std::pair{"object_small.bin", std::string("a small state")},
                                         std::pair{"object_chunks.bin", counting_text(65537)}));

TEST(GoldenLog, OpensAndIsMadeAgain) {
  std::string bytes = golden("log.bin");
  LogIndex index;
  index.feed(bytes);
  ASSERT_EQ(index.segments().size(), 2u);
  EXPECT_EQ(index.plain_end(), 22u);
  EXPECT_EQ(index.sealed_end(), bytes.size());

  std::string text;
  const Secret keys[] = {counting_key(0), counting_key(32)};
  for (std::size_t i = 0; i < 2; ++i) {
    const LogIndex::Segment& segment = index.segments()[i];
    LogReader reader(keys[i], segment.header, "sv-Golden1", "ws-Golden1");
    std::size_t begin = static_cast<std::size_t>(segment.position) + segment.header.size();
    for (Piece& piece :
         reader.feed(std::string_view(bytes).substr(begin, static_cast<std::size_t>(segment.end) - begin))) {
      EXPECT_EQ(piece.offset, text.size());
      text += piece.text;
    }
  }
  EXPECT_EQ(text, "\x02Terraform planagain\n\x03");

  LogSealer first({keys[0], wrapped}, {"sv-Golden1", "log", "ws-Golden1", {{"attempt", "1"}}}, 0, "pre1");
  std::string made = first.begin() + first.record("\x02Terraform ");
  made += first.record("plan");
  LogSealer second({keys[1], wrapped}, {"sv-Golden1", "log", "ws-Golden1", {{"attempt", "2"}}}, first.end(),
                   "pre2");
  made += second.begin() + second.record("again\n");
  made += second.record("\x03");
  EXPECT_EQ(made, bytes);
}

}  // namespace
}  // namespace terrane::sealed
