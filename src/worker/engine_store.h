#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "base/task.h"

namespace terrane::worker {

/// The engines that this machine has: STORE/manifest.json names engine, version, sha256 and path (relative to
/// the store).
class EngineStore {
 public:
  explicit EngineStore(std::filesystem::path store) : store_(std::move(store)) {}

  /// The program file of an engine, its hash verified (once per file as it stands). Suspends for the hashing.
  /// Throws Error{unprocessable} when the store lacks it, {internal} when the file or the manifest is not
  /// what it should be.
  Task<std::filesystem::path> find(std::string engine, std::string version);
  /// Verifies all engines ahead of their first use; what is wrong is logged.
  Task<> warm_up();

 private:
  std::filesystem::path store_;
  std::map<std::filesystem::path, std::string>
      verified_;  // program to what identified the file that was hashed
};

}  // namespace terrane::worker
