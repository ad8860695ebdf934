#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/secret.h"

namespace terrane::sealed {

/// What a sealed object is and to whom it belongs. All texts are UTF-8 without NUL.
struct Identity {
  std::string object;     ///< the object's id
  std::string kind;       ///< state, plan, configuration, log …
  std::string workspace;  ///< the id of its workspace, empty when it belongs to none
  std::map<std::string, std::string>
      extra;  ///< what a recovery wants to know: lineage, serial, md5, run, time …
};

/// A key for one object: in clear for memory only, and as vault wrapped it, which travels in the object's
/// header.
struct DataKey {
  Secret plaintext;
  std::string wrapped;
};

/// A sealed object that does not open: changed, cut, extended, reordered, or not the one that was asked for.
/// Code::internal; the context names the object and what was wrong.
class Damaged : public Error {
 public:
  Damaged(const Identity& identity, std::string_view reason);
};

/// The clear beginning of an object or log segment. Its bytes are bound to every chunk, so it is trusted once
/// a chunk has opened.
struct Header {
  Identity identity;
  std::string wrapped;  ///< the data key as vault wrapped it
  std::string prefix;   ///< the nonce prefix: 7 bytes of an object, 4 of a log segment
  std::string bytes;    ///< the header as it stands in the object: magic, version, length, JSON
  std::size_t size() const noexcept { return bytes.size(); }
};

constexpr std::size_t header_limit = 16 * 1024;  ///< of the whole header in bytes
constexpr std::string_view header_magic = "TRNB";
constexpr std::size_t header_fixed_size = 4 + 1 + 4;  ///< magic, version, length of the JSON

/// Makes a header. Throws Error{invalid} when a text of the identity is not clean UTF-8 or the whole exceeds
/// `header_limit`.
Header make_header(Identity identity, std::string wrapped, std::string prefix);

/// Reads the header at the beginning of `first_bytes`; nothing when more bytes are needed (never more than
/// `header_limit`). Throws Damaged when these bytes begin no header of a version that is known here.
std::optional<Header> parse_header(std::string_view first_bytes);

/// Throws Damaged unless the header names exactly this object, kind and workspace.
void expect(const Header& header, std::string_view object, std::string_view kind, std::string_view workspace);

}  // namespace terrane::sealed
