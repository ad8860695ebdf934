#include "transit/keyring.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/random.h"
#include "transit/ciphertext.h"

namespace terrane::transit {
namespace {

KeyVersion fresh() { return {crypto::random_key(32), 1}; }

TransitKey key_with(std::vector<int> versions, int latest) {
  TransitKey key = make_transit_key("k");
  key.versions.clear();
  for (int version : versions) key.versions[version] = fresh();
  key.latest = latest;
  return key;
}

TEST(Keyring, SurvivesItsTextForm) {
  KeyringCopy copy;
  copy.keyring = make_keyring();
  copy.transit["k"] = key_with({1, 2}, 1);
  copy.transit["k"].deletion_allowed = true;
  copy.transit["k"].min_encryption_version = 1;
  KeyringCopy again = parse_copy(to_text(copy));
  EXPECT_TRUE(contains(again, copy));
  EXPECT_TRUE(contains(copy, again));
  EXPECT_EQ(again.keyring.cluster_id, copy.keyring.cluster_id);
  EXPECT_EQ(again.keyring.token_key.reveal(), copy.keyring.token_key.reveal());
  EXPECT_EQ(again.transit["k"].latest, 1);
  EXPECT_TRUE(again.transit["k"].deletion_allowed);
  EXPECT_EQ(again.transit["k"].min_encryption_version, 1);
}

TEST(Keyring, DamagedTextIsInternalAndNamesNoKey) {
  std::string text = to_text(make_keyring()).reveal();
  for (std::size_t size = 0; size < text.size(); size += 7) {
    try {
      parse_keyring(Secret(text.substr(0, size)));
      FAIL() << "accepted " << size << " bytes";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::internal);
    }
  }
  EXPECT_THROW(
      parse_transit_key(Secret(std::string(
          R"({"id":"a","name":"k","latest":2,"min_decryption_version":1,"min_encryption_version":0})"))),
      Error);
}

TEST(Merge, AddsWhatIsMissingAndPutsItInUse) {
  TransitKey stored = key_with({1, 2}, 2);
  TransitKey copy = stored;
  copy.versions[3] = fresh();
  copy.versions[4] = fresh();
  Merged merged = merge(stored, copy);
  EXPECT_TRUE(merged.changed);
  EXPECT_TRUE(merged.conflicts.empty());
  EXPECT_EQ(stored.latest, 4);
  EXPECT_EQ(stored.versions.size(), 4u);
  EXPECT_EQ(stored.versions[3].key.reveal(), copy.versions[3].key.reveal());
}

TEST(Merge, NeverReplacesNewerByOlder) {
  TransitKey stored = key_with({1, 2, 3}, 3);
  TransitKey copy = stored;
  copy.versions.erase(3);
  copy.latest = 2;
  EXPECT_FALSE(merge(stored, copy).changed);
  EXPECT_EQ(stored.latest, 3);
  EXPECT_EQ(stored.versions.size(), 3u);
}

TEST(Merge, KeepsTheStoredKeyOfAConflictAndSaysSo) {
  TransitKey stored = key_with({1, 2}, 2);
  TransitKey copy = stored;
  copy.versions[2] = fresh();
  std::string before = stored.versions[2].key.reveal();
  Merged merged = merge(stored, copy);
  EXPECT_FALSE(merged.changed);
  EXPECT_EQ(merged.conflicts, std::vector<std::string>{"transit key 'k' version 2"});
  EXPECT_EQ(stored.versions[2].key.reveal(), before);
}

TEST(Merge, LeavesOtherIncarnationsAndDeletedKeysAlone) {
  TransitKey stored = key_with({1}, 1);
  TransitKey other = key_with({1, 2}, 2);
  EXPECT_FALSE(merge(stored, other).changed);
  TransitKey same = stored;
  same.versions[2] = fresh();
  stored.deleted = true;
  EXPECT_FALSE(merge(stored, same).changed);
  Keyring ring = make_keyring();
  Keyring foreign = make_keyring();
  foreign.terms[2] = fresh();
  EXPECT_FALSE(merge(ring, foreign).changed);
}

TEST(Merge, ActivatesAVersionThatWasCopiedButNotYetInUse) {
  TransitKey stored = key_with({1, 2}, 1);
  TransitKey copy = stored;
  EXPECT_TRUE(merge(stored, copy).changed);
  EXPECT_EQ(stored.latest, 2);
}

TEST(Ciphertext, OpensOnlyAsItWasSealed) {
  TransitKey key = key_with({1, 2}, 2);
  std::string text = encrypt(key, 2, "hello", "row");
  ASSERT_TRUE(text.starts_with("vault:v2:"));
  EXPECT_EQ(decrypt(key, parse_ciphertext(text), "row").reveal(), "hello");
  EXPECT_THROW(decrypt(key, parse_ciphertext(text), "other"), Error);
  std::string relabelled = "vault:v1:" + text.substr(9);
  EXPECT_THROW(decrypt(key, parse_ciphertext(relabelled), "row"), Error);
  key.min_decryption_version = 3;
  EXPECT_THROW(decrypt(key, parse_ciphertext(text), "row"), Error);
}

TEST(Ciphertext, BrokenTextsAreNamed) {
  auto refusal = [](std::string_view text) -> std::string {
    try {
      parse_ciphertext(text);
    } catch (const Error& error) {
      return error.detail();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal(""), "invalid ciphertext: no prefix");
  EXPECT_EQ(refusal("vault:v1"), "invalid ciphertext: wrong number of fields");
  EXPECT_EQ(refusal("vault:vx:AAAA"), "invalid ciphertext: version number could not be decoded");
  EXPECT_EQ(refusal("vault:v-1:AAAA"), "invalid ciphertext: version number could not be decoded");
  EXPECT_EQ(refusal("vault:v99999999999:AAAA"), "invalid ciphertext: version number could not be decoded");
  EXPECT_EQ(refusal("vault:v1:***"), "invalid ciphertext: could not decode base64");
  EXPECT_EQ(refusal("vault:v1:AAAA"), "invalid ciphertext length");
}

}  // namespace
}  // namespace terrane::transit
