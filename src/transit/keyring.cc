#include "transit/keyring.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "crypto/random.h"

namespace terrane::transit {
namespace {

constexpr std::size_t key_bytes = 32;

std::int64_t seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
}

KeyVersion make_version() { return {crypto::random_key(key_bytes), seconds_now()}; }

Secret serialised(const json::object& object) { return Secret(json::serialize(object)); }

json::object versions_object(const std::map<int, KeyVersion>& versions) {
  json::object object;
  for (const auto& [number, version] : versions) {
    json::object one;
    one["key"] = base64(version.key.reveal());
    one["created"] = version.created;
    object[std::to_string(number)] = std::move(one);
  }
  return object;
}

[[noreturn]] void damaged(std::string_view what) {
  throw Error(Code::internal, "The vault's " + std::string(what) + " is damaged.");
}

Secret key_member(const json::object& object, std::string_view name) {
  std::optional<std::string> bytes = from_base64(require_string(object, name));
  if (!bytes || bytes->size() != key_bytes) damaged("key material");
  return Secret(*std::move(bytes));
}

std::map<int, KeyVersion> versions_member(const json::object& object, std::string_view name) {
  std::map<int, KeyVersion> versions;
  const json::object* members = find_object(object, name);
  if (!members) return versions;
  for (const json::key_value_pair& member : *members) {
    std::optional<std::int64_t> number = parse_int(member.key());
    const json::object* one = member.value().if_object();
    if (!number || *number < 1 || *number > INT32_MAX || !one) damaged("list of key versions");
    versions[static_cast<int>(*number)] = {key_member(*one, "key"), require_int(*one, "created")};
  }
  return versions;
}

int int_member(const json::object& object, std::string_view name) {
  std::int64_t value = require_int(object, name);
  if (value < 0 || value > INT32_MAX) damaged("key record");
  return static_cast<int>(value);
}

json::object key_object(const TransitKey& key) {
  json::object object;
  object["id"] = key.id;
  object["name"] = key.name;
  object["latest"] = key.latest;
  object["min_decryption_version"] = key.min_decryption_version;
  object["min_encryption_version"] = key.min_encryption_version;
  object["deletion_allowed"] = key.deletion_allowed;
  object["deleted"] = key.deleted;
  object["versions"] = versions_object(key.versions);
  return object;
}

json::object keyring_object(const Keyring& keyring) {
  json::object object;
  object["active"] = keyring.active;
  object["terms"] = versions_object(keyring.terms);
  object["token_key"] = base64(keyring.token_key.reveal());
  object["cluster_id"] = keyring.cluster_id;
  return object;
}

TransitKey key_from(const json::object& object) {
  TransitKey key;
  key.id = require_string(object, "id");
  key.name = require_string(object, "name");
  key.latest = int_member(object, "latest");
  key.min_decryption_version = int_member(object, "min_decryption_version");
  key.min_encryption_version = int_member(object, "min_encryption_version");
  key.deletion_allowed = find_bool(object, "deletion_allowed").value_or(false);
  key.deleted = find_bool(object, "deleted").value_or(false);
  key.versions = versions_member(object, "versions");
  if (key.latest > 0 && !key.deleted && !key.versions.contains(key.latest)) damaged("key record");
  return key;
}

Keyring keyring_from(const json::object& object) {
  Keyring keyring;
  keyring.active = int_member(object, "active");
  keyring.terms = versions_member(object, "terms");
  keyring.token_key = key_member(object, "token_key");
  keyring.cluster_id = require_string(object, "cluster_id");
  if (!keyring.terms.contains(keyring.active)) damaged("keyring");
  return keyring;
}

/// Parses a record and reports what is wrong with it as damage, not as a caller's bad input.
template <class T>
T parse_record(const Secret& text, std::string_view what, T (*from)(const json::object&)) {
  try {
    json::value value = parse_json(text.reveal());
    if (const json::object* object = value.if_object()) return from(*object);
  } catch (const Error& error) {
    throw Error(Code::internal, "The vault's " + std::string(what) + " is damaged: " + error.detail());
  }
  damaged(what);
}

KeyringCopy copy_from(const json::object& object) {
  KeyringCopy copy;
  const json::object* keyring = find_object(object, "keyring");
  const json::object* keys = find_object(object, "transit");
  if (!keyring || !keys) damaged("keyring copy");
  copy.keyring = keyring_from(*keyring);
  for (const json::key_value_pair& member : *keys) {
    const json::object* key = member.value().if_object();
    if (!key) damaged("keyring copy");
    copy.transit[std::string(member.key())] = key_from(*key);
  }
  return copy;
}

/// Adds the missing versions; the highest version that both sides now share may have been used, so it is in
/// use from now on.
Merged merge_versions(std::map<int, KeyVersion>& stored, int& in_use, const std::map<int, KeyVersion>& copy,
                      const std::string& name) {
  Merged merged;
  for (const auto& [number, version] : copy) {
    auto [place, added] = stored.try_emplace(number, version);
    if (!added && place->second.key.reveal() != version.key.reveal()) {
      merged.conflicts.push_back(name + " version " + std::to_string(number));
      continue;
    }
    if (added || number > in_use) merged.changed = true;
    in_use = std::max(in_use, number);
  }
  return merged;
}

bool contains_versions(const std::map<int, KeyVersion>& outer, const std::map<int, KeyVersion>& inner) {
  return std::all_of(inner.begin(), inner.end(), [&outer](const auto& version) {
    auto found = outer.find(version.first);
    return found != outer.end() && found->second.key.reveal() == version.second.key.reveal();
  });
}

}  // namespace

TransitKey make_transit_key(const std::string& name) {
  TransitKey key;
  key.id = crypto::random_uuid();
  key.name = name;
  key.versions[1] = make_version();
  return key;
}

Keyring make_keyring() {
  Keyring keyring;
  keyring.active = 1;
  keyring.terms[1] = make_version();
  keyring.token_key = crypto::random_key(key_bytes);
  keyring.cluster_id = crypto::random_uuid();
  return keyring;
}

Secret to_text(const TransitKey& key) { return serialised(key_object(key)); }
Secret to_text(const Keyring& keyring) { return serialised(keyring_object(keyring)); }

Secret to_text(const KeyringCopy& copy) {
  json::object keys;
  for (const auto& [name, key] : copy.transit) keys[name] = key_object(key);
  json::object object;
  object["keyring"] = keyring_object(copy.keyring);
  object["transit"] = std::move(keys);
  return serialised(object);
}

TransitKey parse_transit_key(const Secret& text) { return parse_record(text, "key record", key_from); }
Keyring parse_keyring(const Secret& text) { return parse_record(text, "keyring", keyring_from); }
KeyringCopy parse_copy(const Secret& text) { return parse_record(text, "keyring copy", copy_from); }

Merged merge(Keyring& stored, const Keyring& copy) {
  if (stored.cluster_id != copy.cluster_id) return {};
  return merge_versions(stored.terms, stored.active, copy.terms, "keyring");
}

Merged merge(TransitKey& stored, const TransitKey& copy) {
  if (stored.id != copy.id || stored.deleted || copy.deleted) return {};
  return merge_versions(stored.versions, stored.latest, copy.versions, "transit key '" + stored.name + "'");
}

bool contains(const KeyringCopy& outer, const KeyringCopy& inner) {
  if (outer.keyring.cluster_id != inner.keyring.cluster_id) return false;
  if (!contains_versions(outer.keyring.terms, inner.keyring.terms)) return false;
  return std::all_of(inner.transit.begin(), inner.transit.end(), [&outer](const auto& named) {
    auto found = outer.transit.find(named.first);
    return found != outer.transit.end() && found->second.id == named.second.id &&
           contains_versions(found->second.versions, named.second.versions);
  });
}

}  // namespace terrane::transit
