#include "crypto/aead.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/error.h"
#include "crypto/openssl_error.h"
#include "crypto/random.h"

namespace terrane::crypto {
namespace {

// EVP counts in int; 1 GiB is far above any message of ours and far below that and GCM's own limit.
constexpr std::size_t message_limit = std::size_t{1} << 30;

struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter>;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

const EVP_CIPHER* cipher() {
  static EVP_CIPHER* fetched =
      EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);  // looked up once: a fetch takes a lock
  check(fetched, "fetch AES-256-GCM");
  return fetched;
}

Context begin(const Secret& key, std::string_view nonce, std::string_view associated, std::size_t size,
              bool encrypt) {
  check(key.reveal().size() == key_size, "AES-256-GCM key size");
  check(nonce.size() == nonce_size, "AES-256-GCM nonce size");
  check(size <= message_limit && associated.size() <= message_limit, "AES-256-GCM message size");
  Context context(EVP_CIPHER_CTX_new());
  check(context != nullptr, "EVP_CIPHER_CTX_new");
  check(EVP_CipherInit_ex2(context.get(), cipher(), bytes(key.reveal()), bytes(nonce), encrypt, nullptr) == 1,
        "EVP_CipherInit_ex2");
  int done = 0;
  if (!associated.empty()) {
    int length = static_cast<int>(associated.size());
    check(EVP_CipherUpdate(context.get(), nullptr, &done, bytes(associated), length) == 1, "associated data");
  }
  return context;
}

}  // namespace

std::string seal(const Secret& key, std::string_view nonce, std::string_view plaintext,
                 std::string_view associated) {
  Context context = begin(key, nonce, associated, plaintext.size(), true);
  std::string sealed(plaintext.size() + tag_size, '\0');
  int done = 0;
  if (!plaintext.empty()) {
    int length = static_cast<int>(plaintext.size());
    check(EVP_CipherUpdate(context.get(), bytes(sealed), &done, bytes(plaintext), length) == 1, "encrypt");
  }
  unsigned char* tag = bytes(sealed) + plaintext.size();
  check(EVP_CipherFinal_ex(context.get(), tag, &done) == 1, "encrypt, last block");
  check(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, tag_size, tag) == 1, "tag");
  return sealed;
}

std::optional<std::string> open(const Secret& key, std::string_view nonce, std::string_view sealed,
                                std::string_view associated) {
  if (sealed.size() < tag_size) return std::nullopt;
  std::size_t size = sealed.size() - tag_size;
  Context context = begin(key, nonce, associated, size, false);
  std::string plaintext(size, '\0');
  int done = 0;
  if (size > 0)
    check(
        EVP_CipherUpdate(context.get(), bytes(plaintext), &done, bytes(sealed), static_cast<int>(size)) == 1,
        "decrypt");
  std::string tag(sealed.substr(size));
  check(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, tag_size, tag.data()) == 1, "tag");
  if (EVP_CipherFinal_ex(context.get(), bytes(tag), &done) != 1) {
    wipe(plaintext);
    ERR_clear_error();  // a stale error would be taken for one of a TLS connection on this thread
    return std::nullopt;
  }
  return plaintext;
}

std::string seal_random(const Secret& key, std::string_view plaintext, std::string_view associated) {
  std::string nonce = random_bytes(nonce_size);
  return nonce + seal(key, nonce, plaintext, associated);
}

std::optional<std::string> open_random(const Secret& key, std::string_view sealed,
                                       std::string_view associated) {
  if (sealed.size() < nonce_size + tag_size) return std::nullopt;
  return open(key, sealed.substr(0, nonce_size), sealed.substr(nonce_size), associated);
}

}  // namespace terrane::crypto
