#pragma once
#include <string>
#include <sys/types.h>

#include "base/task.h"
#include "sandbox/broker_client.h"

namespace terrane::worker {

/// Suspends until the shim of a phase is gone, be it our broker's child or taken up from an earlier worker.
/// `pid` -1: the broker is asked for it. An end is noticed at once by the kernel's word, and a number that
/// was given to somebody else within 5 s by the broker's.
Task<> wait_for_shim(sandbox::BrokerClient& broker, std::string phase, pid_t pid);

/// Releases a run's directory. The last process of a phase may be gone a moment before the broker knows it,
/// so a conflict is asked again for 5 s; then it is another phase's, and thrown. Waits for the broker as long
/// as it is away.
Task<> release_run(sandbox::BrokerClient& broker, std::string run);

}  // namespace terrane::worker
