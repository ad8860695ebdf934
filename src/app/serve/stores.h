#pragma once
#include <vector>

#include "app/serve/provision.h"
#include "supervisor/supervisor.h"

namespace terrane::app {

/// The internal stores as supervised children: PostgreSQL 15, Redis 7, RabbitMQ 3.10 (with its epmd), on the
/// loopback address and unix sockets, each prepared before its start.
std::vector<supervisor::ServiceSpec> store_specs(net::Executor executor, const Installation& installation);

}  // namespace terrane::app
