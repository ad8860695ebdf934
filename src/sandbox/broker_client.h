#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/task.h"
#include "sandbox/limits.h"

namespace terrane::sandbox {

/// What a phase is to get. Names are 1 to 64 letters, digits, `-` and `_`.
struct PhaseRequest {
  std::string run;    ///< names the run directory, which phases of one run share
  std::string phase;  ///< unique among the phases of all runs that are not released
  std::uint64_t memory_bytes =
      2048ull << 20;               ///< 64 MiB to 1 TiB; what is written to the run directory counts as well
  double cpus = 0;                 ///< 0 is unlimited
  std::uint32_t processes = 1024;  ///< processes and threads, 16 to 1000000
  std::uint64_t tmpfs_bytes =
      2048ull << 20;     ///< size of the run directory, 1 MiB to 1 TiB; the first phase of the run decides
  bool network = true;   ///< else loopback only
  std::string hostname;  ///< the platform's, mapped to the relay inside; empty: no relay
  std::uint16_t relay_port = 0;    ///< the platform's public port; the relay listens on it inside
  std::chrono::seconds grace{60};  ///< between SIGINT and SIGKILL when the shim is gone, at most 1 h
  std::filesystem::path spool;     ///< told to the shim as it is
  int job = -1;  ///< a descriptor that the shim inherits (memfd or pipe); it stays the caller's
};

struct StartedShim {
  pid_t pid = -1;                       ///< of the shim, which runs under the worker's uid
  std::filesystem::path run_directory;  ///< on the host
};

struct PhaseInfo {
  std::string phase;
  std::string run;
  pid_t shim = -1;
  bool shim_alive = false;
  std::uint32_t processes = 0;  ///< of the sandbox, its launcher included
  bool ended = false;           ///< no process is left; the record stays until the run is released
  LimitsHit limits;
};

/// The worker's (and shim's) side of the broker's socket. Each call makes its own connection and waits up to
/// 5 s for a broker that takes one, so a restarted broker is not noticed. All suspend, at most 15 s, and
/// throw Error{unavailable} when the broker does not answer.
class BrokerClient {
 public:
  explicit BrokerClient(std::filesystem::path socket) : socket_(std::move(socket)) {}

  /// Makes run directory, cgroups and network, and starts the shim. Throws Error{conflict} when the phase
  /// exists or the run has a live one, {unprocessable} for a value that is not allowed, {internal} when the
  /// system refuses a step.
  Task<StartedShim> start_phase(PhaseRequest request);
  /// Unmounts the run directory and forgets the run's phases; a run that is not there is none. Throws
  /// Error{conflict} while one of them has processes.
  Task<> release(std::string run);
  /// Gives all files of the run directory to the worker's uid and returns its path; no later phase may use
  /// it. Throws Error{conflict} while processes of the run live, {not_found} when there is none.
  Task<std::filesystem::path> adopt(std::string run);
  /// All phases of runs that are not released.
  Task<std::vector<PhaseInfo>> list();
  /// Kills every process of the phase's sandbox (not the shim) and suspends until they are gone. Throws
  /// Error{not_found}.
  Task<> kill(std::string phase);

 private:
  std::filesystem::path socket_;
};

}  // namespace terrane::sandbox
