#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/task.h"
#include "net/io.h"

namespace terrane::sandbox {

/// The settings of a broker; they come from its parent and never from the worker.
struct BrokerOptions {
  std::filesystem::path socket;  ///< unix SOCK_SEQPACKET; made here, an old one is replaced
  std::filesystem::path
      root;  ///< ROOT/runs holds the run directories; made here, every part above it must exist
  std::string installation;  ///< names the cgroups: 1 to 64 letters, digits, `-` and `_`
  uid_t worker_uid = 0;      ///< who may ask (besides root), and whom shims run as
  gid_t worker_gid = 0;
  std::filesystem::path binary;  ///< started as `BINARY shim`
  std::map<std::string, std::string>
      shim_environment;  ///< the whole environment of shims, besides what tells them their phase
  std::filesystem::path bwrap = "/usr/bin/bwrap";
  std::filesystem::path slirp = "/usr/bin/slirp4netns";  ///< missing or empty: every phase has loopback only
  uid_t first_uid = 2000000000;  ///< runs get uids (and equal gids) of this range, which nothing else may use
  std::uint32_t uid_count = 10000;
  std::size_t network_pool = 4;  ///< slots with a wired network that are kept ready
  /// What no sandbox reaches, as CIDRs: the metadata address, private ranges. The host's own addresses and
  /// its loopback always are unreachable. The resolver at 10.0.2.3 port 53 always is reachable.
  std::vector<std::string> unreachable;
  bool weak_limits = false;              ///< go on without writable cgroups, with rlimits only
  std::chrono::seconds after_grace{15};  ///< a sandbox without shim is killed this long after its grace
};

/// The small root process that makes cgroups, host tmpfs, network namespaces and uids, and starts shims. It
/// keeps nothing in memory that it cannot find again, so it may be killed and started at any moment; shims
/// and sandboxes do not notice.
class Broker {
 public:
  Broker(net::Executor executor, BrokerOptions options);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  /// Listens and answers until `stop`. Call it once, from a single-threaded process (it forks).
  /// Throws Error{forbidden} without root, {unavailable} when cgroups cannot be written and weak limits are
  /// not allowed, {conflict} when another broker holds the root, {unprocessable} for a setting that is not
  /// allowed, {internal} when the system refuses a step.
  Task<> run(net::Stop& stop);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::sandbox
