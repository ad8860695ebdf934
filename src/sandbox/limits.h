#pragma once
#include <cstdint>
#include <string>

namespace terrane::sandbox {

/// Which limits of a phase were hit so far, and what it used. Numbers that the machine does not tell are 0.
struct LimitsHit {
  std::uint64_t memory_kills = 0;  ///< processes that the kernel killed because the phase's memory was full
  std::uint64_t refused_processes = 0;  ///< forks that failed at the limit of processes
  bool storage_full = false;            ///< the run directory was seen without free space or inodes
  std::uint64_t memory_peak = 0;        ///< bytes
  std::uint64_t throttled_us =
      0;  ///< time that the phase waited for its share of the processors; slows, does not fail

  /// Whether one was hit that makes commands fail.
  bool any() const noexcept { return memory_kills > 0 || refused_processes > 0 || storage_full; }
  /// One sentence that names each limit that was hit, for the run's error; empty when none was.
  std::string describe() const;
};

}  // namespace terrane::sandbox
