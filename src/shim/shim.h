#pragma once

namespace terrane::shim {

/// The role `terrane shim`: started by the broker with one phase as an inherited order. It ignores SIGTERM,
/// SIGINT and SIGHUP, because it outlives its worker and ends with its phase. It ends the process itself with
/// `PhaseEnd` as status, or 1 when it failed and left the phase to the worker; it returns 1 when it could not
/// start.
int shim_main();

}  // namespace terrane::shim
