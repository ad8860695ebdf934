#pragma once
#include <string>
#include <string_view>

#include "base/secret.h"

namespace terrane::crypto {

/// Argon2id in the PHC string format (RFC 9106, 64 MiB, 3 passes, 1 lane). Takes about 100 ms: call it
/// through net::blocking.
std::string hash_password(const Secret& password);
bool verify_password(const Secret& password, std::string_view phc);
/// A 32-byte key from a password and a salt (Argon2id, the same cost), to wrap other keys.
Secret key_from_password(const Secret& password, std::string_view salt);

}  // namespace terrane::crypto
