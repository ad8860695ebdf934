#include "blob/store.h"

#include "base/text.h"
#include "crypto/hash.h"

namespace terrane::blob {

std::string object_name(std::string_view kind, std::string_view id) {
  std::string folders = hex(crypto::hash(crypto::HashKind::sha256, id).substr(0, 2));
  std::string name =
      std::string(kind) + "/" + folders.substr(0, 2) + "/" + folders.substr(2) + "/" + std::string(id);
  check_name(name);
  // An id with a slash would stand in a folder of its own and could be the folder of another.
  if (split(name, '/').size() != 4)
    throw Error(Code::invalid, "An object's kind and id must not contain a slash.");
  return name;
}

void check_name(std::string_view name) {
  constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-";
  bool good =
      !name.empty() && name.size() <= 255 && name.find_first_not_of(allowed) == std::string_view::npos;
  for (std::string_view part : split(name, '/')) good = good && !part.empty() && part.front() != '.';
  if (!good)
    throw Error(
        Code::invalid,
        "An object's name has 1 to 255 characters of A-Z, a-z, 0-9, '.', '_', '-' in parts divided by '/'.");
}

PositionConflict::PositionConflict(std::string_view name, std::uint64_t present, std::string_view reason)
    : Error(Code::conflict, "The log does not continue at this position."), size_(present) {
  add_context("log " + std::string(name) + ": " + std::string(reason) + ", size=" + std::to_string(present));
}

}  // namespace terrane::blob
