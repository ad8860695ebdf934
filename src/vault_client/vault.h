#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/task.h"
#include "sealed/header.h"

namespace terrane::vault_client {

/// How a vault is.
struct Health {
  bool initialized = false;
  bool sealed = true;
  bool standby = false;
  std::string version;
};

/// A value to encrypt and what it is bound to: it decrypts only with the same associated data.
struct Plain {
  Secret plaintext;
  std::string associated;
};

/// A ciphertext (`vault:vN:…`) and what it was bound to.
struct Cipher {
  std::string ciphertext;
  std::string associated;
};

/// Transit encryption under named keys that never leave the vault. All verbs suspend. They throw
/// Error{unavailable} when the vault is sealed, away, too slow or refuses the token, and Error{internal} when
/// a ciphertext is damaged, bound to something else or of an unknown key.
class Vault {
 public:
  virtual ~Vault() = default;
  virtual Task<std::string> encrypt(std::string key, Secret plaintext, std::string associated = {}) = 0;
  virtual Task<Secret> decrypt(std::string key, std::string ciphertext, std::string associated = {}) = 0;
  /// Many values in few round trips; the results stand in the order of the items. All or nothing.
  virtual Task<std::vector<std::string>> encrypt_all(std::string key, std::vector<Plain> items) = 0;
  virtual Task<std::vector<Secret>> decrypt_all(std::string key, std::vector<Cipher> items) = 0;
  /// A fresh 32-byte key, in clear and wrapped; `decrypt` of the wrapped form without associated data gives
  /// it back.
  virtual Task<sealed::DataKey> data_key(std::string key) = 0;
  virtual Task<std::vector<sealed::DataKey>> data_keys(std::string key, std::size_t count) = 0;
  /// Makes the named key unless it is there.
  virtual Task<> ensure_key(std::string key) = 0;
  /// Asks without a token; a sealed vault answers too.
  virtual Task<Health> health() = 0;
};

}  // namespace terrane::vault_client
