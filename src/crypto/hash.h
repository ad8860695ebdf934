#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace terrane::crypto {

enum class HashKind { md5, sha256, sha512 };

/// The digest of `bytes`, raw. MD5 only where API v2 prescribes it as a checksum.
std::string hash(HashKind kind, std::string_view bytes);
/// HMAC-SHA256, raw (RFC 2104).
std::string hmac_sha256(std::string_view key, std::string_view bytes);
std::string hmac_sha512(std::string_view key, std::string_view bytes);
/// HKDF-SHA256 (RFC 5869): `size` bytes from a secret, bound to `info`.
Secret derive(const Secret& key, std::string_view info, std::size_t size);
/// Compares without telling by its time where the difference is.
bool equal(std::string_view left, std::string_view right) noexcept;

/// A digest of bytes that arrive piece by piece.
class Hasher {
 public:
  explicit Hasher(HashKind kind);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(std::string_view bytes);
  /// The raw digest; the object is used up.
  std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace terrane::crypto
