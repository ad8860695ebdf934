#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "transit/barrier.h"
#include "transit/policy.h"
#include "transit/read_cache.h"

namespace terrane::transit {

using PolicyPointer = std::shared_ptr<const Policy>;

/// The policies by name, held in memory at most 1 s past a change elsewhere. `root` is no row: it allows
/// everything and cannot be written. One executor; the barrier outlives it. Verbs suspend and throw
/// Error{unavailable} when the storage is away and nothing is held.
class PolicyStore {
 public:
  explicit PolicyStore(Barrier& barrier);

  /// The policy; null when there is none. `default` is there always.
  Task<PolicyPointer> find(std::string name);
  /// Writes a policy. Throws Error{invalid} when its text is not understood.
  Task<> put(std::string name, std::string text);
  Task<> remove(std::string name);
  Task<std::vector<std::string>> names();
  /// The policies of these names; one that is not there allows nothing and is left out.
  Task<std::vector<PolicyPointer>> all_of(std::vector<std::string> names);
  void clear() noexcept { cache_.clear(); }

 private:
  Task<PolicyPointer> load(std::string name);
  Barrier& barrier_;
  ReadCache<Policy> cache_;
};

}  // namespace terrane::transit
