#pragma once
#include <string>
#include <string_view>

namespace terrane::shim {

/// A literal string of HCL's native syntax: quoted, with template markers and control characters escaped, so
/// that it means exactly `text`.
std::string hcl_string(std::string_view text);

}  // namespace terrane::shim
