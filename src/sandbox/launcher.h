#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/task.h"
#include "sandbox/descriptor.h"

namespace terrane::sandbox {

/// What the two processes of a phase, shim and sandbox launcher, can be given before it is known whose phase
/// it is. Descriptors stay the caller's.
struct HoldPlan {
  std::filesystem::path binary;  ///< started as `BINARY shim`
  std::filesystem::path bwrap;
  std::filesystem::path runs_mount;                ///< ROOT/runs, which no sandbox may keep mounted
  std::map<std::string, std::string> environment;  ///< of the shim
  uid_t worker_uid = 0;
  gid_t worker_gid = 0;
  int filter = -1;  ///< file with the seccomp filter
  std::vector<std::filesystem::path> shim_cgroups;
  std::vector<std::filesystem::path> run_cgroups;
  int network = -1;  ///< namespace
  int keep = -1;     ///< the network's life line, or -1
};

/// What makes them those of one phase.
struct Assignment {
  uid_t run_uid = 0;
  std::uint64_t weak_memory_bytes = 0;  ///< rlimits in place of cgroups; 0 is none
  std::uint32_t weak_processes = 0;
  int description = -1;  ///< file with what the shim is told
  int job = -1;          ///< or -1
  std::vector<int> relays;
};

/// The descriptors that a shim is executed with: the link to the broker, over which its assignment comes, and
/// the control socket.
inline constexpr int held_link_number = 3;
inline constexpr int shim_control_number = 4;
/// Names the launcher's pid in the shim's environment, and marks it as one.
inline constexpr const char* shim_launcher_variable = "TERRANE_SHIM_LAUNCHER";

/// A shim, its program executed already, and its launcher, in their cgroups and network, that wait as root
/// for their assignment. They end when the links close.
struct HeldShim {
  pid_t pid = -1;  ///< of the shim, a child of the caller; the launcher is the shim's
  Descriptor shim_link;
  Descriptor launcher_link;
  uid_t worker_uid = 0;
  gid_t worker_gid = 0;
};

/// Forks both; the caller must be single-threaded. They are made ahead because joining cgroups takes the
/// kernel some 10 ms, and executing the shim's program about as long. Throws Error{internal}.
HeldShim hold_shim(const HoldPlan& plan);
/// Whether both still wait, as far as can be seen.
bool still_waits(const HeldShim& held);
/// Lets both go and suspends, at most 5 s, until each is on its way: the shim has given up root, the launcher
/// waits for the shim's word. Throws Error{internal} with the step that failed, {unavailable} when it takes
/// too long.
Task<> assign(HeldShim& held, const Assignment& assignment);

}  // namespace terrane::sandbox
