#pragma once
#include "shim/context.h"

namespace terrane::shim {

/// Runs a plan phase up to the spool: the engine's plan, its JSON, its schemas. Uploads are added to
/// `uploads`. Throws Error and EndedEarly.
Task<worker_protocol::Outcome> run_plan(Context& context, Parallel& uploads);

}  // namespace terrane::shim
