#pragma once
#include <chrono>
#include <memory>

#include "net/io.h"
#include "shim/ender.h"
#include "shim/job_api.h"

namespace terrane::shim {

/// The beats of a phase: each 2 s one goes to the control plane, and its answer carries what is wished. When
/// no beat has been confirmed for most of the job's grace, the engine is ended, so that nothing executes any
/// more when the control plane gives the workspace free. One executor.
class Pulse {
 public:
  /// `grace` 0: silence ends nothing.
  Pulse(net::Executor executor, JobApi& api, Lease lease, std::chrono::seconds grace, Ender ender);
  ~Pulse();
  /// Suspends until the first beat is confirmed; false when the lease is closed before that.
  Task<bool> first();
  /// Beats at once: something may be wished.
  void look();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::shim
