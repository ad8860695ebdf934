#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "base/task.h"
#include "transit/keyring.h"
#include "transit/storage.h"

namespace terrane::transit {

/// Stands between the vault and its storage: nothing passes in clear. A value is sealed (AES-256-GCM) by the
/// keyring, with its path as associated data, so that rows cannot be exchanged; the keyring is sealed by the
/// root key and the root key by the unseal key. While it is sealed every verb that needs a key throws
/// Error{unavailable, "Vault is sealed"}. One executor; `storage` outlives it.
class Barrier {
 public:
  /// A row as it was read: what is in it, and its bytes for the next compare-and-set.
  struct Entry {
    Secret value;
    std::string raw;
  };

  explicit Barrier(Storage& storage) : storage_(storage) {}

  bool sealed() const noexcept { return !keyring_; }
  const Keyring& keyring() const;
  /// Whether the storage holds a vault. Once true it is not asked again. Throws Error{internal} when it holds
  /// rows but no root key.
  Task<bool> initialized();
  /// Writes a new vault into an empty storage: root key, keyring, and the rows given in clear. Returns false
  /// when one is there already.
  Task<bool> initialize(Secret unseal_key, Keyring keyring, std::vector<std::pair<std::string, Secret>> rows);
  /// Whether this key opens the storage's root key.
  Task<bool> is_opened_by(Secret unseal_key);
  /// Opens root key and keyring; terms of `copies` (newest first) that the storage lacks are added back and
  /// written. Throws Error{invalid} when the key is not the right one, Error{internal} when rows are damaged.
  Task<> unseal(Secret unseal_key, const std::vector<KeyringCopy>& copies);
  /// Forgets all keys.
  void seal() noexcept;

  Task<std::optional<Entry>> get(std::string path);
  /// Compare-and-set with the bytes that `get` returned (nothing: the row must not be there). Returns whether
  /// it wrote.
  Task<bool> put(std::string path, Secret value, std::optional<std::string> expected);
  Task<bool> erase(std::string path, std::string expected) {
    return storage_.erase(std::move(path), std::move(expected));
  }
  Task<std::vector<std::string>> list(std::string prefix) { return storage_.list(std::move(prefix)); }

  /// Makes a further term, not in use yet, unless one waits already; first adds back what `copies` hold, so
  /// that no number is used twice.
  Task<> add_term(const std::vector<KeyringCopy>& copies);
  /// Puts the highest term in use, in the storage; call it when its sealed copy is durable.
  Task<> activate_term();
  /// The term up to which sealed copies are durable here; higher ones open values and seal none.
  void set_copied_term(int term) noexcept { copied_term_ = term; }

 private:
  Task<> reload();
  static bool merge_copies(Keyring& keyring, const std::vector<KeyringCopy>& copies);
  Task<bool> write_keyring(const Keyring& keyring, std::string expected);
  struct Stored {
    Keyring keyring;
    std::string raw;
  };
  Task<Stored> read_keyring();

  Storage& storage_;
  std::optional<Keyring> keyring_;
  Secret root_key_;
  int copied_term_ = 0;
  bool initialized_ = false;
};

/// Error{unavailable, "Vault is sealed"}, in Vault's words.
[[noreturn]] void throw_sealed();
/// Too many others wrote the same row: Error{unavailable}.
[[noreturn]] void throw_contended(const std::string& path);

/// How often a compare-and-set is tried before the caller is told to come again.
constexpr int write_attempts = 8;

}  // namespace terrane::transit
