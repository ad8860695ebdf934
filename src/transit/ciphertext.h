#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "transit/keyring.h"

namespace terrane::transit {

/// `vault:vN:base64(nonce || ciphertext || tag)` taken apart.
struct Ciphertext {
  int version = 0;
  std::string sealed;  ///< nonce, ciphertext and tag
};

/// Takes a ciphertext apart. Throws Error{invalid} with Vault's texts.
Ciphertext parse_ciphertext(std::string_view text);

/// Seals `plaintext` with AES-256-GCM under one version of the key, which must be there.
std::string encrypt(const TransitKey& key, int version, std::string_view plaintext,
                    std::string_view associated);
/// Opens it again. Throws Error{invalid} when it is too old for the key's minimum or does not open; the
/// version must be there.
Secret decrypt(const TransitKey& key, const Ciphertext& ciphertext, std::string_view associated);

}  // namespace terrane::transit
