#pragma once
#include "shim/context.h"
#include "shim/state_keeper.h"

namespace terrane::shim {

/// Runs an apply phase up to the spool. `keeper` is made when the engine starts, and holds the states that
/// are still to be sent. Throws Error and EndedEarly, both only while nothing has been applied.
Task<worker_protocol::Outcome> run_apply(Context& context, std::optional<StateKeeper>& keeper);

}  // namespace terrane::shim
