#pragma once
#include <memory>
#include <string_view>

#include "base/task.h"
#include "net/io.h"
#include "sealed/header.h"
#include "shim/job_api.h"
#include "shim/spool.h"

namespace terrane::shim {

/// The log of one phase: collects text for a few milliseconds, seals it into the spool and ships it from
/// there, one request at a time, for ever. The segment begins with STX when it is the first, and ends with
/// ETX. Output beyond `limit` bytes is dropped after a line that says so.
class LogShipper {
 public:
  static constexpr std::uint64_t default_limit = 64 * 1024 * 1024;

  /// Throws Error{internal} when the spool's file cannot be made.
  LogShipper(net::Executor executor, JobApi& api, const Spool& spool, const sealed::DataKey& key,
             std::uint64_t limit = default_limit);
  ~LogShipper();

  /// Takes the engine's output. The bytes STX and ETX become blanks: they are the protocol's.
  void write(std::string_view text);
  /// Takes a line of ours, which begins on a line of its own and is never dropped.
  void say(std::string_view line);
  /// No text comes any more: makes everything durable, and seals the last record (ETX) into the spool without
  /// showing it. Throws Error{internal} when the disk does not take it; then it may be called again.
  void close();
  /// Appends the last record, after `close`, and suspends until all is acknowledged. Throws Error{conflict}
  /// when the lease is closed.
  Task<> finish();
  /// Throws Error{conflict} when the lease is closed.
  void check() const;
  /// Suspends until everything sealed so far is acknowledged, at most `limit`. Returns whether it is.
  Task<bool> caught_up(net::Clock::duration limit);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// Ships the sealed file of a log segment from where the control plane has it, up to `size` bytes. Throws as
/// JobApi.
Task<> ship_segment(JobApi& api, Lease lease, int segment, std::filesystem::path file, std::uint64_t size,
                    std::function<bool()> give_up = {});

}  // namespace terrane::shim
