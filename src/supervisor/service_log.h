#pragma once
#include <filesystem>
#include <string>

namespace terrane::supervisor {

/// Opens DIRECTORY/NAME.log to append, close-on-exec; one of more than 64 MiB becomes NAME.log.1 first.
/// Returns the descriptor; throws Error{unavailable}.
int open_service_log(const std::filesystem::path& directory, const std::string& name);

/// The last lines (at most 20, at most 4 KiB) of a service's log.
std::string last_log_lines(const std::filesystem::path& directory, const std::string& name);

}  // namespace terrane::supervisor
