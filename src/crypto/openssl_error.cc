#include "crypto/openssl_error.h"

#include <openssl/err.h>
#include <string>

#include "base/error.h"

namespace terrane::crypto {

void fail(std::string_view step) {
  std::string reason(step);
  while (unsigned long number = ERR_get_error()) {
    char text[256];
    ERR_error_string_n(number, text, sizeof text);
    reason += std::string(": ") + text;
  }
  throw Error(Code::internal, "A cryptographic operation failed.").add_context(reason);
}

}  // namespace terrane::crypto
