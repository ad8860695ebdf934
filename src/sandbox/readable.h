#pragma once
#include "base/task.h"

namespace terrane::sandbox {

/// Suspends until the descriptor (pipe, socket, pidfd) is readable or at its end. Throws
/// boost::system::system_error when cancelled.
Task<> wait_readable(int descriptor);

}  // namespace terrane::sandbox
