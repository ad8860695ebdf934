#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

#include "sandbox/limits.h"

namespace terrane::sandbox {

/// What the broker must know about a phase after its own restart.
struct PhaseRecord {
  std::string phase;
  std::string run;
  std::string cgroups;  ///< their name
  uid_t uid = 0;
  pid_t shim = -1;
  std::uint64_t shim_start = 0;  ///< with the pid it names the process for good
  std::chrono::seconds grace{60};
  bool ended = false;  ///< shim and sandbox are gone
  LimitsHit limits;    ///< final, when ended
};

/// The records of all phases, a file each, in a directory that only root enters.
class PhaseRecords {
 public:
  explicit PhaseRecords(std::filesystem::path directory) : directory_(std::move(directory)) {}
  /// Writes it whole or not at all. Throws Error{internal}.
  void save(const PhaseRecord& record) const;
  void remove(const std::string& phase) const;
  /// All that can be read.
  std::vector<PhaseRecord> load() const;

 private:
  std::filesystem::path directory_;
};

}  // namespace terrane::sandbox
