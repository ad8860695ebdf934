#pragma once
#include <functional>

#include "net/io.h"
#include "shim/spool.h"

namespace terrane::shim {

/// Calls `on_wake` whenever somebody wakes the phase: a message says that something is wished for it, and its
/// next beat will tell what. Where the pipe cannot be made that is logged, and beats alone carry wishes.
void listen_for_wakes(net::Executor executor, const Spool& spool, std::function<void()> on_wake);

/// Wakes the shim of a spool. Nothing happens when there is none, or one that does not listen. Does not
/// block.
void wake_shim(const Spool& spool) noexcept;

}  // namespace terrane::shim
