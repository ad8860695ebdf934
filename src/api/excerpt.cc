#include "api/excerpt.h"

#include "base/text.h"

namespace terrane::api {
namespace {

constexpr std::size_t most_bytes = 100;

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; }

}  // namespace

std::string excerpt(std::string_view given) {
  std::size_t size = std::min(given.size(), most_bytes);
  while (size > 0 && size < given.size() && continues(given[size])) --size;
  std::string out(given.substr(0, size));
  if (is_clean_utf8(out)) return out;
  for (char& c : out) {
    if (c == 0 || static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

}  // namespace terrane::api
