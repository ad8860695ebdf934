#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "net/io.h"
#include "sandbox/descriptor.h"
#include "sandbox/routing.h"

namespace terrane::sandbox {

/// A network namespace for one sandbox.
struct Network {
  Descriptor space;      ///< the namespace
  Descriptor keep;       ///< slirp4netns ends when the last copy of this is closed; unset without it
  pid_t slirp = -1;      ///< its pid while it runs, -1 without it
  bool outside = false;  ///< whether hosts outside can be reached
};

/// Makes a namespace that has its own loopback interface and nothing else. Throws Error{internal}.
Network make_loopback_network();
/// Runs `work` inside a network namespace. It must not suspend; if the way back fails, the process aborts.
void in_network(int space, const std::function<void()>& work);
/// TCP sockets that listen on `port` of 127.0.0.1, and of ::1 where it is, in the network. Throws
/// Error{internal}.
std::vector<Descriptor> listen_inside(const Network& network, std::uint16_t port);

/// Makes networks that reach outside by slirp4netns, and reaps its processes.
class NetworkMaker {
 public:
  /// `unreachable` is refused to all networks besides the addresses of the host.
  NetworkMaker(net::Executor executor, std::filesystem::path slirp, std::vector<Cidr> unreachable);

  /// A network that reaches outside, or loopback only when slirp4netns is not installed. Suspends, at most 10
  /// s. Throws Error{internal} or {unavailable} when it cannot be made.
  Task<Network> make();
  /// Whether the network's slirp4netns still runs; true without one.
  bool intact(const Network& network) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace terrane::sandbox
