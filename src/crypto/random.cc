#include "crypto/random.h"

#include <cerrno>
#include <sys/random.h>

#include "base/text.h"
#include "crypto/openssl_error.h"

namespace terrane::crypto {

std::string random_bytes(std::size_t size) {
  std::string out(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    // The kernel's source, not OpenSSL's: nothing to seed again after a fork.
    ssize_t count = getrandom(out.data() + done, size - done, 0);
    if (count < 0 && errno == EINTR) continue;
    check(count > 0, "getrandom");
    done += static_cast<std::size_t>(count);
  }
  return out;
}

Secret random_key(std::size_t size) { return Secret(random_bytes(size)); }

std::string random_uuid() {
  std::string bytes = random_bytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string text = hex(bytes);
  for (std::size_t position : {8, 13, 18, 23}) text.insert(position, "-");
  return text;
}

std::string random_text(std::size_t size) {
  constexpr std::string_view alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string out;
  while (out.size() < size) {
    for (char c : random_bytes(size + 8)) {
      auto byte = static_cast<unsigned char>(c);
      // 248 = 4 * 62: larger values would make the first characters likelier.
      if (byte < 248 && out.size() < size) out.push_back(alphabet[byte % alphabet.size()]);
    }
  }
  return out;
}

}  // namespace terrane::crypto
