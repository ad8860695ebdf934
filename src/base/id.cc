#include "base/id.h"

#include <cerrno>
#include <cstdlib>
#include <sys/random.h>

namespace terrane {

std::string random_id_suffix() {
  constexpr std::string_view alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  std::string out;
  while (out.size() < 16) {
    unsigned char bytes[32];
    if (getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) {
      if (errno == EINTR) continue;
      std::abort();  // without randomness no id is safe to give out
    }
    for (unsigned char byte : bytes) {
      // 232 = 4 * 58: larger values would make the first letters likelier.
      if (byte < 232 && out.size() < 16) out.push_back(alphabet[byte % 58]);
    }
  }
  return out;
}

}  // namespace terrane
