#pragma once
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "net/io.h"
#include "sandbox/broker_client.h"
#include "sandbox/cgroup.h"
#include "sandbox/phase_record.h"

namespace terrane::sandbox {

/// The phases that the broker knows: it sees their shims and sandboxes end, kills what stays, and cleans up
/// after them.
class Phases {
 public:
  struct Options {
    std::filesystem::path records;
    std::filesystem::path runs;  ///< the parent of the run directories
    std::chrono::seconds after_grace{15};
  };
  Phases(net::Executor executor, Options options, const Cgroups& cgroups);

  /// Takes up what an earlier broker left; cgroups that belong to no record are killed and removed. Call it
  /// before any are made.
  void recover();
  /// Tends all until `stop`.
  Task<> run(net::Stop& stop);

  bool contains(const std::string& phase) const { return phases_.contains(phase); }
  std::size_t size() const { return phases_.size(); }
  /// The phase of the run that has a live shim or processes; looks anew.
  std::optional<std::string> live_phase_of(const std::string& run);
  /// How many phases of the run are remembered.
  std::size_t count(const std::string& run) const;
  /// Remembers a phase that is about to start. Throws Error{internal} when it cannot be written down.
  void add(const PhaseRecord& record);
  /// Ends what runs of the phase, and leaves no record of it.
  void abandon(const std::string& phase);
  /// Forgets the ended phases of a run but the newest `keep`.
  void forget(const std::string& run, std::size_t keep);
  std::vector<PhaseInfo> list();
  /// Kills the sandbox and suspends until it is empty. Throws Error{not_found}, {unavailable} when processes
  /// remain after 10 s.
  Task<> kill(std::string phase);

 private:
  struct Phase {
    PhaseRecord record;
    std::optional<net::Clock::time_point> shim_gone;
    bool cgroups_removed = false;
    bool abandoned = false;
  };

  bool shim_alive(const Phase& phase) const;
  std::uint32_t processes(const Phase& phase) const;
  void kill_sandbox(const Phase& phase) const;
  LimitsHit limits(const Phase& phase) const;
  void tend(Phase& phase);
  void clear_stale();
  bool tend_all();

  Options options_;
  const Cgroups& cgroups_;
  PhaseRecords records_;
  std::map<std::string, Phase> phases_;
  std::vector<std::string> stale_;  // names of cgroups to clear
  net::Event added_;
};

}  // namespace terrane::sandbox
