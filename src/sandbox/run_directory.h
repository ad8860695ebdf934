#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "base/task.h"

namespace terrane::sandbox {

/// A mount of a tmpfs as /proc/self/mountinfo shows it.
struct TmpfsMount {
  std::filesystem::path path;
  std::optional<uid_t> uid;  ///< the mount option, which a later change of owner leaves alone
};

/// The tmpfs mounts in the text of a mountinfo file.
std::vector<TmpfsMount> parse_tmpfs_mounts(std::string_view mountinfo);

/// Gives a directory tree to the owner without following a link or entering a mount; the top comes last, so
/// that the new owner cannot interfere. What lies deeper than 200 levels is left. False when something could
/// not be given.
bool give_away(const std::filesystem::path& directory, uid_t uid, gid_t gid);

/// The run directories of one root: each a size-limited tmpfs of the host at ROOT/runs/RUN, owned by the
/// run's uid. The mounts are the only record of which uids are used, so a restarted broker knows them.
class RunDirectories {
 public:
  struct Options {
    std::filesystem::path root;
    uid_t worker_uid = 0;
    gid_t worker_gid = 0;
    uid_t first_uid = 0;
    std::uint32_t uid_count = 0;
  };
  explicit RunDirectories(Options options) : options_(std::move(options)) {}

  /// Makes ROOT/runs, itself a small tmpfs that only root may list and only the worker's group may enter.
  /// Throws Error{internal}.
  void prepare();
  /// ROOT/runs.
  std::filesystem::path base() const { return options_.root / "runs"; }
  /// A directory in ROOT/runs for the broker's own records, lost with the machine's processes.
  std::filesystem::path records() const { return base() / ".phases"; }
  std::filesystem::path path(std::string_view run) const { return base() / std::string(run); }

  /// The run's uid; makes the directory when there is none, of `bytes`, with `work`, `tmp` and `home`. Throws
  /// Error{conflict} when it was adopted, {unavailable} when no uid is free, {internal}.
  uid_t open(std::string_view run, std::uint64_t bytes) const;
  /// The uid that the run got; nothing when there is no such directory.
  std::optional<uid_t> uid_of(std::string_view run) const;
  /// Gives its files to the worker; suspends. The caller has seen that no process of the run lives. Throws
  /// Error{internal}.
  Task<> adopt(std::string run) const;
  /// Unmounts it; suspends. Nothing happens when there is none. Throws Error{internal}.
  Task<> release(std::string run) const;

 private:
  std::vector<TmpfsMount> mounts() const;
  uid_t pick_uid() const;
  void mount(std::string_view run, uid_t uid, std::uint64_t bytes) const;

  Options options_;
  std::set<uid_t> occupied_;  // by processes when the broker started; looking at all processes for each run
                              // takes too long
};

}  // namespace terrane::sandbox
