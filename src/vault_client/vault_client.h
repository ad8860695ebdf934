#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "http/client.h"
#include "net/io.h"
#include "vault_client/vault.h"

namespace terrane::vault_client {

struct VaultClientOptions {
  Secret token;  ///< used when `token_source` is empty
  std::function<Task<Secret>()>
      token_source;  ///< asked for each request (it holds the token itself); asked once more after a 403
  std::string transit_mount = "transit";
  std::string namespace_name;  ///< X-Vault-Namespace, for an external Vault; empty: none
  std::chrono::milliseconds connect_time{2'000};
  std::chrono::milliseconds answer_time{10'000};
  std::size_t connections = 8;
};

/// A vault that speaks HashiCorp Vault's HTTP API: Terrane's own role `vault`, HashiCorp Vault or OpenBao.
/// One executor, not thread-safe.
class VaultClient : public Vault {
 public:
  VaultClient(net::Executor executor, http::Endpoint endpoint, VaultClientOptions options);
  ~VaultClient() override;

  Task<std::string> encrypt(std::string key, Secret plaintext, std::string associated = {}) override;
  Task<Secret> decrypt(std::string key, std::string ciphertext, std::string associated = {}) override;
  Task<std::vector<std::string>> encrypt_all(std::string key, std::vector<Plain> items) override;
  Task<std::vector<Secret>> decrypt_all(std::string key, std::vector<Cipher> items) override;
  Task<sealed::DataKey> data_key(std::string key) override;
  Task<std::vector<sealed::DataKey>> data_keys(std::string key, std::size_t count) override;
  Task<> ensure_key(std::string key) override;
  Task<Health> health() override;
  /// Renews the token once a day until `stop`, so that a role may run for longer than its token's period;
  /// tries again each minute.
  Task<> keep_token(net::Stop& stop);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace terrane::vault_client
