#pragma once
#include <filesystem>

#include "config/settings.h"

namespace terrane::app {

/// `terrane serve`: starts and watches every process of this node until SIGTERM or SIGINT, then stops them in
/// order. Shims are not its children: they go on. Returns the exit status; what stops the start is printed
/// with its remedy.
int serve_main(const std::filesystem::path& data, const config::Settings& settings);

}  // namespace terrane::app
