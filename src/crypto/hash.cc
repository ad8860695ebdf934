#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/error.h"
#include "crypto/openssl_error.h"

namespace terrane::crypto {
namespace {

const EVP_MD* fetch(const char* name) {
  const EVP_MD* found = EVP_MD_fetch(nullptr, name, nullptr);
  check(found, name);
  return found;
}

const EVP_MD* algorithm(HashKind kind) {
  // Looked up once: a fetch takes a lock. They live as long as the process.
  static const EVP_MD* md5 = fetch("MD5");
  static const EVP_MD* sha256 = fetch("SHA256");
  static const EVP_MD* sha512 = fetch("SHA512");
  switch (kind) {
    case HashKind::md5: return md5;
    case HashKind::sha256: return sha256;
    case HashKind::sha512: return sha512;
  }
  fail("unknown hash");
}

std::string hmac(HashKind kind, std::string_view key, std::string_view bytes) {
  check(key.size() <= INT_MAX, "HMAC key size");
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  // An empty key is a valid one, but a null pointer means "none" to OpenSSL.
  const char* start = key.empty() ? "" : key.data();
  const auto* text = reinterpret_cast<const unsigned char*>(bytes.data());
  check(HMAC(algorithm(kind), start, static_cast<int>(key.size()), text, bytes.size(), out, &size) != nullptr,
        "HMAC");
  return std::string(reinterpret_cast<const char*>(out), size);
}

struct KdfDeleter {
  void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

}  // namespace

std::string hash(HashKind kind, std::string_view bytes) {
  Hasher hasher(kind);
  hasher.update(bytes);
  return hasher.finish();
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  return hmac(HashKind::sha256, key, bytes);
}
std::string hmac_sha512(std::string_view key, std::string_view bytes) {
  return hmac(HashKind::sha512, key, bytes);
}

Secret derive(const Secret& key, std::string_view info, std::size_t size) {
  check(!key.empty(), "HKDF without a key");
  check(size > 0 && size <= 255 * 32, "HKDF output size");
  std::unique_ptr<EVP_KDF, KdfDeleter> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  check(kdf != nullptr, "fetch HKDF");
  std::unique_ptr<EVP_KDF_CTX, KdfDeleter> context(EVP_KDF_CTX_new(kdf.get()));
  check(context != nullptr, "EVP_KDF_CTX_new");
  char digest[] = "SHA256";
  std::string bound(info);
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<char*>(key.reveal().data()),
                                        key.reveal().size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, bound.data(), bound.size()),
      OSSL_PARAM_construct_end(),
  };
  std::string out(size, '\0');
  check(EVP_KDF_derive(context.get(), reinterpret_cast<unsigned char*>(out.data()), size, parameters) == 1,
        "HKDF");
  return Secret(std::move(out));
}

bool equal(std::string_view left, std::string_view right) noexcept {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

struct Hasher::Impl {
  struct Deleter {
    void operator()(EVP_MD_CTX* value) const { EVP_MD_CTX_free(value); }
  };
  std::unique_ptr<EVP_MD_CTX, Deleter> context{EVP_MD_CTX_new()};
};

Hasher::Hasher(HashKind kind) : impl_(std::make_unique<Impl>()) {
  check(impl_->context != nullptr, "EVP_MD_CTX_new");
  check(EVP_DigestInit_ex2(impl_->context.get(), algorithm(kind), nullptr) == 1, "EVP_DigestInit_ex2");
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::string_view bytes) {
  check(impl_ != nullptr, "hash that is already finished");
  check(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1, "EVP_DigestUpdate");
}

std::string Hasher::finish() {
  check(impl_ != nullptr, "hash that is already finished");
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  check(EVP_DigestFinal_ex(impl_->context.get(), out, &size) == 1, "EVP_DigestFinal_ex");
  impl_.reset();
  return std::string(reinterpret_cast<const char*>(out), size);
}

}  // namespace terrane::crypto
