#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace terrane::crypto {

constexpr std::size_t key_size = 32;    ///< AES-256
constexpr std::size_t nonce_size = 12;  ///< GCM
constexpr std::size_t tag_size = 16;

/// AES-256-GCM: ciphertext followed by the tag. A nonce is used once per key; the caller sees to that.
std::string seal(const Secret& key, std::string_view nonce, std::string_view plaintext,
                 std::string_view associated);
/// Opens what `seal` made; nothing when key, nonce, bytes or associated data are not the same.
std::optional<std::string> open(const Secret& key, std::string_view nonce, std::string_view sealed,
                                std::string_view associated);

/// Seals under a fresh random nonce, which stands in front of the result. For keys that seal few (below 2^32)
/// messages.
std::string seal_random(const Secret& key, std::string_view plaintext, std::string_view associated);
std::optional<std::string> open_random(const Secret& key, std::string_view sealed,
                                       std::string_view associated);

}  // namespace terrane::crypto
