#pragma once
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "shim/ender.h"
#include "shim/job_api.h"
#include "shim/log_shipper.h"
#include "shim/order.h"
#include "shim/parallel.h"
#include "shim/pulse.h"
#include "shim/run_files.h"
#include "shim/slots.h"
#include "shim/spool.h"

namespace terrane::shim {

/// Ends a phase's work because the ender wants it; what is to be reported follows from the ender's cause.
class EndedEarly : public std::exception {
 public:
  const char* what() const noexcept override { return "the phase ends early"; }
};

/// Something killed a command of the engine that neither the platform nor a limit wanted to end.
class EngineKilled : public Error {
 public:
  explicit EngineKilled(std::string detail) : Error(Code::unprocessable, std::move(detail)) {}
};

/// What the parts of one phase share. It lives as long as the phase.
struct Context {
  /// Opens the spool and begins log and beats. Throws Error.
  Context(net::Executor executor, ShimOrder order, sandbox::ShimInheritance inheritance);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  net::Executor executor;
  ShimOrder order;
  const worker_protocol::Job& job;
  sandbox::ShimInheritance inheritance;
  Spool spool;
  Lease lease;
  JobApi api;
  std::shared_ptr<RunFiles> files;
  Slots slots;
  LogShipper log;
  Ender ender;
  Pulse pulse;
  std::optional<sandbox::Sandbox> sandbox;  ///< since the preparation
  bool storage_full =
      false;  ///< the run directory was seen full when the engine wrote something; often that is soon over

  /// Throws EndedEarly when nothing new may be started.
  void check() const;
  std::function<bool()> give_up() const;
};

using OnOutput = std::function<Task<>(sandbox::Stream, std::string_view)>;

/// Runs the engine in the working directory and suspends until it has ended. Throws EndedEarly when it may
/// not be started any more.
Task<sandbox::Exit> run_engine(Context& context, std::vector<std::string> arguments, OnOutput on_output,
                               std::string_view config = {});
/// Throws EngineKilled when the command did not end by itself.
void check_killed(const sandbox::Exit& exit);
/// Puts output into the log.
OnOutput to_log(Context& context);
/// Collects at most 1 MiB of all output; the beginning is dropped.
OnOutput into(std::string& text);

/// Seals a file of the run directory under a fresh slot into the spool and returns its entry. Throws
/// Error{invalid} when there is no such file.
Task<SpooledObject> seal_file(Context& context, std::string name, std::string kind);
/// Seals the standard output of an engine command in the same way; `feed` (may be null) sees it pass,
/// `executed` is called when the command has succeeded. Throws Error{invalid} with the engine's words when it
/// fails.
Task<SpooledObject> seal_output(Context& context, std::vector<std::string> arguments, std::string kind,
                                std::function<void(std::string_view)> feed, std::function<void()> executed);
/// Uploads it, for ever if need be, and takes it off the spool.
Task<> upload(Context& context, SpooledObject spooled);

/// Repeats a step while the node's disk does not take what it writes (Error{internal}): what the engine did
/// must not be lost for want of room. It gives up when the lease is closed.
Task<> insist(Context& context, std::string what, std::function<Task<>()> step);

/// The SHA-256 of a regular file of the run directory, hexadecimal; empty when there is none.
Task<std::string> hash_of(Context& context, std::string name);

}  // namespace terrane::shim
