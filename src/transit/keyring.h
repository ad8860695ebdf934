#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/secret.h"

namespace terrane::transit {

/// One version of a key, or one term of the keyring.
struct KeyVersion {
  Secret key;
  std::int64_t created = 0;  ///< seconds of the epoch
};

/// A named key of the transit engine, as its row holds it. A version above `latest` is made but not yet in
/// use: its sealed copy may still be missing beside the key material.
struct TransitKey {
  std::string id;  ///< of this incarnation: a key that was deleted and made again has another
  std::string name;
  int latest = 0;
  int min_decryption_version = 1;
  int min_encryption_version = 0;  ///< 0: the latest
  bool deletion_allowed = false;
  bool deleted = false;  ///< only the name is left, so that a sealed copy does not bring the key back
  std::map<int, KeyVersion> versions;
};

/// What seals every value of the storage: keys by term, the key of the token hashes, and the name of this
/// vault.
struct Keyring {
  int active = 0;  ///< the term for new values; higher ones are made but not yet in use
  std::map<int, KeyVersion> terms;
  Secret token_key;
  std::string cluster_id;
};

/// Everything that encrypted data depend on, as it lies sealed beside the key material.
struct KeyringCopy {
  Keyring keyring;
  std::map<std::string, TransitKey> transit;
};

/// A fresh key with one version that is not in use yet.
TransitKey make_transit_key(const std::string& name);
/// A fresh keyring whose first term is in use.
Keyring make_keyring();

/// The text forms. Parsing throws Error{internal} on anything that `to_text` did not write.
Secret to_text(const TransitKey& key);
Secret to_text(const Keyring& keyring);
Secret to_text(const KeyringCopy& copy);
TransitKey parse_transit_key(const Secret& text);
Keyring parse_keyring(const Secret& text);
KeyringCopy parse_copy(const Secret& text);

/// What a merge did.
struct Merged {
  bool changed = false;
  std::vector<std::string>
      conflicts;  ///< versions that both sides hold with different keys; the stored one stayed
};

/// Adds what the copy holds and `stored` lacks and puts it in use; what `stored` holds stays. A version of a
/// sealed copy may have been used, so it becomes the latest if it is the highest.
Merged merge(Keyring& stored, const Keyring& copy);
/// The same for one key. A copy of another incarnation (other id) changes nothing.
Merged merge(TransitKey& stored, const TransitKey& copy);

/// Whether every term and every key version of `inner` stands in `outer` with the same key.
bool contains(const KeyringCopy& outer, const KeyringCopy& inner);

}  // namespace terrane::transit
