#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "net/io.h"

namespace terrane::shim {

/// Where the platform's public listener is: a unix socket, or host and port.
struct Platform {
  std::filesystem::path unix_path;
  std::string host;
  std::uint16_t port = 0;
  std::string ca_pem;  ///< whom its certificate is signed by, when the system does not know; runs are told to
                       ///< trust it
};

/// Accepts connections on the listening sockets (which it owns from now on, inside the sandbox's network) and
/// copies their bytes to and from the platform, for ever: at most 64 at a time, each closed after 5 minutes
/// without a byte.
void start_relay(net::Executor executor, const std::vector<int>& listeners, Platform platform);

}  // namespace terrane::shim
