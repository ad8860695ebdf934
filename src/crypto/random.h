#pragma once
#include <string>

#include "base/secret.h"

namespace terrane::crypto {

/// `size` bytes of the system's random source.
std::string random_bytes(std::size_t size);
/// The same, for keys.
Secret random_key(std::size_t size);
/// A random UUID (version 4) in its text form.
std::string random_uuid();
/// `size` letters and digits (base62), for tokens.
std::string random_text(std::size_t size);

}  // namespace terrane::crypto
