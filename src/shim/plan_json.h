#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

namespace terrane::shim {

/// What a plan does to managed resources, as the engine's own summary counts it: a replacement is an addition
/// and a destruction.
struct PlanCounts {
  std::int64_t additions = 0, changes = 0, destructions = 0, imports = 0;
};

/// Counts while the output of `show -json PLAN` passes by.
class PlanCounter {
 public:
  PlanCounter();
  ~PlanCounter();
  void feed(std::string_view bytes);
  /// Whether it was one whole JSON document.
  bool finish();
  const PlanCounts& counts() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace terrane::shim
