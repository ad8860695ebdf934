#pragma once
#include <string_view>

namespace terrane::crypto {

/// Throws Error{internal} whose context names the step and what OpenSSL says about it.
[[noreturn]] void fail(std::string_view step);

/// Throws as `fail` unless `good`.
inline void check(bool good, std::string_view step) {
  if (!good) fail(step);
}

}  // namespace terrane::crypto
