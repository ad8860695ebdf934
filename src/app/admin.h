#pragma once

namespace CLI {
class App;
}

namespace terrane::app {

/// `terrane admin token`, `terrane trace RUN`, `terrane node list|drain|undrain|forget`, `terrane routes`:
/// commands on the host, as root.
void add_admin_commands(CLI::App& app, int& status);

}  // namespace terrane::app
