#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace terrane::http {

/// Decodes `%xx`, and `+` as a blank when `form` (queries); nothing when an escape is broken or gives a NUL.
std::optional<std::string> percent_decode(std::string_view text, bool form);

/// Whether two names of header fields are the same: ASCII without case.
bool same_name(std::string_view left, std::string_view right) noexcept;

}  // namespace terrane::http
