#pragma once
#include <filesystem>
#include <string>

#include "base/secret.h"
#include "base/task.h"
#include "net/io.h"

namespace terrane::app {

/// Where the demo's installation is, as a client sees it.
struct DemoSite {
  std::string data, host;
  std::uint16_t port = 0;
  std::filesystem::path certificate;   ///< of its CA
  std::filesystem::path engine_store;  ///< for the CLI that the demo drives
};

/// Whether the whole system answers: web with everything behind it, and a worker node that takes jobs.
Task<bool> is_ready(net::Executor executor, DemoSite site);

/// Makes the organization and workspace of the demo when they are missing, and drives `tofu apply` through a
/// cloud block, whose output it prints. Returns whether the run was applied and its state is there.
Task<bool> perform_run(net::Executor executor, DemoSite site, Secret token);

}  // namespace terrane::app
