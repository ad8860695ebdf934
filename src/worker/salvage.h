#pragma once
#include <filesystem>

#include "net/io.h"
#include "sandbox/broker_client.h"
#include "shim/job_api.h"
#include "shim/spool.h"

namespace terrane::worker {

/// What salvaging needs.
struct SalvageTools {
  net::Executor executor;
  shim::JobApi& api;
  sandbox::BrokerClient& broker;
  std::chrono::seconds patience{90};  ///< for processes of the phase that have lost their shim: their grace
                                      ///< and some more; then they are killed
};

/// Brings a phase to its end whose shim is dead: waits until no process of it lives (the engine has its
/// grace), saves the engine's last state, the rest of the log and what the spool holds, and reports the
/// result or that the phase is lost. Then spool and run directory are gone. Meanwhile it beats for the job.
/// Suspends for as long as the control plane is away. When the lease is closed, state and log are offered as
/// recovered, and what is not wanted is set aside. It may be stopped anywhere and begun again.
Task<> salvage(SalvageTools tools, shim::Spool spool);

}  // namespace terrane::worker
