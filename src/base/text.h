#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace terrane {

/// Standard base64 with padding (RFC 4648 section 4).
std::string base64(std::string_view bytes);
/// Decodes standard base64; nothing when a character, the length or the padding is wrong. Line breaks are
/// skipped.
std::optional<std::string> from_base64(std::string_view text);
/// URL-safe base64 without padding (RFC 4648 section 5).
std::string base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);
/// Lower-case hexadecimal.
std::string hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view text);

/// The parts of `text` between `separator`s; an empty text has no parts.
std::vector<std::string_view> split(std::string_view text, char separator);
/// `text` without blanks and line ends around it.
std::string_view trim(std::string_view text);
std::string lower(std::string_view text);
/// The whole of `text` as a number; nothing on anything else.
std::optional<std::int64_t> parse_int(std::string_view text);
/// Whether all bytes form valid UTF-8 without NUL.
bool is_clean_utf8(std::string_view text);

}  // namespace terrane
