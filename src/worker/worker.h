#pragma once
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "amqp/options.h"
#include "base/task.h"
#include "http/client.h"
#include "net/io.h"
#include "shim/relay.h"

namespace terrane::worker {

struct WorkerOptions {
  std::string node;    ///< the node's id, as in its certificate
  std::string name;    ///< for people
  http::Endpoint api;  ///< the job API
  shim::Platform
      platform;  ///< the public listener, for runs; no host and no path: runs do not reach the platform
  std::filesystem::path data;  ///< spools and records of kept run directories; made here, mode 0700
  std::filesystem::path broker_socket;
  std::filesystem::path engine_store;
  std::filesystem::path provider_store;  ///< empty: none
  std::size_t capacity = 10;             ///< phases at a time
  std::optional<amqp::Options> queue;    ///< where messages say that jobs wait; nothing: only looking
  std::string queue_name = "terrane.jobs";
  std::string own_queue_name;  ///< where messages say that something is wished of this node; empty: none do
  std::chrono::milliseconds look_interval{2000};    ///< between looks of its own; 0: messages alone wake it
  std::chrono::milliseconds report_interval{2000};  ///< a report is a sign of life, as a beat is
  std::chrono::seconds grace{60};                   ///< between SIGINT and SIGKILL of an engine
  std::chrono::seconds keep_time{
      30 * 60};  ///< a plan's run directory waits so long for its apply: people confirm soon or much later
  std::size_t keep_count = 20;  ///< and so many at most: each holds memory
};

/// The role that takes jobs and hands each to a shim of its own. It keeps nothing in memory that it does not
/// find again: killed anywhere, the next one takes up running shims and salvages dead ones.
class Worker {
 public:
  Worker(net::Executor executor, WorkerOptions options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Works until `stop`; shims go on without it. Call it once. Throws Error{internal} when its directories
  /// cannot be made.
  Task<> run(net::Stop& stop);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::worker
