#include "vault_client/fake_vault.h"

#include "base/error.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/random.h"

namespace terrane::vault_client {
namespace {

constexpr std::string_view prefix = "vault:v";

[[noreturn]] void throw_damaged(const std::string& why) {
  throw Error(Code::internal, "Vault could not do what was asked.").add_context(why);
}

}  // namespace

void FakeVault::check() {
  ++calls_;
  if (away_) throw Error(Code::unavailable, "Vault cannot be reached; try again.");
  if (sealed_) throw Error(Code::unavailable, "Vault is sealed; try again when it has been unsealed.");
}

std::string FakeVault::seal(const std::string& key, const Secret& plaintext, const std::string& associated) {
  // Like Vault with a token that may create keys: encrypting makes the key.
  std::vector<Secret>& versions = keys_[key];
  if (versions.empty()) versions.push_back(crypto::random_key(crypto::key_size));
  std::string bytes = crypto::seal_random(versions.back(), plaintext.reveal(), associated);
  return std::string(prefix) + std::to_string(versions.size()) + ":" + base64(bytes);
}

Secret FakeVault::open(const std::string& key, const std::string& ciphertext,
                       const std::string& associated) const {
  auto found = keys_.find(key);
  if (found == keys_.end()) throw_damaged("encryption key not found");
  std::string_view text = ciphertext;
  if (!text.starts_with(prefix)) throw_damaged("invalid ciphertext: no prefix");
  text.remove_prefix(prefix.size());
  std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) throw_damaged("invalid ciphertext: wrong number of fields");
  std::optional<std::int64_t> version = parse_int(text.substr(0, colon));
  std::optional<std::string> bytes = from_base64(text.substr(colon + 1));
  if (!version || *version < 1 || *version > static_cast<std::int64_t>(found->second.size()) || !bytes) {
    throw_damaged("invalid ciphertext");
  }
  const Secret& versioned = found->second[static_cast<std::size_t>(*version - 1)];
  std::optional<std::string> plaintext = crypto::open_random(versioned, *bytes, associated);
  if (!plaintext) throw_damaged("cipher: message authentication failed");
  return Secret(*std::move(plaintext));
}

Task<std::string> FakeVault::encrypt(std::string key, Secret plaintext, std::string associated) {
  check();
  co_return seal(key, plaintext, associated);
}

Task<Secret> FakeVault::decrypt(std::string key, std::string ciphertext, std::string associated) {
  check();
  co_return open(key, ciphertext, associated);
}

Task<std::vector<std::string>> FakeVault::encrypt_all(std::string key, std::vector<Plain> items) {
  check();
  std::vector<std::string> ciphertexts;
  ciphertexts.reserve(items.size());
  for (const Plain& item : items) ciphertexts.push_back(seal(key, item.plaintext, item.associated));
  co_return ciphertexts;
}

Task<std::vector<Secret>> FakeVault::decrypt_all(std::string key, std::vector<Cipher> items) {
  check();
  std::vector<Secret> plaintexts;
  plaintexts.reserve(items.size());
  for (const Cipher& item : items) plaintexts.push_back(open(key, item.ciphertext, item.associated));
  co_return plaintexts;
}

Task<sealed::DataKey> FakeVault::data_key(std::string key) {
  check();
  Secret plaintext = crypto::random_key(crypto::key_size);
  std::string wrapped = seal(key, plaintext, "");
  co_return sealed::DataKey{std::move(plaintext), std::move(wrapped)};
}

Task<std::vector<sealed::DataKey>> FakeVault::data_keys(std::string key, std::size_t count) {
  check();
  std::vector<sealed::DataKey> keys;
  keys.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Secret plaintext = crypto::random_key(crypto::key_size);
    std::string wrapped = seal(key, plaintext, "");
    keys.push_back({std::move(plaintext), std::move(wrapped)});
  }
  co_return keys;
}

Task<> FakeVault::ensure_key(std::string key) {
  check();
  if (keys_[key].empty()) rotate(key);
  co_return;
}

Task<Health> FakeVault::health() {
  ++calls_;
  if (away_) throw Error(Code::unavailable, "Vault cannot be reached; try again.");
  Health health;
  health.initialized = true;
  health.sealed = sealed_;
  health.version = "fake";
  co_return health;
}

void FakeVault::rotate(const std::string& key) { keys_[key].push_back(crypto::random_key(crypto::key_size)); }

}  // namespace terrane::vault_client
