#pragma once
#include "base/task.h"
#include "shim/context.h"

namespace terrane::shim {

/// What became of a shim's phase, and its exit status.
enum class PhaseEnd : int {
  reported = 0,  ///< the control plane has everything; the spool is gone
  closed = 3,    ///< the lease was closed: the spool stays, for recovery
};

/// Runs one phase from the first beat to the acknowledged result. Suspends for as long as it takes. What it
/// throws is a defect or a broken machine; the spool then stays for the worker. When the lease is closed,
/// uploads may still be under way in the context, which must live on.
Task<PhaseEnd> run_phase(Context& context);

}  // namespace terrane::shim
