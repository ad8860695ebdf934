#pragma once
#include <optional>

#include "shim/context.h"
#include "shim/state_file.h"

namespace terrane::shim {

/// What stands ready when the engine's command can start.
struct Prepared {
  std::optional<StateFacts> state;  ///< the state that was put in place
};

/// Gets everything ready for the engine's command: sandbox, configuration, variables, `init`, state, and for
/// an apply the plan file. Waits for the first confirmed beat before anything executes. Throws Error (for the
/// run) and EndedEarly.
Task<Prepared> prepare(Context& context);

}  // namespace terrane::shim
