#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "net/io.h"
#include "shim/job_api.h"

namespace terrane::shim {

/// The sealed objects that this phase may still make. It asks for more when they run short. One executor.
class Slots {
 public:
  Slots(net::Executor executor, JobApi& api, Lease lease, std::vector<worker_protocol::Slot> slots);
  ~Slots();

  /// One, if then at least `reserve` are left.
  std::optional<worker_protocol::Slot> take(std::size_t reserve);
  /// One; suspends until there is one. Throws Error{conflict} when the lease is closed.
  Task<worker_protocol::Slot> wait();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::shim
