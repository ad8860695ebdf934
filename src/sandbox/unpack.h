#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace terrane::sandbox {

struct UnpackOptions {
  std::filesystem::path archive;      ///< tar, mostly gzipped
  std::filesystem::path destination;  ///< an existing directory
  std::uint64_t bytes = 1ull << 30;   ///< most that the files may hold together
  std::uint64_t entries = 100'000;
  /// Relative to the destination, may be empty. What an engine left there about its state (terraform.tfstate,
  /// terraform.tfstate.d, the remembered backend and workspace) is passed over: the platform's state counts.
  std::string working_directory;
};

/// Unpacks a configuration that anybody may have made. Throws Error{invalid} that names the entry when one is
/// absolute, has "..", is a device, FIFO or socket, leads out of the destination by a link, or when a limit
/// is exceeded; what was unpacked so far stays. It blocks: run it in a process of its own, inside the
/// sandbox.
void unpack(const UnpackOptions& options);

/// The verb `unpack ARCHIVE DESTINATION BYTES [WORKING_DIRECTORY]` of the program inside: does that, with the
/// error as one line on standard error. argv[0] is the verb.
int unpack_main(int argc, char** argv);

}  // namespace terrane::sandbox
