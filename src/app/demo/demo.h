#pragma once

namespace CLI {
class App;
}

namespace terrane::app {

/// `terrane demo [--once|--env|--status|--stop] [--data DIR] [--port N]`: the whole system on this machine,
/// and one real run on it.
void add_demo_command(CLI::App& app, int& status);

}  // namespace terrane::app
