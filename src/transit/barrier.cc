#include "transit/barrier.h"

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "crypto/random.h"

namespace terrane::transit {
namespace {

constexpr std::string_view root_path = "core/root";
constexpr std::string_view keyring_path = "core/keyring";
constexpr std::size_t header_size = 5;
constexpr char format = 1;

/// Format byte and term, big-endian; term 0 stands for the key above the keyring.
std::string header(int term) {
  auto number = static_cast<std::uint32_t>(term);
  std::string bytes(1, format);
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(number >> shift & 0xff));
  return bytes;
}

/// The term of a stored value; nothing when it is none of ours.
std::optional<int> term_of(std::string_view raw) {
  if (raw.size() < header_size || raw[0] != format) return std::nullopt;
  std::uint32_t term = 0;
  for (std::size_t i = 1; i < header_size; ++i) term = term << 8 | static_cast<unsigned char>(raw[i]);
  if (term > INT32_MAX) return std::nullopt;
  return static_cast<int>(term);
}

std::string seal_value(const Secret& key, int term, std::string_view path, const Secret& value) {
  std::string prefix = header(term);
  return prefix + crypto::seal_random(key, value.reveal(), prefix + std::string(path));
}

std::optional<Secret> open_value(const Secret& key, std::string_view path, std::string_view raw) {
  if (raw.size() < header_size) return std::nullopt;
  std::string associated = std::string(raw.substr(0, header_size)) + std::string(path);
  std::optional<std::string> value = crypto::open_random(key, raw.substr(header_size), associated);
  if (!value) return std::nullopt;
  return Secret(*std::move(value));
}

[[noreturn]] void throw_damaged(const std::string& path) {
  throw Error(Code::internal,
              "The vault's row '" + path + "' does not open: it is damaged or stands under a foreign path.");
}

}  // namespace

void throw_sealed() { throw Error(Code::unavailable, "Vault is sealed"); }

void throw_contended(const std::string& path) {
  throw Error(Code::unavailable, "Too many writers at once; try again.").add_context("row " + path);
}

const Keyring& Barrier::keyring() const {
  if (!keyring_) throw_sealed();
  return *keyring_;
}

Task<bool> Barrier::initialized() {
  if (initialized_) co_return true;
  std::optional<std::string> root = co_await storage_.get(std::string(root_path));
  initialized_ = root.has_value();
  if (!root && !(co_await storage_.list("")).empty()) {
    throw Error(Code::internal, "The vault's storage holds rows but no '" + std::string(root_path) +
                                    "': it is damaged. Restore the database from its backup.");
  }
  co_return initialized_;
}

Task<bool> Barrier::initialize(Secret unseal_key, Keyring keyring,
                               std::vector<std::pair<std::string, Secret>> rows) {
  Secret root_key = crypto::random_key(crypto::key_size);
  std::vector<std::pair<std::string, std::string>> entries;
  entries.emplace_back(root_path, seal_value(unseal_key, 0, root_path, root_key));
  entries.emplace_back(keyring_path, seal_value(root_key, 0, keyring_path, to_text(keyring)));
  for (const auto& [path, value] : rows) {
    entries.emplace_back(path, seal_value(keyring.terms.at(keyring.active).key, keyring.active, path, value));
  }
  co_return co_await storage_.insert_all(std::move(entries));
}

Task<bool> Barrier::is_opened_by(Secret unseal_key) {
  std::optional<std::string> root = co_await storage_.get(std::string(root_path));
  co_return root&& open_value(unseal_key, root_path, *root);
}

Task<> Barrier::unseal(Secret unseal_key, const std::vector<KeyringCopy>& copies) {
  std::optional<std::string> root = co_await storage_.get(std::string(root_path));
  if (!root) throw Error(Code::invalid, "Vault is not initialized");
  std::optional<Secret> root_key = open_value(unseal_key, root_path, *root);
  if (!root_key) throw Error(Code::invalid, "unseal failed, invalid key");
  root_key_ = *std::move(root_key);
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    Stored stored = co_await read_keyring();
    bool changed = merge_copies(stored.keyring, copies);
    if (!changed || co_await write_keyring(stored.keyring, stored.raw)) {
      if (changed)
        log::warn("vault: keyring terms that the storage lacked were added back from sealed copies");
      keyring_ = std::move(stored.keyring);
      copied_term_ = 0;
      initialized_ = true;
      co_return;
    }
  }
  throw_contended(std::string(keyring_path));
}

void Barrier::seal() noexcept {
  keyring_.reset();
  root_key_ = Secret();
  copied_term_ = 0;
}

Task<Barrier::Stored> Barrier::read_keyring() {
  std::optional<std::string> raw = co_await storage_.get(std::string(keyring_path));
  if (!raw)
    throw Error(Code::internal,
                "The vault's keyring is missing from its storage: restore the database from its backup.");
  if (root_key_.empty()) throw_sealed();
  std::optional<Secret> text = open_value(root_key_, keyring_path, *raw);
  if (!text) throw_damaged(std::string(keyring_path));
  co_return Stored{parse_keyring(*text), *std::move(raw)};
}

Task<bool> Barrier::write_keyring(const Keyring& keyring, std::string expected) {
  if (root_key_.empty()) throw_sealed();
  std::string sealed_text = seal_value(root_key_, 0, keyring_path, to_text(keyring));
  co_return co_await storage_.put(std::string(keyring_path), std::move(sealed_text), std::move(expected));
}

Task<> Barrier::reload() {
  Stored stored = co_await read_keyring();
  if (!keyring_) throw_sealed();
  keyring_ = std::move(stored.keyring);
}

Task<std::optional<Barrier::Entry>> Barrier::get(std::string path) {
  keyring();
  std::optional<std::string> raw = co_await storage_.get(path);
  if (!raw) co_return std::nullopt;
  std::optional<int> term = term_of(*raw);
  if (!term || *term == 0) throw_damaged(path);
  // Another vault over the same storage may have made a term since.
  if (!keyring().terms.contains(*term)) co_await reload();
  auto key = keyring().terms.find(*term);
  if (key == keyring().terms.end()) throw_damaged(path);
  std::optional<Secret> value = open_value(key->second.key, path, *raw);
  if (!value) throw_damaged(path);
  co_return Entry{*std::move(value), *std::move(raw)};
}

Task<bool> Barrier::put(std::string path, Secret value, std::optional<std::string> expected) {
  const Keyring& ring = keyring();
  // The highest term in use whose copy is durable here; a term never leaves the keyring.
  auto term = ring.terms.upper_bound(std::min(ring.active, copied_term_));
  if (term == ring.terms.begin())
    throw Error(Code::internal, "No term of the vault's keyring has a sealed copy yet.");
  --term;
  std::string raw = seal_value(term->second.key, term->first, path, value);
  co_return co_await storage_.put(std::move(path), std::move(raw), std::move(expected));
}

bool Barrier::merge_copies(Keyring& keyring, const std::vector<KeyringCopy>& copies) {
  bool changed = false;
  for (const KeyringCopy& copy : copies) {
    Merged merged = merge(keyring, copy.keyring);
    changed = changed || merged.changed;
    for (const std::string& conflict : merged.conflicts) {
      log::error("vault: a sealed copy holds another key; the storage's stays", {{"key", conflict}});
    }
  }
  return changed;
}

Task<> Barrier::add_term(const std::vector<KeyringCopy>& copies) {
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    Stored stored = co_await read_keyring();
    if (stored.keyring.terms.rbegin()->first == stored.keyring.active) {
      merge_copies(stored.keyring, copies);
      Keyring fresh = make_keyring();
      stored.keyring.terms[stored.keyring.active + 1] = std::move(fresh.terms.begin()->second);
      if (!co_await write_keyring(stored.keyring, stored.raw)) continue;
    }
    if (!keyring_) throw_sealed();
    keyring_ = std::move(stored.keyring);
    co_return;
  }
  throw_contended(std::string(keyring_path));
}

Task<> Barrier::activate_term() {
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    Stored stored = co_await read_keyring();
    int highest = stored.keyring.terms.rbegin()->first;
    // Only what was copied may come into use; a term made meanwhile waits for its own copy.
    int target = std::max(stored.keyring.active, std::min(highest, copied_term_));
    if (stored.keyring.active != target) {
      stored.keyring.active = target;
      if (!co_await write_keyring(stored.keyring, stored.raw)) continue;
    }
    if (!keyring_) throw_sealed();
    keyring_ = std::move(stored.keyring);
    co_return;
  }
  throw_contended(std::string(keyring_path));
}

}  // namespace terrane::transit
