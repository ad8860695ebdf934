#include "crypto/password.h"

#include <argon2.h>

#include "base/error.h"
#include "base/text.h"
#include "crypto/openssl_error.h"
#include "crypto/random.h"

namespace terrane::crypto {
namespace {

constexpr std::uint32_t passes = 3;
constexpr std::uint32_t memory_kib = 64 * 1024;
constexpr std::uint32_t lanes = 1;
constexpr std::size_t salt_size = 16;
constexpr std::size_t output_size = 32;

void require(int result, std::string_view step) {
  if (result == ARGON2_OK) return;
  if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
    throw Error(Code::unavailable, "Not enough memory to check a password.");
  throw Error(Code::internal, "A cryptographic operation failed.")
      .add_context(std::string(step) + ": " + argon2_error_message(result));
}

// Whether the cost that a stored hash asks for is one we would ever have set: a forged row must not take all
// memory.
bool bearable(std::string_view phc) {
  if (phc.size() > 256) return false;
  std::vector<std::string_view> parts = split(phc, '$');  // "", "argon2id", "v=19", "m=…,t=…,p=…", salt, hash
  if (parts.size() != 6 || parts[1] != "argon2id") return false;
  std::vector<std::string_view> costs = split(parts[3], ',');
  const std::pair<std::string_view, std::int64_t> limits[] = {{"m=", 1024 * 1024}, {"t=", 16}, {"p=", 16}};
  if (costs.size() != std::size(limits)) return false;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    if (!costs[i].starts_with(limits[i].first)) return false;
    auto value = parse_int(costs[i].substr(2));
    if (!value || *value < 1 || *value > limits[i].second) return false;
  }
  return true;
}

}  // namespace

std::string hash_password(const Secret& password) {
  std::string salt = random_bytes(salt_size);
  std::string out(argon2_encodedlen(passes, memory_kib, lanes, salt_size, output_size, Argon2_id), '\0');
  const std::string& text = password.reveal();
  require(argon2id_hash_encoded(passes, memory_kib, lanes, text.data(), text.size(), salt.data(), salt.size(),
                                output_size, out.data(), out.size()),
          "hash a password");
  out.resize(out.find('\0'));
  return out;
}

bool verify_password(const Secret& password, std::string_view phc) {
  if (!bearable(phc)) return false;
  int result = argon2id_verify(std::string(phc).c_str(), password.reveal().data(), password.reveal().size());
  if (result == ARGON2_MEMORY_ALLOCATION_ERROR) require(result, "verify a password");
  return result == ARGON2_OK;
}

Secret key_from_password(const Secret& password, std::string_view salt) {
  std::string out(output_size, '\0');
  const std::string& text = password.reveal();
  require(argon2id_hash_raw(passes, memory_kib, lanes, text.data(), text.size(), salt.data(), salt.size(),
                            out.data(), out.size()),
          "derive a key from a password");
  return Secret(std::move(out));
}

}  // namespace terrane::crypto
