#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "worker_protocol/protocol.h"

namespace terrane::shim {

/// What a worker needs to know in order to take up or salvage a phase. No secret but the lease.
struct SpoolMeta {
  static constexpr int version = 1;
  std::string job, run, workspace, lease, log_object;
  worker_protocol::Phase phase = worker_protocol::Phase::plan;
  int attempt = 1;
  int log_segment = 1;
  std::string lineage;       ///< of the state that the phase began with; empty without
  std::int64_t serial = -1;  ///< of that state; -1 without
  std::string state_file;    ///< relative to the run directory
  std::string events_file;   ///< relative to the run directory

  /// What the broker knows the phase as.
  std::string sandbox_phase() const { return job + "-" + std::to_string(attempt); }
  /// The meta of a job, with the files where `Phase` puts them.
  static SpoolMeta of(const worker_protocol::Job& job);
};

/// Something sealed that waits for its upload.
struct SpooledState {
  std::uint64_t number = 0;
  worker_protocol::State state;
  std::filesystem::path file;
};
struct SpooledObject {
  std::string object, kind;
  std::filesystem::path file;
};

/// The directory of one job, SPOOL/JOB, mode 0700. Written by its shim, and by the worker once that is dead;
/// it survives both. Everything in it but the lease is sealed. A newer program reads what an older one wrote
/// (`version`).
///   meta.json          written before the shim starts
///   started            the first beat was acknowledged: from here on something may have executed
///   log.sealed         the log segment; log.end its last record (the ETX), made beforehand and appended last
///   salvages           how often a worker has begun to salvage it
///   states/N.sealed, N.json   states that are not acknowledged; acknowledged.json the last one that is
///   objects/ID.sealed, ID.json   other objects that are not acknowledged
///   result.json        how the phase ended; everything it names is in here or uploaded
/// All throw Error{internal} that names file and cause, and block for an fsync.
class Spool {
 public:
  /// Makes it, whole or not at all. Throws Error{conflict} when it exists.
  static Spool create(const std::filesystem::path& root, const SpoolMeta& meta);
  /// Opens one. Throws Error{invalid} when it is of an unknown version or broken.
  static Spool open(const std::filesystem::path& directory);
  /// Removes what was left of spools whose making or removing was interrupted by a kill. For a worker's
  /// start: nobody else makes spools in `root` then.
  static void clear_remains(const std::filesystem::path& root);
  /// The ids of all jobs with a spool.
  static std::vector<std::string> jobs(const std::filesystem::path& root);

  const SpoolMeta& meta() const noexcept { return meta_; }
  const std::filesystem::path& directory() const noexcept { return directory_; }

  void mark_started() const;
  bool started() const;

  /// Counts the salvages of this spool, durably, and returns the number of the one that begins: from 1.
  std::int64_t begin_salvage() const;

  std::filesystem::path log_file() const { return directory_ / "log.sealed"; }
  std::filesystem::path log_end_file() const { return directory_ / "log.end"; }

  void write_result(const worker_protocol::Outcome& outcome) const;
  std::optional<worker_protocol::Outcome> result() const;

  /// Where the next state is sealed to; then `add_state` completes it.
  SpooledState next_state(const worker_protocol::State& state) const;
  void add_state(const SpooledState& spooled) const;
  /// The states that wait, oldest first.
  std::vector<SpooledState> states() const;
  /// Takes a state off: acknowledged, or dropped for a newer one.
  void acknowledge(const SpooledState& spooled) const;
  void drop(const SpooledState& spooled) const;
  std::optional<worker_protocol::State> acknowledged() const;

  /// The same for other objects.
  SpooledObject next_object(const std::string& object, const std::string& kind) const;
  void add_object(const SpooledObject& spooled) const;
  std::vector<SpooledObject> objects() const;
  void drop(const SpooledObject& spooled) const;

  /// Removes it; afterwards no job is there.
  void remove() const;
  /// Puts it aside under REFUSED (a directory beside), where at most 20 are kept: the control plane did not
  /// want it.
  void set_aside() const;

 private:
  Spool(std::filesystem::path directory, SpoolMeta meta)
      : directory_(std::move(directory)), meta_(std::move(meta)) {}
  std::filesystem::path directory_;
  SpoolMeta meta_;
};

}  // namespace terrane::shim
