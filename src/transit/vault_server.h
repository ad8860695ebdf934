#pragma once
#include <memory>

#include "base/task.h"
#include "http/message.h"
#include "net/io.h"
#include "transit/key_material.h"
#include "transit/storage.h"

namespace terrane::transit {

struct VaultServerImpl;

/// The role `vault`: HashiCorp Vault's HTTP API v1 as far as Terrane needs it (sys, token, transit), so that
/// an external Vault can stand in its place. Seal and unseal with one share; transit keys are aes256-gcm96
/// without derivation. What the API has and this does not is refused with 400 that says so, never ignored
/// where it would restrict something. Values lie sealed in `storage`; unseal key, root token and sealed
/// copies of all keys lie in the directory of `material`. LIST is `GET …?list=true`. One executor. `storage`
/// outlives it. Use: construct, `open`, serve `handler`.
class VaultServer {
 public:
  VaultServer(Storage& storage, KeyMaterialOptions material);
  ~VaultServer();

  /// Initialises an empty storage (writing the key material) or unseals from the key material. Suspends.
  /// Throws Error{internal} that names the file and what to do when key material is missing, unreadable or of
  /// another vault, Error{unavailable} when the storage is away. A storage that holds anything is never
  /// initialised again.
  Task<> open();
  bool sealed() const noexcept;
  /// Answers requests; it never throws. It must not be called after the destruction of the server.
  http::Handler handler();
  /// Once an hour until `stop`: removes expired tokens and writes a sealed copy that could not be written
  /// before.
  Task<> run(net::Stop& stop);

 private:
  std::unique_ptr<VaultServerImpl> impl_;
};

}  // namespace terrane::transit
