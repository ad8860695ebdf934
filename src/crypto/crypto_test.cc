#include <gtest/gtest.h>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/password.h"
#include "crypto/random.h"

namespace terrane::crypto {
namespace {

std::string raw(std::string_view digits) { return from_hex(digits).value(); }

struct GcmVector {
  const char *key, *nonce, *plaintext, *associated, *sealed;
};

// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13, 14 and 16; NIST took them over.
const GcmVector gcm_vectors[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "00000000000000000000000000000000", "",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf"
     "5aa0de657ba637b39",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6"
     "393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

TEST(Aead, FollowsTheNistVectors) {
  for (const GcmVector& v : gcm_vectors) {
    Secret key(raw(v.key));
    EXPECT_EQ(hex(seal(key, raw(v.nonce), raw(v.plaintext), raw(v.associated))), v.sealed);
    EXPECT_EQ(open(key, raw(v.nonce), raw(v.sealed), raw(v.associated)), raw(v.plaintext));
  }
}

TEST(Aead, RefusesEveryFlippedBit) {
  const GcmVector& v = gcm_vectors[2];
  Secret key(raw(v.key));
  std::string parts[] = {raw(v.nonce), raw(v.sealed), raw(v.associated)};
  for (std::string& part : parts) {
    for (std::size_t bit = 0; bit < part.size() * 8; ++bit) {
      part[bit / 8] = static_cast<char>(part[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_EQ(open(key, parts[0], parts[1], parts[2]), std::nullopt);
      part[bit / 8] = static_cast<char>(part[bit / 8] ^ (1 << (bit % 8)));
    }
  }
  EXPECT_TRUE(open(key, parts[0], parts[1], parts[2]));
  EXPECT_FALSE(open(random_key(key_size), parts[0], parts[1], parts[2]));
  EXPECT_FALSE(open(key, parts[0], parts[1].substr(0, parts[1].size() - 1), parts[2]));
  EXPECT_FALSE(open(key, parts[0], std::string(15, 'x'), parts[2]));
}

TEST(Aead, RefusesMisuse) {
  std::string nonce(nonce_size, 'n');
  EXPECT_THROW(seal(Secret("short"), nonce, "text", ""), Error);
  EXPECT_THROW(seal(random_key(16), nonce, "text", ""), Error);
  EXPECT_THROW(seal(random_key(key_size), "short", "text", ""), Error);
  EXPECT_THROW(open(random_key(key_size), nonce + "x", std::string(32, 'x'), ""), Error);
}

TEST(Aead, RandomNoncesDiffer) {
  Secret key = random_key(key_size);
  std::string first = seal_random(key, "text", "bound");
  EXPECT_NE(first, seal_random(key, "text", "bound"));
  EXPECT_EQ(open_random(key, first, "bound"), "text");
  EXPECT_FALSE(open_random(key, first, "other"));
  EXPECT_FALSE(open_random(key, first.substr(0, nonce_size + tag_size - 1), "bound"));
  EXPECT_FALSE(open_random(key, "", "bound"));
}

TEST(Hash, FollowsTheRfcVectors) {
  EXPECT_EQ(hex(hash(HashKind::md5, "")), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(hex(hash(HashKind::md5, "message digest")), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(hex(hash(HashKind::sha256, "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(hash(HashKind::sha512, "abc")),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(Hash, TakesPieces) {
  Hasher hasher(HashKind::sha256);
  for (char c : std::string("abc")) hasher.update(std::string_view(&c, 1));
  Hasher moved = std::move(hasher);
  EXPECT_EQ(moved.finish(), hash(HashKind::sha256, "abc"));
  EXPECT_THROW(moved.update("more"), Error);
  EXPECT_THROW(moved.finish(), Error);
}

TEST(Hash, HmacFollowsRfc4231) {
  EXPECT_EQ(hex(hmac_sha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(hmac_sha512(std::string(20, '\x0b'), "Hi There")),
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
            "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854");
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha256("", "")), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Hash, DeriveFollowsRfc5869) {
  // Test case 3: no salt, no info.
  EXPECT_EQ(hex(derive(Secret(std::string(22, '\x0b')), "", 42).reveal()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  // The RFC's definition, written out for an info.
  std::string extracted = hmac_sha256(std::string(32, '\0'), "secret");
  EXPECT_EQ(derive(Secret("secret"), "tokens", 32).reveal(), hmac_sha256(extracted, "tokens\x01"));
  EXPECT_THROW(derive(Secret(), "tokens", 32), Error);
  EXPECT_THROW(derive(Secret("secret"), "tokens", 0), Error);
  EXPECT_THROW(derive(Secret("secret"), "tokens", 255 * 32 + 1), Error);
}

TEST(Hash, EqualComparesAllBytes) {
  EXPECT_TRUE(equal("", ""));
  EXPECT_TRUE(equal("same", "same"));
  EXPECT_FALSE(equal("same", "samf"));
  EXPECT_FALSE(equal("same", "same "));
  EXPECT_FALSE(equal("", "x"));
}

TEST(Password, OpensTheReferenceVector) {
  // From the test program of the Argon2 reference implementation, version 19.
  constexpr std::string_view known =
      "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
  EXPECT_TRUE(verify_password(Secret("password"), known));
  EXPECT_FALSE(verify_password(Secret("passwore"), known));
}

TEST(Password, HashesWithASaltAndTheStatedCost) {
  std::string first = hash_password(Secret("correct horse"));
  EXPECT_TRUE(first.starts_with("$argon2id$v=19$m=65536,t=3,p=1$")) << first;
  EXPECT_NE(first, hash_password(Secret("correct horse")));
  EXPECT_TRUE(verify_password(Secret("correct horse"), first));
  EXPECT_FALSE(verify_password(Secret(""), first));
}

TEST(Password, RefusesWhatIsNoHashAndHashesThatAskForTooMuch) {
  for (const char* text :
       {"", "$", "password", "$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHQ$",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFh",
        "$argon2id$v=19$m=4294967295,t=3,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=4000000000,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"}) {
    EXPECT_FALSE(verify_password(Secret("password"), text)) << text;
  }
}

TEST(Password, DerivesKeys) {
  Secret key = key_from_password(Secret("password"), "0123456789abcdef");
  // As another implementation computes it; vault key material wrapped by it must open for ever.
  EXPECT_EQ(hex(key.reveal()), "daf16780dcb73e862146297fa17b81b86b480f33c0b67daef0f2c7c809c5797b");
  EXPECT_EQ(key_from_password(Secret("password"), "0123456789abcdef").reveal(), key.reveal());
  EXPECT_NE(key_from_password(Secret("password"), "0123456789abcdeg").reveal(), key.reveal());
  EXPECT_NE(key_from_password(Secret("passwort"), "0123456789abcdef").reveal(), key.reveal());
  EXPECT_THROW(key_from_password(Secret("password"), "short"), Error);
}

TEST(Random, HasTheSizeTheAlphabetAndNoRepetition) {
  EXPECT_EQ(random_bytes(0), "");
  EXPECT_EQ(random_bytes(100000).size(), 100000u);
  EXPECT_EQ(random_key(32).reveal().size(), 32u);
  std::set<std::string> seen;
  std::set<char> letters;
  for (int i = 0; i < 200; ++i) {
    std::string text = random_text(43);
    EXPECT_EQ(text.size(), 43u);
    letters.insert(text.begin(), text.end());
    EXPECT_TRUE(seen.insert(text).second);
    EXPECT_TRUE(seen.insert(random_uuid()).second);
  }
  EXPECT_EQ(letters.size(), 62u);
  std::string uuid = random_uuid();
  ASSERT_EQ(uuid.size(), 36u);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos) << uuid;
}

}  // namespace
}  // namespace terrane::crypto
