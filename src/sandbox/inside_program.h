#pragma once
#include <string_view>

namespace terrane::sandbox {

/// The bytes of the program that runs inside sandboxes (inside/main.cc), built with this one and part of it,
/// so that a shim and its pid 1 are always of the same version.
std::string_view inside_program();

}  // namespace terrane::sandbox
