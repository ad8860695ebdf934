#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace terrane::sealed {

/// Appends a number in network byte order.
inline void put_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}
inline void put_u64(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

/// Reads a number in network byte order from the first bytes of `text`, which must have them.
inline std::uint32_t get_u32(std::string_view text) {
  std::uint32_t value = 0;
  for (char c : text.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}
inline std::uint64_t get_u64(std::string_view text) {
  std::uint64_t value = 0;
  for (char c : text.substr(0, 8)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace terrane::sealed
