#pragma once
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/task.h"
#include "transit/barrier.h"
#include "transit/key_material.h"
#include "transit/keyring.h"
#include "transit/read_cache.h"

namespace terrane::transit {

using KeyPointer = std::shared_ptr<const TransitKey>;

/// What a change of a key's configuration sets; what is nothing stays.
struct KeyConfig {
  std::optional<int> min_decryption_version;
  std::optional<int> min_encryption_version;
  std::optional<bool> deletion_allowed;
};

/// The keys of the transit engine. They stay in memory, so encryption goes on while the storage is away. A
/// new version of a key, or a new term of the keyring, comes into use in three steps: it is agreed on in the
/// storage without being in use, a sealed copy of all keys is written beside the key material, then the
/// storage says that it is in use. A crash between them leaves a version that the next step finishes. One
/// executor; barrier and material outlive it. Verbs suspend and throw Error{unavailable} when the storage is
/// away.
class KeyStore {
 public:
  KeyStore(Barrier& barrier, KeyMaterial& material);

  /// Opens the barrier, adds back from the sealed copies what the storage lacks, and loads all keys. Throws
  /// as Barrier::unseal.
  Task<> open(Secret unseal_key);
  /// Forgets all keys.
  void close() noexcept;

  /// The key, null when there is none. Held in memory, and read again at most every 5 s.
  Task<KeyPointer> find(std::string name);
  /// The key with `version`, read again if memory does not have that version. Null when there is no such key.
  Task<KeyPointer> find_version(std::string name, int version);
  /// Makes sure that a version may seal: its sealed copy is durable. Throws Error{internal} when the copy
  /// cannot be written.
  Task<> require_copied(KeyPointer key, int version);
  Task<std::vector<std::string>> names();

  struct Created {
    KeyPointer key;
    bool existed = false;
  };
  /// Makes the key unless it is there.
  Task<Created> create(std::string name);
  /// Adds a version and puts it in use. Null when there is no such key; the same for the next.
  Task<KeyPointer> rotate(std::string name);
  /// Throws Error{invalid} when a version is out of its bounds.
  Task<KeyPointer> configure(std::string name, KeyConfig config);
  /// Deletes the key. Returns false when there is none; throws Error{invalid} when the key does not allow it.
  Task<bool> remove(std::string name);
  /// Adds a term to the keyring and puts it in use.
  Task<> rotate_keyring();
  /// Writes a sealed copy if something that may seal has none here.
  Task<> copy_if_needed();

 private:
  struct Stored {
    TransitKey key;
    std::string raw;
  };
  Task<std::optional<Stored>> read_row(std::string name);
  Task<bool> write_row(const TransitKey& key, std::optional<std::string> expected);
  Task<KeyPointer> load(std::string name);
  Task<KeyPointer> publish(std::string name);
  Task<> merge_keyring_copies(const std::vector<KeyringCopy>& copies);
  Task<bool> merge_from_copies(TransitKey& key);
  Task<> write_copy(const TransitKey* also);
  bool is_copied(const TransitKey& key, int version) const { return copied_.contains({key.id, version}); }
  bool all_copied(const TransitKey& key) const;
  void remember(const KeyringCopy& copy);
  KeyPointer hold(TransitKey key);

  Barrier& barrier_;
  KeyMaterial& material_;
  Secret unseal_key_;
  ReadCache<TransitKey> cache_;
  std::set<std::pair<std::string, int>> copied_;  // (key id, version) that lie in a durable copy here
  int copied_term_ = 0;
};

}  // namespace terrane::transit
