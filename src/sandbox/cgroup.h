#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/limits.h"

namespace terrane::sandbox {

/// A mounted hierarchy of cgroups and the controllers in it that we use.
struct Hierarchy {
  std::filesystem::path mount;
  bool unified = false;  ///< version 2
  bool memory = false;
  bool cpu = false;
  bool pids = false;
  bool operator==(const Hierarchy&) const = default;
};

/// The hierarchies worth using in the text of /proc/self/mounts: version 1 ones with our controllers, and the
/// unified one. The unified one's controllers are not in that text and stay false.
std::vector<Hierarchy> parse_cgroup_mounts(std::string_view mounts);

/// Limits of a phase's processes; 0 is unlimited.
struct CgroupLimits {
  std::uint64_t memory_bytes = 0;
  double cpus = 0;
  std::uint32_t processes = 0;
};

/// The cgroups of one phase: `terrane/INSTALLATION/NAME/{shim,run}` in each hierarchy. They are made ahead of
/// the phase, so the name is their own.
struct PhaseCgroups {
  std::vector<std::filesystem::path> phase;
  std::vector<std::filesystem::path> shim;
  std::vector<std::filesystem::path> run;
};

/// The machine's cgroups as far as this installation uses them.
class Cgroups {
 public:
  /// Finds the hierarchies and makes `terrane/INSTALLATION` in them. What is missing or cannot be written is
  /// left out.
  explicit Cgroups(std::string installation);

  /// Whether memory, cpu and pids all can be limited; else `why_not` says what is missing.
  bool limits() const noexcept { return why_not_.empty(); }
  const std::string& why_not() const noexcept { return why_not_; }

  /// Where cgroups of that name are or would be.
  PhaseCgroups of(std::string_view name) const;
  /// Makes them, without limits. Throws Error{internal}.
  PhaseCgroups create(std::string_view name) const;
  /// Writes the limits of their `run` part. Throws Error{internal}.
  void limit(const PhaseCgroups& cgroups, const CgroupLimits& limits) const;
  /// Removes what is there of them; false while a process is in one.
  bool remove(const PhaseCgroups& cgroups) const;
  /// The names that are there.
  std::vector<std::string> names() const;

 private:
  void prepare(Hierarchy& hierarchy);
  std::filesystem::path base(const Hierarchy& hierarchy) const;

  std::string installation_;
  std::vector<Hierarchy> hierarchies_;
  std::string why_not_;
};

/// How many processes (thread groups) are in the cgroups.
std::uint32_t count_processes(std::span<const std::filesystem::path> cgroups);
/// SIGKILL to all of them: at once where the kernel can (`cgroup.kill`), else one by one, which a fork may
/// outrun, so repeat it until none is left.
void kill_processes(std::span<const std::filesystem::path> cgroups);
/// What was hit and used in the `run` cgroups; needs no privilege.
LimitsHit read_limits(std::span<const std::filesystem::path> cgroups);

}  // namespace terrane::sandbox
