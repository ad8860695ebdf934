#pragma once
#include <map>
#include <string>
#include <vector>

#include "vault_client/vault.h"

namespace terrane::vault_client {

/// A vault in memory for unit tests: real AES-256-GCM under keys that live as long as the object, and the
/// same errors. One executor.
class FakeVault : public Vault {
 public:
  Task<std::string> encrypt(std::string key, Secret plaintext, std::string associated = {}) override;
  Task<Secret> decrypt(std::string key, std::string ciphertext, std::string associated = {}) override;
  Task<std::vector<std::string>> encrypt_all(std::string key, std::vector<Plain> items) override;
  Task<std::vector<Secret>> decrypt_all(std::string key, std::vector<Cipher> items) override;
  Task<sealed::DataKey> data_key(std::string key) override;
  Task<std::vector<sealed::DataKey>> data_keys(std::string key, std::size_t count) override;
  Task<> ensure_key(std::string key) override;
  Task<Health> health() override;

  /// Adds a version to the key, which is in use at once.
  void rotate(const std::string& key);
  /// While sealed, every verb but `health` throws Error{unavailable}.
  void set_sealed(bool sealed) noexcept { sealed_ = sealed; }
  /// While away, every verb throws Error{unavailable}.
  void set_away(bool away) noexcept { away_ = away; }
  /// How many verbs were called, to see what is cached.
  std::size_t calls() const noexcept { return calls_; }

 private:
  void check();
  std::string seal(const std::string& key, const Secret& plaintext, const std::string& associated);
  Secret open(const std::string& key, const std::string& ciphertext, const std::string& associated) const;

  std::map<std::string, std::vector<Secret>> keys_;  // versions, from 1
  bool sealed_ = false;
  bool away_ = false;
  std::size_t calls_ = 0;
};

}  // namespace terrane::vault_client
