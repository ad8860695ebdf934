#pragma once
// What every Vault must do, whoever stands behind it. For tests only.
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "crypto/random.h"
#include "vault_client/vault.h"

namespace terrane::vault_client::contract {

/// Runs `task` to its end and expects an Error with `code`.
template <class T>
Task<> expect_error(Task<T> task, Code code, const char* what) {
  bool thrown = false;
  try {
    static_cast<void>(co_await std::move(task));
  } catch (const Error& error) {
    thrown = true;
    EXPECT_EQ(name(error.code()), name(code)) << what << ": " << error.what();
  }
  EXPECT_TRUE(thrown) << what << " was accepted";
}

inline Task<> check_single(Vault& vault, std::string key) {
  std::string bytes("line\nzero\0high\xff", 15);
  std::string ciphertext = co_await vault.encrypt(key, Secret(bytes), "run-1");
  EXPECT_TRUE(ciphertext.starts_with("vault:v1:")) << ciphertext;
  EXPECT_EQ(ciphertext.find("zero"), std::string::npos);
  Secret plaintext = co_await vault.decrypt(key, ciphertext, "run-1");
  EXPECT_EQ(plaintext.reveal(), bytes);
  std::string again = co_await vault.encrypt(key, Secret(bytes), "run-1");
  EXPECT_NE(again, ciphertext) << "the same value must not give the same ciphertext";
  Secret nothing = co_await vault.decrypt(key, co_await vault.encrypt(key, Secret(std::string())));
  EXPECT_EQ(nothing.reveal(), "");
}

inline Task<> check_refusals(Vault& vault, std::string key) {
  std::string ciphertext = co_await vault.encrypt(key, Secret(std::string("value")), "run-1");
  co_await expect_error(vault.decrypt(key, ciphertext, "run-2"), Code::internal, "foreign associated data");
  co_await expect_error(vault.decrypt(key, ciphertext), Code::internal, "missing associated data");
  std::string damaged = ciphertext;
  char& last = damaged[damaged.size() - 6];
  last = last == 'A' ? 'B' : 'A';
  co_await expect_error(vault.decrypt(key, damaged, "run-1"), Code::internal, "a changed byte");
  co_await expect_error(vault.decrypt(key, "vault:v99:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "run-1"),
                        Code::internal, "a version that is not there");
  co_await expect_error(vault.decrypt(key, "value", "run-1"), Code::internal, "no ciphertext at all");
  std::string other = key + "-other";
  co_await vault.ensure_key(other);
  co_await expect_error(vault.decrypt(other, ciphertext, "run-1"), Code::internal, "another key");
  co_await expect_error(vault.decrypt(key + "-absent", ciphertext, "run-1"), Code::internal,
                        "a key that is not there");
}

inline Task<> check_batches(Vault& vault, std::string key) {
  std::vector<Plain> plain;
  for (int i = 0; i < 1100; ++i)
    plain.push_back({Secret("value " + std::to_string(i)), "row " + std::to_string(i)});
  std::vector<std::string> ciphertexts = co_await vault.encrypt_all(key, plain);
  EXPECT_EQ(ciphertexts.size(), plain.size());
  if (ciphertexts.size() != plain.size()) co_return;
  std::vector<Cipher> cipher;
  for (std::size_t i = 0; i < ciphertexts.size(); ++i)
    cipher.push_back({ciphertexts[i], plain[i].associated});
  std::vector<Secret> opened = co_await vault.decrypt_all(key, cipher);
  EXPECT_EQ(opened.size(), plain.size());
  for (std::size_t i = 0; i < opened.size(); ++i) EXPECT_EQ(opened[i].reveal(), plain[i].plaintext.reveal());
  std::swap(cipher[3].associated, cipher[4].associated);
  co_await expect_error(vault.decrypt_all(key, cipher), Code::internal, "two exchanged rows");
  std::vector<std::string> none = co_await vault.encrypt_all(key, {});
  EXPECT_TRUE(none.empty());
}

inline Task<> check_data_keys(Vault& vault, std::string key) {
  sealed::DataKey single = co_await vault.data_key(key);
  EXPECT_EQ(single.plaintext.reveal().size(), 32u);
  Secret unwrapped = co_await vault.decrypt(key, single.wrapped);
  EXPECT_EQ(unwrapped.reveal(), single.plaintext.reveal());
  std::vector<sealed::DataKey> many = co_await vault.data_keys(key, 20);
  EXPECT_EQ(many.size(), 20u);
  std::set<std::string> seen{single.plaintext.reveal()};
  for (const sealed::DataKey& one : many) {
    EXPECT_EQ(one.plaintext.reveal().size(), 32u);
    EXPECT_TRUE(seen.insert(one.plaintext.reveal()).second) << "a data key came twice";
    Secret opened = co_await vault.decrypt(key, one.wrapped);
    EXPECT_EQ(opened.reveal(), one.plaintext.reveal());
  }
}

/// The whole contract, under a key of its own.
inline Task<> check(Vault& vault) {
  std::string key = "contract-" + crypto::random_text(8);
  Health health = co_await vault.health();
  EXPECT_TRUE(health.initialized);
  EXPECT_FALSE(health.sealed);
  EXPECT_FALSE(health.version.empty());
  co_await vault.ensure_key(key);
  std::string before = co_await vault.encrypt(key, Secret(std::string("before")));
  co_await vault.ensure_key(key);
  Secret still = co_await vault.decrypt(key, before);
  EXPECT_EQ(still.reveal(), "before") << "a second ensure_key must not replace the key";
  co_await check_single(vault, key);
  co_await check_refusals(vault, key);
  co_await check_batches(vault, key);
  co_await check_data_keys(vault, key);
}

}  // namespace terrane::vault_client::contract
