#pragma once
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "base/task.h"
#include "net/io.h"
#include "sandbox/cgroup.h"
#include "sandbox/launcher.h"
#include "sandbox/network.h"

namespace terrane::sandbox {

/// Everything of a phase that does not depend on which phase it is.
struct Slot {
  std::string name;  ///< of its cgroups
  PhaseCgroups cgroups;
  Network network;
  HeldShim shim;
};

/// Keeps slots with a network ready, since making one takes longer than starting a sandbox in it.
class SlotPool {
 public:
  /// `plan` is completed for each slot; its filter is made here.
  SlotPool(net::Executor executor, const Cgroups& cgroups, HoldPlan plan, NetworkMaker networks,
           std::size_t size);

  /// Keeps the pool filled until `stop`; run it beside everything else.
  Task<> run(net::Stop& stop);
  /// A slot that nobody else has; suspends when none is ready. Throws Error{internal} or {unavailable} when
  /// it cannot be made.
  Task<Slot> take(bool network);
  /// Ends the slot's processes and removes its cgroups in a while.
  void discard(Slot slot);
  /// Discards all that is ready and suspends, at most a second, until it is gone.
  Task<> close();

 private:
  Task<Slot> make(bool network);
  void sweep();

  const Cgroups& cgroups_;
  HoldPlan plan_;
  NetworkMaker networks_;
  std::size_t size_;
  Descriptor filter_;
  std::deque<Slot> ready_;
  std::vector<Slot> discarded_;
  net::Event taken_;
};

}  // namespace terrane::sandbox
