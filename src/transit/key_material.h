#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/task.h"
#include "transit/keyring.h"

namespace terrane::transit {

/// Where the key material lies: a directory with mode 0700 that belongs to the vault's user and is no part of
/// the storage's backup.
struct KeyMaterialOptions {
  std::filesystem::path directory;
  std::size_t copies = 50;  ///< older copies are removed when the newest holds everything in them
};

/// What opens the vault.
struct UnsealFile {
  Secret unseal_key;  ///< 32 bytes
  Secret root_token;
};

/// The files of the key material: `unseal.json` (0600) and `keyring/NNNN.sealed`, copies of all keys sealed
/// by the unseal key. Every write is durable (file and directory) before the call returns. All verbs suspend
/// and throw Error{internal} that names the file.
class KeyMaterial {
 public:
  explicit KeyMaterial(KeyMaterialOptions options);

  std::filesystem::path unseal_path() const { return options_.directory / "unseal.json"; }
  std::filesystem::path copies_path() const { return options_.directory / "keyring"; }

  /// Makes the directories that are missing. Refuses one that others may enter or that belongs to another
  /// user.
  Task<> prepare();
  /// Reads unseal.json; nothing when there is none. Refuses a file that others may read, and one that cannot
  /// be understood.
  Task<std::optional<UnsealFile>> read_unseal();
  /// Writes unseal.json if there is none. Returns whether it did.
  Task<bool> create_unseal(UnsealFile file);
  /// Removes unseal.json and the copies that its key opens: only for a file made a moment ago that turned out
  /// to open nothing.
  Task<> discard(Secret unseal_key);
  /// Whether any sealed copy is there, readable or not.
  Task<bool> has_copies();
  /// The copies that the key opens, newest first. One that it does not open is logged and left out.
  Task<std::vector<KeyringCopy>> read_copies(Secret unseal_key);
  /// Writes a copy under the next free number.
  Task<> write_copy(KeyringCopy copy, Secret unseal_key);

 private:
  KeyMaterialOptions options_;
};

}  // namespace terrane::transit
