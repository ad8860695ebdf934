#pragma once
#include "app/role_config.h"

/// The roles, one function each: settings, adapters, domains, routes, subsystems, wait for the stop.
/// Everything is a local variable, so destruction order is the language's. Each returns the process's exit
/// status.
namespace terrane::app {

int web_main(const RoleConfig& config);
int background_main(const RoleConfig& config);
int archivist_main(const RoleConfig& config);
int services_main(const RoleConfig& config);
int vault_main(const RoleConfig& config);
int worker_main(const RoleConfig& config);
int broker_main(const RoleConfig& config);

/// Descriptors that `serve` hands to roles: it keeps the listening sockets, so that a restarted role goes on
/// with the same.
constexpr int public_listener_fd = 3;
constexpr int job_listener_fd = 4;

/// Redis channel on which background tells all webs of revoked tokens; the payload is a token's id, or empty
/// for all.
constexpr const char* revoked_tokens_channel = "tokens";

}  // namespace terrane::app
