#include "transit/ciphertext.h"

#include "base/error.h"
#include "base/text.h"
#include "crypto/aead.h"

namespace terrane::transit {
namespace {

constexpr std::string_view prefix = "vault:v";

}  // namespace

Ciphertext parse_ciphertext(std::string_view text) {
  if (!text.starts_with(prefix)) throw Error(Code::invalid, "invalid ciphertext: no prefix");
  text.remove_prefix(prefix.size());
  std::size_t colon = text.find(':');
  if (colon == std::string_view::npos)
    throw Error(Code::invalid, "invalid ciphertext: wrong number of fields");
  std::optional<std::int64_t> version = parse_int(text.substr(0, colon));
  if (!version || *version < 0 || *version > INT32_MAX) {
    throw Error(Code::invalid, "invalid ciphertext: version number could not be decoded");
  }
  std::optional<std::string> sealed = from_base64(text.substr(colon + 1));
  if (!sealed) throw Error(Code::invalid, "invalid ciphertext: could not decode base64");
  if (sealed->size() < crypto::nonce_size + crypto::tag_size)
    throw Error(Code::invalid, "invalid ciphertext length");
  return {static_cast<int>(*version), *std::move(sealed)};
}

std::string encrypt(const TransitKey& key, int version, std::string_view plaintext,
                    std::string_view associated) {
  std::string sealed = crypto::seal_random(key.versions.at(version).key, plaintext, associated);
  return std::string(prefix) + std::to_string(version) + ":" + base64(sealed);
}

Secret decrypt(const TransitKey& key, const Ciphertext& ciphertext, std::string_view associated) {
  if (ciphertext.version < key.min_decryption_version) {
    throw Error(Code::invalid, "ciphertext or signature version is disallowed by policy (too old)");
  }
  auto version = key.versions.find(ciphertext.version);
  if (version == key.versions.end()) throw Error(Code::invalid, "invalid ciphertext: version is too new");
  std::optional<std::string> plaintext =
      crypto::open_random(version->second.key, ciphertext.sealed, associated);
  if (!plaintext) throw Error(Code::invalid, "cipher: message authentication failed");
  return Secret(*std::move(plaintext));
}

}  // namespace terrane::transit
