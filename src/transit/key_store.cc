#include "transit/key_store.h"

#include "base/error.h"
#include "base/log.h"

namespace terrane::transit {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view row_prefix = "transit/key/";
constexpr std::size_t most_keys = 10'000;

std::string row_path(const std::string& name) { return std::string(row_prefix) + name; }

}  // namespace

// Held keys serve for as long as the storage is away: what is sealed under them must stay readable.
KeyStore::KeyStore(Barrier& barrier, KeyMaterial& material)
    : barrier_(barrier), material_(material), cache_(5s, std::chrono::hours(24 * 365), most_keys) {}

Task<> KeyStore::open(Secret unseal_key) {
  std::vector<KeyringCopy> copies = co_await material_.read_copies(unseal_key);
  co_await barrier_.unseal(unseal_key, copies);
  unseal_key_ = std::move(unseal_key);
  for (const KeyringCopy& copy : copies) remember(copy);
  co_await merge_keyring_copies(copies);
  co_await copy_if_needed();
}

void KeyStore::close() noexcept {
  cache_.clear();
  copied_.clear();
  copied_term_ = 0;
  unseal_key_ = Secret();
  barrier_.seal();
}

Task<> KeyStore::merge_keyring_copies(const std::vector<KeyringCopy>& copies) {
  std::set<std::string> all;
  for (const std::string& path : co_await barrier_.list(std::string(row_prefix)))
    all.insert(path.substr(row_prefix.size()));
  if (all.size() > most_keys)
    throw Error(Code::internal, "The vault holds more than " + std::to_string(most_keys) + " keys.");
  std::set<std::string> stored = all;
  for (const KeyringCopy& copy : copies) {
    for (const auto& [name, key] : copy.transit) all.insert(name);
  }
  // Memory first, so that a sealed copy of everything can be written before any row is.
  for (const std::string& name : stored) {
    std::optional<Stored> row = co_await read_row(name);
    if (row && !row->key.deleted && row->key.latest > 0) hold(std::move(row->key));
  }
  co_await copy_if_needed();
  for (const std::string& name : all) {
    for (int attempt = 0;; ++attempt) {
      if (attempt == write_attempts) throw_contended(row_path(name));
      std::optional<Stored> row = co_await read_row(name);
      bool changed = false;
      TransitKey key = row ? row->key : TransitKey{};
      for (const KeyringCopy& copy : copies) {
        auto copied = copy.transit.find(name);
        if (copied == copy.transit.end() || copied->second.deleted) continue;
        if (key.id.empty()) {
          // The newest copy says what the key was; whatever it holds may have been used.
          key = copied->second;
          if (!key.versions.empty()) key.latest = key.versions.rbegin()->first;
          changed = true;
          continue;
        }
        Merged merged = merge(key, copied->second);
        changed = changed || merged.changed;
        for (const std::string& conflict : merged.conflicts) {
          log::error("vault: a sealed copy holds another key; the storage's stays", {{"key", conflict}});
          std::erase_if(copied_,
                        [&key](const auto& copied_version) { return copied_version.first == key.id; });
        }
      }
      if (!changed) break;
      std::optional<std::string> expected;
      if (row) expected = row->raw;
      if (!co_await write_row(key, std::move(expected))) continue;
      log::warn("vault: key versions that the storage lacked were added back from sealed copies",
                {{"key", name}});
      hold(std::move(key));
      break;
    }
  }
}

bool KeyStore::all_copied(const TransitKey& key) const {
  return std::all_of(key.versions.begin(), key.versions.end(),
                     [&](const auto& version) { return is_copied(key, version.first); });
}

Task<> KeyStore::copy_if_needed() {
  bool needed = barrier_.keyring().terms.rbegin()->first > copied_term_;
  cache_.for_each([&](const std::string&, const KeyPointer& key) { needed = needed || !all_copied(*key); });
  if (needed) co_await write_copy(nullptr);
}

Task<> KeyStore::write_copy(const TransitKey* also) {
  KeyringCopy copy;
  copy.keyring = barrier_.keyring();
  cache_.for_each([&copy](const std::string& name, const KeyPointer& key) { copy.transit[name] = *key; });
  if (also) copy.transit[also->name] = *also;
  co_await material_.write_copy(copy, unseal_key_);
  if (barrier_.sealed()) throw_sealed();
  remember(copy);
}

void KeyStore::remember(const KeyringCopy& copy) {
  // A copy of another vault in the same directory counts for nothing here.
  if (copy.keyring.cluster_id != barrier_.keyring().cluster_id) return;
  copied_term_ = std::max(copied_term_, copy.keyring.terms.rbegin()->first);
  barrier_.set_copied_term(copied_term_);
  for (const auto& [name, key] : copy.transit) {
    for (const auto& [number, version] : key.versions) copied_.emplace(key.id, number);
  }
}

Task<std::optional<KeyStore::Stored>> KeyStore::read_row(std::string name) {
  std::optional<Barrier::Entry> entry = co_await barrier_.get(row_path(name));
  if (!entry) co_return std::nullopt;
  co_return Stored{parse_transit_key(entry->value), std::move(entry->raw)};
}

Task<bool> KeyStore::write_row(const TransitKey& key, std::optional<std::string> expected) {
  co_return co_await barrier_.put(row_path(key.name), to_text(key), std::move(expected));
}

KeyPointer KeyStore::hold(TransitKey key) {
  std::string name = key.name;
  KeyPointer held = std::make_shared<const TransitKey>(std::move(key));
  cache_.store(name, held);
  return held;
}

Task<KeyPointer> KeyStore::load(std::string name) {
  std::optional<Stored> row = co_await read_row(std::move(name));
  if (!row || row->key.deleted || row->key.latest == 0) co_return nullptr;
  co_return std::make_shared<const TransitKey>(std::move(row->key));
}

Task<KeyPointer> KeyStore::find(std::string name) {
  barrier_.keyring();
  ReadCache<TransitKey>::Load reader = [this, name] { return load(name); };
  co_return co_await cache_.get(name, std::move(reader));
}

Task<KeyPointer> KeyStore::find_version(std::string name, int version) {
  KeyPointer key = co_await find(name);
  if (!key || version <= key->latest) co_return key;
  // Another vault over the same storage may have rotated it; only the storage can say that a version is too
  // new.
  KeyPointer fresh = co_await load(name);
  if (!fresh) co_return nullptr;
  if (fresh->latest > key->latest) co_return hold(*fresh);
  co_return fresh;
}

Task<> KeyStore::require_copied(KeyPointer key, int version) {
  if (is_copied(*key, version)) co_return;
  co_await write_copy(key.get());
}

Task<std::vector<std::string>> KeyStore::names() {
  std::vector<std::string> names;
  for (const std::string& path : co_await barrier_.list(std::string(row_prefix))) {
    std::string name = path.substr(row_prefix.size());
    if (co_await find(name)) names.push_back(std::move(name));
  }
  co_return names;
}

Task<KeyStore::Created> KeyStore::create(std::string name) {
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    std::optional<Stored> row = co_await read_row(name);
    if (row && !row->key.deleted && row->key.latest > 0) co_return Created{hold(std::move(row->key)), true};
    if (!row || row->key.deleted) {
      std::optional<std::string> expected;
      if (row) expected = row->raw;
      if (!co_await write_row(make_transit_key(name), std::move(expected))) continue;
    }
    if (KeyPointer key = co_await publish(name)) co_return Created{key, false};
  }
  throw_contended(row_path(name));
}

Task<KeyPointer> KeyStore::publish(std::string name) {
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    std::optional<Stored> row = co_await read_row(name);
    if (!row || row->key.deleted || row->key.versions.empty()) co_return nullptr;
    int target = row->key.versions.rbegin()->first;
    if (!all_copied(row->key)) co_await write_copy(&row->key);
    if (row->key.latest != target) {
      row->key.latest = target;
      if (!co_await write_row(row->key, row->raw)) continue;
    }
    co_return hold(std::move(row->key));
  }
  throw_contended(row_path(name));
}

Task<bool> KeyStore::merge_from_copies(TransitKey& key) {
  bool changed = false;
  for (const KeyringCopy& copy : co_await material_.read_copies(unseal_key_)) {
    auto copied = copy.transit.find(key.name);
    if (copied != copy.transit.end()) changed = merge(key, copied->second).changed || changed;
  }
  co_return changed;
}

Task<KeyPointer> KeyStore::rotate(std::string name) {
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    std::optional<Stored> row = co_await read_row(name);
    if (!row || row->key.deleted || row->key.latest == 0) co_return nullptr;
    TransitKey& key = row->key;
    if (key.versions.rbegin()->first == key.latest) {
      // The storage may have been put back under us: a number that was used already is never given to another
      // key.
      co_await merge_from_copies(key);
      key.versions[key.versions.rbegin()->first + 1] = make_transit_key(name).versions.at(1);
      if (!co_await write_row(key, row->raw)) continue;
    }
    co_return co_await publish(name);
  }
  throw_contended(row_path(name));
}

Task<KeyPointer> KeyStore::configure(std::string name, KeyConfig config) {
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    std::optional<Stored> row = co_await read_row(name);
    if (!row || row->key.deleted || row->key.latest == 0) co_return nullptr;
    TransitKey& key = row->key;
    if (config.min_decryption_version)
      key.min_decryption_version = std::max(1, *config.min_decryption_version);
    if (config.min_encryption_version) key.min_encryption_version = *config.min_encryption_version;
    if (config.deletion_allowed) key.deletion_allowed = *config.deletion_allowed;
    if (key.min_decryption_version > key.latest) {
      throw Error(Code::invalid, "cannot set min decryption version of " +
                                     std::to_string(key.min_decryption_version) + ", latest key version is " +
                                     std::to_string(key.latest));
    }
    if (key.min_encryption_version > key.latest) {
      throw Error(Code::invalid, "cannot set min encryption version of " +
                                     std::to_string(key.min_encryption_version) + ", latest key version is " +
                                     std::to_string(key.latest));
    }
    if (key.min_encryption_version != 0 && key.min_encryption_version < key.min_decryption_version) {
      throw Error(Code::invalid,
                  "cannot set min encryption version of " + std::to_string(key.min_encryption_version) +
                      ", min decryption version is " + std::to_string(key.min_decryption_version));
    }
    if (co_await write_row(key, row->raw)) co_return hold(std::move(key));
  }
  throw_contended(row_path(name));
}

Task<bool> KeyStore::remove(std::string name) {
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    std::optional<Stored> row = co_await read_row(name);
    if (!row || row->key.deleted || row->key.latest == 0) co_return false;
    if (!row->key.deletion_allowed) {
      throw Error(Code::invalid,
                  "error deleting policy " + name + ": deletion is not allowed for this policy");
    }
    TransitKey grave;
    grave.id = row->key.id;
    grave.name = name;
    grave.deleted = true;
    if (!co_await write_row(grave, row->raw)) continue;
    cache_.erase(name);
    co_return true;
  }
  throw_contended(row_path(name));
}

Task<> KeyStore::rotate_keyring() {
  std::vector<KeyringCopy> copies = co_await material_.read_copies(unseal_key_);
  co_await barrier_.add_term(copies);
  co_await write_copy(nullptr);
  co_await barrier_.activate_term();
}

}  // namespace terrane::transit
